"""Policy learning with a world model (PWM): first-order policy gradients in imagination.

Georgiev et al. 2024, arXiv 2407.02466. One iteration collects T steps in B worlds. Then it repeats,
`policy_updates` times: world-model updates on replayed windows, an actor update through H imagined
steps, and critic updates on the imagined rollouts. Differences from the released code: the value of
the last imagined state is discounted by gamma^H, the policy acts on every real observation, the
model learns terminations and imagined returns take them into account, and the number of updates is
proportional to the transitions collected.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import PartitionSpec
from jaxtyping import Array, Float, Int, PRNGKeyArray
from mjxwm_envs import shards
from mjxwm_envs.core import Source, WorldBatch, Worlds

from mjxwm.algos.pwm import learner
from mjxwm.algos.pwm.config import Config, validate
from mjxwm.algos.pwm.critics import fit_critic, replayed_targets, update_critic
from mjxwm.algos.pwm.kernel_trial import trial
from mjxwm.algos.pwm.learner import Learner, Networks, Optimizers, encode, reward_scale
from mjxwm.algos.pwm.updates import (
    actor_loss,
    run_updates,
    update_actor,
    update_model,
    update_policy,
)
from mjxwm.data import replay, rollout
from mjxwm.data.replay import Replay
from mjxwm.types import Agent, Algorithm, Metrics, Policy, Sizes

__all__ = [
    "Config",
    "Learner",
    "Networks",
    "Optimizers",
    "TrainState",
    "actor_loss",
    "agent",
    "collect",
    "encode",
    "fit_critic",
    "make",
    "replayed_targets",
    "reward_scale",
    "run_updates",
    "trial",
    "update_actor",
    "update_critic",
    "update_model",
    "update_policy",
    "validate",
]


class TrainState(NamedTuple):
    """Everything that changes during training; this is what a checkpoint holds."""

    iteration: Int[Array, ""]
    learner: Learner
    worlds: Worlds
    replay: Replay
    key: PRNGKeyArray

    def layout(self) -> "TrainState":
        """How leaves are split over devices: along the axis of worlds; networks are copied."""
        whole = jax.tree.map(lambda x: PartitionSpec(), self)
        return whole._replace(worlds=self.worlds.layout(), replay=replay.layout(self.replay))


def agent(config: Config, sizes: Sizes) -> Agent:
    """How PWM's policy acts; its arrays are `Networks`.

    Raises:
        ValueError: a setting is out of range.
    """
    validate(config)
    sized = (config, sizes.obs_size, sizes.action_size)
    return learner.agent(config, sizes.action_size, lambda key: learner.init_networks(*sized, key))


def make(config: Config, env: Source) -> Algorithm:
    """PWM on `env`.

    Raises:
        ValueError: a setting is out of range.
    """
    validate(config)
    batch_env = env.batch(config.worlds)
    tx = learner.optimizers(config)

    def iterate(state: TrainState) -> tuple[TrainState, Metrics]:
        key, key_act, key_update = jax.random.split(state.key, 3)
        state, metrics = collect(config, batch_env, state._replace(key=key), key_act)
        learned, trained = run_updates(config, tx, state.learner, state.replay, key_update)
        state = state._replace(iteration=state.iteration + 1, learner=learned)
        return state, {**metrics, **trained}

    def env_steps(iteration: int) -> int:
        return (config.warmup + iteration) * config.steps_per_iteration

    def init(key: PRNGKeyArray) -> TrainState:
        return _init(config, batch_env, tx, key)

    def networks(state: TrainState) -> dict[str, Any]:
        learned = state.learner
        return {"world model": learned.model, "actor": learned.actor, "critics": learned.critic}

    return Algorithm(
        init=jax.jit(init),
        iterate=iterate,
        agent=agent(config, Sizes.of(env.spec)),
        policy=lambda state: learner.networks(state.learner),
        iterations=config.iterations,
        env_steps=env_steps,
        networks=networks,
        trial=lambda seeds=1: trial(config, Sizes.of(env.spec), seeds),
    )


def _init(config: Config, env: WorldBatch, tx: Optimizers, key: PRNGKeyArray) -> TrainState:
    key, key_learner, key_worlds, key_warm = jax.random.split(key, 4)
    spec = env.env.spec
    fresh = learner.init(config, tx, spec.obs_size, spec.action_size, key_learner)
    rows = -(-config.capacity // config.worlds)
    rows = max(rows, (config.warmup + 1) * config.unroll)
    worlds_here = shards.share(config.worlds)  # on this device
    buffer = replay.init(rows, config.unroll, worlds_here, spec.obs_size, spec.action_size)
    worlds = env.reset(key_worlds, stagger=True)
    state = TrainState(jnp.zeros((), jnp.int32), fresh, worlds, buffer, key)

    shape = (config.unroll, config.worlds, spec.action_size)

    def warm(state: TrainState, key: PRNGKeyArray) -> tuple[TrainState, None]:
        actions = jax.random.uniform(key, shape, minval=-1, maxval=1)
        return _collect(config, env, lambda obs, action: action, state, actions)[0], None

    return jax.lax.scan(warm, state, jax.random.split(key_warm, config.warmup))[0]


def collect(
    config: Config, env: WorldBatch, state: TrainState, key: PRNGKeyArray
) -> tuple[TrainState, Metrics]:
    """First half of an iteration: inserts T steps of the policy in B worlds into the replay."""
    shape = (config.unroll, config.worlds, env.env.action_size)
    acting = learner.acting(config, state.learner)

    def policy(obs: Array, noise: Array) -> Array:
        return learner.act(acting, obs, noise)

    noise = jax.random.normal(key, shape)
    if config.noise_range != (1.0, 1.0):
        noise = _ladder(config)[:, None] * noise
    return _collect(config, env, policy, state, noise)


def _ladder(config: Config) -> Float[Array, " B"]:
    """Each world's factor on the noise, see `Config.noise_range`."""
    least, most = config.noise_range
    if most == 0:
        return jnp.zeros(config.worlds)
    return jnp.geomspace(least, most, config.worlds)


def _collect(
    config: Config,
    env: WorldBatch,
    policy: Policy[Array],
    state: TrainState,
    noise: Array,
) -> tuple[TrainState, Metrics]:
    noise = shards.local(noise, axis=1)
    worlds, trajectory, metrics = rollout.unroll(env, policy, state.worlds, noise)
    new_learner, metrics = learner.observe(state.learner, trajectory, metrics)
    buffer = replay.insert(state.replay, trajectory)
    state = state._replace(worlds=worlds, replay=buffer, learner=new_learner)
    return state, rollout.named(metrics)
