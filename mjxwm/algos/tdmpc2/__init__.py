"""TD-MPC2: a latent world model, an ensemble of Qs, a policy, and a planner that uses all three.

Hansen et al. 2024, arXiv 2310.16828. One iteration collects T steps in B worlds, with the planner
or, much faster, with the policy, and then makes `updates` updates on replayed windows.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import PartitionSpec
from jaxtyping import Array, Float, Int, PRNGKeyArray
from mjxwm_envs import shards
from mjxwm_envs.core import Source, WorldBatch, Worlds

from mjxwm.algos.tdmpc2 import networks, planner, updates
from mjxwm.algos.tdmpc2.config import (
    Config,
    NetworkConfig,
    Planning,
    discount,
    sized,
    validate,
    validate_planning,
)
from mjxwm.algos.tdmpc2.networks import Networks, TaskNetworks, TaskTable, for_task
from mjxwm.algos.tdmpc2.planner import plan_worlds
from mjxwm.algos.tdmpc2.updates import Learner, Optimizers, Rates
from mjxwm.data import replay, rollout
from mjxwm.data.replay import Replay, Sequence
from mjxwm.maths import finite, returns
from mjxwm.models import world_model
from mjxwm.models.world_model import Batch
from mjxwm.types import Agent, Algorithm, Controller, Followed, Metrics, Outlook, Sizes, StepCounts

__all__ = [
    "Config",
    "Learner",
    "NetworkConfig",
    "Networks",
    "Planning",
    "Rates",
    "TaskNetworks",
    "TaskTable",
    "TrainState",
    "agent",
    "discount",
    "for_task",
    "make",
    "plan_worlds",
    "planner",
    "rates",
    "sized",
    "updates",
    "validate",
    "validate_planning",
]


class TrainState(NamedTuple):
    """Everything that changes during training; this is what a checkpoint holds."""

    iteration: Int[Array, ""]
    learner: Learner
    worlds: Worlds
    plans: Float[Array, "B H a"]
    """Each world's plan of the previous step, see `planner.plan`."""
    replay: Replay
    key: PRNGKeyArray

    def layout(self) -> "TrainState":
        """How leaves are split over devices: along the axis of worlds; networks are copied."""
        whole = jax.tree.map(lambda x: PartitionSpec(), self)
        return whole._replace(
            worlds=self.worlds.layout(),
            plans=shards.spread(),
            replay=replay.layout(self.replay),
        )


def rates(config: Config) -> Rates:
    """The part of the configuration that an update takes."""
    return Rates(
        config.lr,
        config.encoder_lr,
        config.tau,
        config.entropy,
        config.networks.value,
        squashed=config.squashed,
    )


def agent(config: Config, sizes: Sizes) -> Agent:
    """How TD-MPC2 acts: by its policy, or by its planner if it collects with that.

    Its arrays are `Networks`.

    Raises:
        ValueError: a setting is out of range.
    """
    validate(config)
    table = _task_table(config, sizes)

    def init(key: PRNGKeyArray) -> Networks:
        return networks.init(config.networks, sizes.obs_size, sizes.action_size, 1, key=key)

    def act(policy: Networks, obs: Array, key: PRNGKeyArray | None = None) -> Array:
        nets = for_task(policy, table, 0)
        noise = None if key is None else jax.random.normal(key, (len(obs), sizes.action_size))
        return nets.act(nets.model.encode(obs), noise)

    def act_planned(policy: Networks, plans: Array, obs: Array) -> tuple[Array, Array]:
        # The same key in every step makes evaluations deterministic.
        nets = for_task(policy, table, 0)
        return plan_worlds(config.planning, nets, plans, obs, jax.random.key(0), False)

    def empty_plans(worlds: int) -> Array:
        return _empty_plans(config, sizes.action_size, worlds)

    planner = Controller(empty_plans, act_planned) if config.collect_with == "planner" else None
    return Agent(init, act, planner, outlook=_outlook(config, table, sizes))


def _outlook(config: Config, table: TaskTable, sizes: Sizes) -> Outlook:
    """What its policy expects without the planner: the mean of the Qs, the rewards of the model."""

    def value(policy: Networks, obs: Array) -> Array:
        nets = for_task(policy, table, 0)
        z = nets.model.encode(obs)
        return nets.values(z, nets.act(z, None)).mean(axis=0)

    def imagine(policy: Networks, obs: Array) -> Array:
        nets = for_task(policy, table, 0)
        noise = jnp.zeros((config.horizon, len(obs), sizes.action_size))
        z = nets.model.encode(obs)
        imagined = world_model.imagine(nets.model, lambda z, _: nets.act(z, None), z, noise)
        return imagined.reward * returns.discount_products(imagined.going_on)[:-1]

    def follow(policy: Networks, obs: Array, action: Array) -> Followed:
        model = for_task(policy, table, 0).model
        z = model.encode(obs)
        followed = world_model.imagine(model, lambda _, action: action, z[0], action)
        return Followed(followed.z, z, followed.reward)

    return Outlook(_gamma(config, sizes), value, imagine, follow)


def _empty_plans(config: Config, action_size: int, worlds: int) -> Array:
    return jnp.zeros((worlds, config.planning.plan_horizon, action_size))


