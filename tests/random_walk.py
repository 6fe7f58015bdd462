"""An algorithm that learns nothing and compiles at once: a random walk whose place acts."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from mjxwm.algos import pwm
from mjxwm.runs.config import Config
from mjxwm.types import Agent, Algorithm

CONFIG = Config(
    task="probe",
    seed=5,
    evaluations=2,
    checkpoints=1,
    episodes=3,
    video=False,
    algo=pwm.Config(env_steps=6 * 8, worlds=2, unroll=4, warmup=0),
)
"""Six iterations of it, to be made with `build.make_env` and `build._make` replaced."""


class Walk(NamedTuple):
    iteration: Any
    place: Any
    """Its first number is what the policy does."""
    key: Any


def walk(config, env):
    def init(key):
        return Walk(jnp.zeros((), jnp.int32), jax.random.normal(key, (2,)), key)

    def iterate(state):
        key, step = jax.random.split(state.key)
        place = state.place + jax.random.normal(step, (2,))
        return Walk(state.iteration + 1, place, key), {"model/loss": place[1]}

    def act(place, obs, key=None):
        return jnp.full((len(obs), 1), jnp.tanh(place[0]))

    algo = config.algo
    steps = algo.steps_per_iteration
    agent = Agent(lambda key: init(key).place, act)
    return Algorithm(
        jax.jit(init), iterate, agent, lambda s: s.place, algo.iterations, lambda i: i * steps
    )
