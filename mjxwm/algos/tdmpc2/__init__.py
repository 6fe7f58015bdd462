"""TD-MPC2: a latent world model, an ensemble of Qs, a policy, and a planner that uses all three.

Hansen et al. 2024, arXiv 2310.16828. One iteration collects T steps in B worlds, planned (or, much
faster, by the policy alone), and then updates on replayed windows as often as the data call for.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from envs.batch import BatchEnv, Worlds
from envs.core import Source
from mjxwm import replay, rollout
from mjxwm.algos.tdmpc2 import networks, planner, updates
from mjxwm.algos.tdmpc2.config import (
    Config,
    NetworkConfig,
    Planning,
    discount,
    sized,
    validate,
)
from mjxwm.algos.tdmpc2.networks import Given, Networks, Tasks, given
from mjxwm.algos.tdmpc2.updates import Learner, Optimizers, Rates
from mjxwm.replay import Replay, Sequence
from mjxwm.types import Algorithm, Metrics, Planner
from mjxwm.world_model import Batch

__all__ = [
    "Config",
    "Given",
    "Learner",
    "NetworkConfig",
    "Networks",
    "Planning",
    "Rates",
    "Tasks",
    "TrainState",
    "discount",
    "given",
    "make",
    "plan_worlds",
    "planner",
    "rates",
    "sized",
    "updates",
    "validate",
]


class TrainState(NamedTuple):
    """Everything that changes; a checkpoint is exactly this."""

    iteration: Int[Array, ""]
    learner: Learner
    worlds: Worlds
    plans: Float[Array, "B H a"]
    replay: Replay
    key: PRNGKeyArray


def rates(config: Config) -> Rates:
    """The settings of an update."""
    return Rates(config.lr, config.encoder_lr, config.tau, config.entropy, config.networks.value)


def make(config: Config, env: Source) -> Algorithm:
    """TD-MPC2 on `env`.

    Raises:
        ValueError: a setting out of range, named with its range.
    """
    validate(config)
    batch_env = env.worlds(config.worlds)
    tx = updates.optimizers(rates(config))
    tasks = _tasks(config, env)

    def plan(state: TrainState, plans: Array, obs: Array, keys: Array, explore: bool) -> Any:
        return plan_worlds(
            config.planning, given(state.learner.networks, tasks, 0), plans, obs, keys, explore
        )

    def act(state: TrainState, obs: Array, key: PRNGKeyArray | None = None) -> Array:
        those = given(state.learner.networks, tasks, 0)
        noise = None if key is None else jax.random.normal(key, (len(obs), env.action_size))
        return those.act(those.model.encode(obs), noise)

    def act_planned(state: TrainState, plans: Array, obs: Array) -> tuple[Array, Array]:
        # The same noise in every step: an evaluation is deterministic.
        return plan(state, plans, obs, jax.random.split(jax.random.key(0), len(obs)), False)

    def no_plans(worlds: int) -> Array:
        return jnp.zeros((worlds, config.planning.plan_horizon, env.action_size))

    def iterate(state: TrainState) -> tuple[TrainState, Metrics]:
        key, key_act, key_update = jax.random.split(state.key, 3)
        state, metrics = _collect(config, batch_env, tasks, state._replace(key=key), key_act)
        learned, trained = _learn(config, tx, tasks, state, key_update)
        return learned._replace(iteration=state.iteration + 1), {**metrics, **trained}

    def env_steps(iteration: int) -> int:
        return (config.warmup + iteration) * config.steps_per_iteration

    def init(key: PRNGKeyArray) -> TrainState:
        return _init(config, batch_env, tx, no_plans(config.worlds), key)

    def parts(state: TrainState) -> dict[str, Any]:
        nets = state.learner.networks
        return {"world model": nets.model, "Qs": nets.q, "policy": nets.policy}

    planned = Planner(no_plans, act_planned) if config.collect_with == "planner" else None
    return Algorithm(
        init,
        iterate,
        act,
        config.iterations,
        env_steps,
        parts,
        planned,
        replay=lambda state: state.replay,
    )


def _tasks(config: Config, env: Source) -> Tasks:
    gamma = discount(env.spec.episode_length) if config.gamma is None else config.gamma
    return Tasks(jnp.ones((1, env.action_size)), jnp.full(1, gamma))


def plan_worlds(
    planning: Planning,
    those: Given,
    plans: Float[Array, "B H a"],
    obs: Float[Array, "B o"],
    keys: PRNGKeyArray,
    explore: bool,
) -> tuple[Float[Array, "B H a"], Float[Array, "B a"]]:
    """`planner.plan` for B worlds of one task in one call: the plans and their first actions."""
    z = those.model.encode(obs)
    pairs = planner.q_pairs(planning, those, plans.shape[-1], jax.random.fold_in(keys[0], 1))

    def one(z: Array, previous: Array, key: Array) -> tuple[Array, Array]:
        return planner.plan(planning, those, z, previous, key, pairs, explore)

    return jax.vmap(one)(z, plans, keys)


def _init(
    config: Config, env: BatchEnv, tx: Optimizers, plans: Array, key: PRNGKeyArray
) -> TrainState:
    key, key_learner, key_worlds, key_warm = jax.random.split(key, 4)
    spec = env.env.spec
    fresh = networks.init(config.networks, spec.obs_size, spec.action_size, 1, key=key_learner)
    rows = -(-config.capacity // config.worlds)
    rows = max(rows, (config.warmup + 1) * config.unroll)
    buffer = replay.init(rows, config.unroll, config.worlds, spec.obs_size, spec.action_size)
    worlds = env.reset(key_worlds, stagger=True)

    def warm(carry: tuple[Worlds, Replay], key: PRNGKeyArray) -> tuple[Any, None]:
        worlds, buffer = carry
        shape = (config.unroll, config.worlds, spec.action_size)
        actions = jax.random.uniform(key, shape, minval=-1, maxval=1)
        worlds, trajectory, _ = rollout.unroll(env, lambda obs, a: a, worlds, actions)
        return (worlds, replay.insert(buffer, trajectory)), None

    keys = jax.random.split(key_warm, config.warmup)
    (worlds, buffer), _ = jax.lax.scan(warm, (worlds, buffer), keys)
    learner = updates.init(tx, fresh)
    return TrainState(jnp.zeros((), jnp.int32), learner, worlds, plans, buffer, key)


def _collect(
    config: Config, env: BatchEnv, tasks: Tasks, state: TrainState, key: PRNGKeyArray
) -> tuple[TrainState, Metrics]:
    those = given(state.learner.networks, tasks, 0)

    def planned(plans: Array, worlds: Worlds, keys: Array) -> tuple[Array, Array]:
        plans = jnp.where((worlds.steps == 0)[:, None, None], 0, plans)
        return plan_worlds(config.planning, those, plans, worlds.obs, keys, True)

    def sampled(plans: Array, worlds: Worlds, keys: Array) -> tuple[Array, Array]:
        noise = jax.random.normal(keys[0], (config.worlds, env.env.action_size))
        return plans, those.act(those.model.encode(worlds.obs), noise)

    policy = planned if config.collect_with == "planner" else sampled
    keys = jax.random.split(key, (config.unroll, config.worlds))
    plans, worlds, trajectory, metrics = rollout.unroll_with_memory(
        env, policy, state.plans, state.worlds, keys
    )
    buffer = replay.insert(state.replay, trajectory)
    state = state._replace(worlds=worlds, plans=plans, replay=buffer)
    return state, {f"collect/{name}": x for name, x in metrics.items()}


def _learn(
    config: Config, tx: Optimizers, tasks: Tasks, state: TrainState, key: PRNGKeyArray
) -> tuple[TrainState, Metrics]:
    task = jnp.zeros(config.batch, jnp.int32)

    def step(learner: Learner, key: PRNGKeyArray) -> tuple[Learner, Metrics]:
        key_sample, key_update = jax.random.split(key)
        windows = replay.sample(state.replay, key_sample, config.batch, config.horizon + 1)
        return updates.update(
            config.networks.model, rates(config), tx, learner, tasks, batch(windows), task,
            key_update,
        )  # fmt: skip

    keys = jax.random.split(key, config.updates)
    learner, metrics = jax.lax.scan(step, state.learner, keys)
    return state._replace(learner=learner), jax.tree.map(jnp.mean, metrics)


def batch(windows: Sequence) -> Batch:
    """Windows of H + 1 steps as the world model's losses want them, in the task's own units."""
    dtype = windows.reward.dtype
    return Batch(
        obs=windows.obs,
        action=windows.action[:-1],
        reward=windows.reward[:-1],
        terminated=windows.terminated[:-1].astype(dtype),
        mask=windows.mask[:-1].astype(dtype),
        next_mask=windows.next_mask[:-1].astype(dtype),
    )