def make(config: Config, env: Source) -> Algorithm:
    """TD-MPC2 on `env`; raises ValueError if a setting is out of range."""
    validate(config)
    sizes = Sizes.of(env.spec)
    batch_env = env.batch(config.worlds)
    tx = updates.optimizers(rates(config), config.iterations * config.updates)
    table = _task_table(config, sizes)

    def iterate(state: TrainState) -> tuple[TrainState, Metrics]:
        key, key_act, key_update = jax.random.split(state.key, 3)
        state, metrics = _collect(config, batch_env, table, state._replace(key=key), key_act)
        learned, trained = _learn(config, tx, table, state, key_update)
        metrics = shards.mean({**metrics, **trained})
        return learned._replace(iteration=state.iteration + 1), metrics

    def env_steps(iteration: int) -> int:
        return (config.warmup + iteration) * config.steps_per_iteration

    def init(key: PRNGKeyArray) -> TrainState:
        plans = _empty_plans(config, sizes.action_size, shards.share(config.worlds))
        return _init(config, batch_env, tx, plans, key)

    return Algorithm(
        init=jax.jit(init),
        iterate=iterate,
        agent=agent(config, sizes),
        policy=lambda state: state.learner.networks,
        iterations=config.iterations,
        env_steps=env_steps,
        networks=_networks,
    )


def _networks(state: TrainState) -> dict[str, Any]:
    nets = state.learner.networks
    return {"world model": nets.model, "Qs": nets.q, "policy": nets.policy}


def _task_table(config: Config, sizes: Sizes) -> TaskTable:
    return TaskTable(jnp.ones((1, sizes.action_size)), jnp.full(1, _gamma(config, sizes)))


def _gamma(config: Config, sizes: Sizes) -> float:
    return discount(sizes.episode_length) if config.gamma is None else config.gamma


def _init(
    config: Config, env: WorldBatch, tx: Optimizers, plans: Array, key: PRNGKeyArray
) -> TrainState:
    key, key_learner, key_worlds, key_warm = jax.random.split(key, 4)
    spec = env.env.spec
    fresh = networks.init(config.networks, spec.obs_size, spec.action_size, 1, key=key_learner)
    rows = -(-config.capacity // config.worlds)
    rows = max(rows, (config.warmup + 1) * config.unroll)
    worlds_here = shards.share(config.worlds)  # on this device
    buffer = replay.init(rows, config.unroll, worlds_here, spec.obs_size, spec.action_size)
    worlds = env.reset(key_worlds, stagger=True)

    def warm(carry: tuple[Worlds, Replay], key: PRNGKeyArray) -> tuple[Any, None]:
        worlds, buffer = carry
        shape = (config.unroll, config.worlds, spec.action_size)
        actions = shards.local(jax.random.uniform(key, shape, minval=-1, maxval=1), axis=1)
        worlds, trajectory, _ = rollout.unroll(env, lambda obs, a: a, worlds, actions)
        return (worlds, replay.insert(buffer, trajectory)), None

    keys = jax.random.split(key_warm, config.warmup)
    (worlds, buffer), _ = jax.lax.scan(warm, (worlds, buffer), keys)
    learner = updates.init(tx, fresh)
    return TrainState(jnp.zeros((), jnp.int32), learner, worlds, plans, buffer, key)


def _collect(
    config: Config, env: WorldBatch, table: TaskTable, state: TrainState, key: PRNGKeyArray
) -> tuple[TrainState, Metrics]:
    nets = for_task(state.learner.networks, table, 0)

    def planned(plans: Array, worlds: Worlds, key: PRNGKeyArray) -> tuple[Array, Array]:
        plans = jnp.where((worlds.steps == 0)[:, None, None], 0, plans)
        return plan_worlds(config.planning, nets, plans, worlds.obs, key, True)

    def sampled(plans: Array, worlds: Worlds, key: PRNGKeyArray) -> tuple[Array, Array]:
        noise = shards.local(jax.random.normal(key, (config.worlds, env.env.action_size)))
        return plans, nets.act(nets.model.encode(worlds.obs), noise)

    policy = planned if config.collect_with == "planner" else sampled
    keys = jax.random.split(key, config.unroll)
    plans, worlds, trajectory, metrics = rollout.unroll_with_memory(
        env, policy, state.plans, state.worlds, keys
    )
    buffer = replay.insert(state.replay, trajectory)
    state = state._replace(worlds=worlds, plans=plans, replay=buffer)
    return state, rollout.named(metrics)


def _learn(
    config: Config, tx: Optimizers, table: TaskTable, state: TrainState, key: PRNGKeyArray
) -> tuple[TrainState, Metrics]:
    task = jnp.zeros(shards.share(config.batch), jnp.int32)
    length = config.horizon + 1

    def step(learner: Learner, inputs: tuple[PRNGKeyArray, Any]) -> tuple[Learner, Metrics]:
        (key_sample, key_update), counts = inputs
        windows = replay.sample(state.replay, key_sample, config.batch, length)
        return updates.update(
            config.networks.model, rates(config), tx, learner, table, batch(windows, counts), task,
            key_update,
        )  # fmt: skip

    keys = jax.random.split(key, (config.updates, 2))
    counts = replay.step_counts(state.replay, keys[:, 0], config.batch, length)
    learner = updates.packed(tx, state.learner)
    learner, metrics = jax.lax.scan(step, learner, (keys, counts))
    return state._replace(learner=updates.unpacked(tx, learner)), finite.over_updates(metrics)


def batch(windows: Sequence, counts: StepCounts | None = None) -> Batch:
    """Input of the world model's losses from N windows of H + 1 steps; rewards are not scaled."""
    dtype = windows.reward.dtype
    return Batch(
        obs=windows.obs,
        action=windows.action[:-1],
        reward=windows.reward[:-1],
        terminated=windows.terminated[:-1].astype(dtype),
        mask=windows.mask[:-1].astype(dtype),
        next_mask=windows.next_mask[:-1].astype(dtype),
        counts=counts,
    )
