"""Policy learning through a world model (PWM): first-order policy gradients in imagination.

Georgiev et al. 2024, arXiv 2407.02466. One iteration collects T steps in B worlds, closed loop, and
then repeats, as often as the data call for: a world-model update on replayed windows, an actor
update through H imagined steps, and critic updates on what was imagined. Against the released code:
the terminal value weighs gamma^H, the policy sees every real observation, ends of episodes are
learned and respected in imagination, and the number of updates follows the data collected.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import PartitionSpec
from jaxtyping import Array, Int, PRNGKeyArray
from mjxwm_envs import shards
from mjxwm_envs.core import Source, WorldBatch, Worlds

from mjxwm.algos.pwm import learner
from mjxwm.algos.pwm.config import Config, validate
from mjxwm.algos.pwm.critics import fit_critic, replayed_targets, update_critic
from mjxwm.algos.pwm.learner import Learner, Optimizers, encode, reward_scale
from mjxwm.algos.pwm.updates import (
    actor_loss,
    run_updates,
    update_actor,
    update_model,
    update_policy,
)
from mjxwm.data import replay, rollout
from mjxwm.data.replay import Replay
from mjxwm.types import Algorithm, Metrics, Policy

__all__ = [
    "Config",
    "Learner",
    "Optimizers",
    "TrainState",
    "actor_loss",
    "collect",
    "encode",
    "fit_critic",
    "make",
    "replayed_targets",
    "reward_scale",
    "run_updates",
    "update_actor",
    "update_critic",
    "update_model",
    "update_policy",
    "validate",
]


class TrainState(NamedTuple):
    """Everything that changes; a checkpoint is exactly this."""

    iteration: Int[Array, ""]
    learner: Learner
    worlds: Worlds
    replay: Replay
    key: PRNGKeyArray

    def layout(self) -> "TrainState":
        """The axis of each leaf that is spread over devices: that of the worlds."""
        whole = jax.tree.map(lambda x: PartitionSpec(), self)
        return whole._replace(worlds=self.worlds.layout(), replay=replay.layout(self.replay))


def make(config: Config, env: Source) -> Algorithm:
    """PWM on `env`.

    Raises:
        ValueError: a setting out of range, named with its range.
    """
    validate(config)
    batch_env = env.batch(config.worlds)
    tx = learner.optimizers(config)

    def act(state: TrainState, obs: Array, key: PRNGKeyArray | None = None) -> Array:
        noise = None if key is None else jax.random.normal(key, (len(obs), env.action_size))
        return learner.act(state.learner, obs, noise)

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
        return {"world model": state.learner.model, "actor": state.learner.actor}

    return Algorithm(jax.jit(init), iterate, act, config.iterations, env_steps, networks)


def _init(config: Config, env: WorldBatch, tx: Optimizers, key: PRNGKeyArray) -> TrainState:
    key, key_learner, key_worlds, key_warm = jax.random.split(key, 4)
    spec = env.env.spec
    fresh = learner.init(config, tx, spec.obs_size, spec.action_size, key_learner)
    rows = -(-config.capacity // config.worlds)
    rows = max(rows, (config.warmup + 1) * config.unroll)
    here = shards.share(config.worlds)
    buffer = replay.init(rows, config.unroll, here, spec.obs_size, spec.action_size)
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
    """The first half of an iteration: T steps of the policy in B worlds, put into the replay."""
    shape = (config.unroll, config.worlds, env.env.action_size)
    acting = learner.acting(config, state.learner)

    def policy(obs: Array, noise: Array) -> Array:
        return learner.act(acting, obs, noise)

    return _collect(config, env, policy, state, jax.random.normal(key, shape))


def _collect(
    config: Config,
    env: WorldBatch,
    policy: Policy[Array],
    state: TrainState,
    noise: Array,
) -> tuple[TrainState, Metrics]:
    noise = shards.local(noise, axis=1)
    worlds, trajectory, metrics = rollout.unroll(env, policy, state.worlds, noise)
    seen, metrics = learner.observe(state.learner, trajectory, metrics)
    buffer = replay.insert(state.replay, trajectory)
    state = state._replace(worlds=worlds, replay=buffer, learner=seen)
    return state, {f"collect/{name}": x for name, x in metrics.items()}
