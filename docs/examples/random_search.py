"""An algorithm of your own, the smallest: augmented random search (Mania et al. 2018)."""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp

from mjxwm.algos import Entry
from mjxwm.algos.budget import AlgorithmConfig
from mjxwm.data import rollout
from mjxwm.maths import moments
from mjxwm.types import Agent, Algorithm, Sizes


@dataclasses.dataclass(frozen=True)
class Config(AlgorithmConfig):
    env_steps: int = 3_000_000
    worlds: int = 128  # half of them try a change of the weights, the others its opposite
    unroll: int = 250  # steps of a trial
    change: float = 0.05
    rate: float = 0.05

    @property
    def steps_per_iteration(self):
        return self.worlds * self.unroll

    @property
    def updates(self):
        return 1


class Policy(NamedTuple):
    weights: jax.Array  # [o, a]
    obs: moments.Moments


class State(NamedTuple):
    iteration: jax.Array
    policy: Policy
    key: jax.Array


def agent(config: Config, sizes: Sizes) -> Agent:
    def init(key):
        weights = jnp.zeros((sizes.obs_size, sizes.action_size))
        return Policy(weights, moments.init((sizes.obs_size,)))

    def act(policy, obs, key=None):
        return jnp.tanh(moments.normalize(policy.obs, obs) @ policy.weights)

    return Agent(init, act)


def make(config: Config, env) -> Algorithm:
    batch, actor = env.batch(config.worlds), agent(config, Sizes.of(env.spec))

    def init(key):
        return State(jnp.zeros((), jnp.int32), actor.init(key), key)

    def iterate(state):
        key, key_worlds, key_change = jax.random.split(state.key, 3)
        shape = (config.worlds // 2, *state.policy.weights.shape)
        change = config.change * jax.random.normal(key_change, shape)
        tried = state.policy.weights + jnp.concatenate([change, -change])  # [B, o, a]

        def act(obs, _):
            return jax.vmap(lambda w, o: actor.act(state.policy._replace(weights=w), o))(tried, obs)

        worlds = batch.reset(key_worlds)
        _, steps, metrics = rollout.unroll(batch, act, worlds, jnp.zeros(config.unroll))
        going_on = ~(steps.terminated | steps.truncated | ~steps.valid)  # [T, B]
        first = jnp.cumprod(jnp.concatenate([jnp.ones_like(going_on[:1]), going_on[:-1]]), axis=0)
        total = (first * steps.reward).sum(axis=0)
        plus, minus = jnp.split(total, 2)
        step = jnp.einsum("b,boa->oa", plus - minus, change) / (len(plus) * (total.std() + 1e-6))
        seen = jax.tree.map(lambda x: x[None], moments.of(steps.obs, 2, steps.valid))
        weights = state.policy.weights + config.rate / config.change * step
        policy = Policy(weights, moments.merge(state.policy.obs, seen))
        return State(state.iteration + 1, policy, key), rollout.named(metrics)

    return Algorithm(
        init=jax.jit(init),
        iterate=iterate,
        agent=actor,
        policy=lambda state: state.policy,
        iterations=config.iterations,
        env_steps=lambda iteration: iteration * config.steps_per_iteration,
        networks=lambda state: {"weights": state.policy.weights},
    )


ENTRY = Entry(Config, make, agent)
