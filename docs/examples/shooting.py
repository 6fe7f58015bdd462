"""An algorithm of your own with a replay and a world model: plans by trying actions in the model.

Model predictive path integral control (Williams et al. 2015) in the latent space of a world model,
which is learned from what the planner did.
"""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from mjxwm.algos import Entry
from mjxwm.algos.budget import Replayed
from mjxwm.data import replay, rollout
from mjxwm.maths import moments
from mjxwm.models import world_model
from mjxwm.models.optimizer import Optimizer
from mjxwm.models.world_model import WorldModel
from mjxwm.types import Agent, Algorithm, Sizes


@dataclasses.dataclass(frozen=True)
class Config(Replayed):
    env_steps: int = 60_000
    worlds: int = 16
    unroll: int = 16  # steps of each world per iteration
    warmup: int = 8  # iterations' worth of random actions before the first update
    capacity: int = 100_000  # steps that the replay keeps, of all worlds together
    update_ratio: float = 8  # steps that are replayed for each one collected
    batch: int = 64
    horizon: int = 8  # steps of a window that the model learns from
    plan: int = 16  # steps that the planner looks ahead
    candidates: int = 128  # sequences of actions that it tries
    temperature: float = 0.5
    rate: float = 1e-3
    model: world_model.Config = world_model.Config(
        latent=64,
        encoder=(64,),
        hidden=(128, 128),
        reward_head="two-hot",
        consistency=20.0,
        reward=0.1,
    )


class Policy(NamedTuple):
    model: WorldModel
    obs: moments.Moments


class State(NamedTuple):
    iteration: jax.Array
    policy: Policy
    optimizer: object
    worlds: object  # the loop and the recorder of data look for these two names
    replay: replay.Replay
    key: jax.Array


def agent(config: Config, sizes: Sizes) -> Agent:
    def init(key):
        model = WorldModel.create(config.model, sizes.obs_size, sizes.action_size, key=key)
        return Policy(model, moments.init((sizes.obs_size,)))

    def act(policy, obs, key=None):
        model, key = policy.model, jax.random.key(0) if key is None else key
        shape = (config.plan, len(obs), config.candidates, sizes.action_size)
        actions = jax.random.uniform(key, shape, minval=-1, maxval=1)
        z = model.encode(moments.normalize(policy.obs, obs))[:, None]
        z = jnp.broadcast_to(z, (len(obs), config.candidates, z.shape[-1]))

        def step(carry, action):
            z, total, going_on = carry
            total += going_on * model.reward(z, action)
            z = model.predict(z, action)
            return (z, total, going_on * model.going_on(z)), None

        ones = jnp.ones(z.shape[:-1])
        (_, total, _), _ = jax.lax.scan(step, (z, 0 * ones, ones), actions)
        spread = total.std(axis=-1, keepdims=True) + 1e-6
        weight = jax.nn.softmax(
            (total - total.mean(axis=-1, keepdims=True)) / spread / config.temperature
        )
        return jnp.einsum("bc,bca->ba", weight, actions[0])

    return Agent(init, act)


def make(config: Config, env) -> Algorithm:
    config.check_warmup()
    sizes, batch = Sizes.of(env.spec), env.batch(config.worlds)
    actor, adam = agent(config, sizes), Optimizer(optax.adam(config.rate))

    def collect(state, act):
        key, key_act = jax.random.split(state.key)
        keys = jax.random.split(key_act, config.unroll)
        worlds, steps, metrics = rollout.unroll(batch, act, state.worlds, keys)
        seen = jax.tree.map(lambda x: x[None], moments.of(steps.obs, 2, steps.valid))
        policy = state.policy._replace(obs=moments.merge(state.policy.obs, seen))
        buffer = replay.insert(state.replay, steps)
        return state._replace(worlds=worlds, replay=buffer, policy=policy, key=key), metrics

    def init(key):
        key, key_policy, key_worlds = jax.random.split(key, 3)
        policy, rows = actor.init(key_policy), -(-config.capacity // config.worlds)
        buffer = replay.init(rows, config.unroll, config.worlds, sizes.obs_size, sizes.action_size)
        start = batch.reset(key_worlds, stagger=True)
        state = State(jnp.zeros((), jnp.int32), policy, adam.init(policy.model), start, buffer, key)

        def random(obs, key):
            return jax.random.uniform(key, (len(obs), sizes.action_size), minval=-1, maxval=1)

        return jax.lax.fori_loop(0, config.warmup, lambda _, s: collect(s, random)[0], state)

    def iterate(state):
        state, metrics = collect(state, lambda obs, key: actor.act(state.policy, obs, key))
        key, key_updates = jax.random.split(state.key)

        def update(carry, key):
            model, moments_of_adam = carry
            windows = replay.sample(state.replay, key, config.batch, config.horizon + 1)
            taken = world_model.Batch(
                obs=moments.normalize(state.policy.obs, windows.obs),
                action=windows.action[:-1],
                reward=windows.reward[:-1],
                terminated=windows.terminated[:-1].astype(float),
                mask=windows.mask[:-1].astype(float),
                next_mask=windows.next_mask[:-1].astype(float),
            )
            slope, (parts, _) = jax.grad(world_model.loss, has_aux=True)(model, config.model, taken)
            model, moments_of_adam, skipped = adam.step(model, slope, moments_of_adam)
            return (model, moments_of_adam), (parts, skipped)

        keys = jax.random.split(key_updates, config.updates)
        carry = state.policy.model, state.optimizer
        (model, optimizer), (parts, skipped) = jax.lax.scan(update, carry, keys)
        policy = state.policy._replace(model=model)
        state = state._replace(iteration=state.iteration + 1, policy=policy, optimizer=optimizer)
        losses = {f"model/{name}": x.mean() for name, x in parts.items()}
        metrics = rollout.named(metrics) | losses | {"guard/model": skipped.sum()}
        return state._replace(key=key), metrics

    return Algorithm(
        init=jax.jit(init),
        iterate=iterate,
        agent=actor,
        policy=lambda state: state.policy,
        iterations=config.iterations,
        env_steps=lambda iteration: (config.warmup + iteration) * config.steps_per_iteration,
        networks=lambda state: {"world model": state.policy.model},
    )


ENTRY = Entry(Config, make, agent)
