"""What whole episodes return without a policy: under no action, or under random ones."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool

from mjxwm_envs import seeds
from mjxwm_envs.core import Step
from mjxwm_envs.env import Env

WORLDS = 16
"""Episodes that are played."""


def play(env: Env, scale: float, seed: int) -> tuple[Step, Bool[Array, "T B"]]:
    """First episodes of `WORLDS` worlds, one of each.

    Args:
        env: the environment.
        scale: actions are uniform in [-scale, scale], anew in every step.
        seed: of start states and actions.

    Returns:
        Steps with leaves [T, B], and which of them are of the first episode.
    """
    batch, key = env.batch(WORLDS), seeds.key(seed)

    def one(carry: tuple[Any, Array, Array], _: None) -> Any:
        worlds, key, running = carry
        key, draw = jax.random.split(key)
        shape = (WORLDS, env.action_size)
        worlds, step = batch.step(worlds, scale * jax.random.uniform(draw, shape, minval=-1.0))
        return (worlds, key, running & ~(step.terminated | step.truncated)), (step, running)

    @jax.jit
    def run(key: Array) -> Any:
        start = batch.reset(key), key, jnp.ones(WORLDS, bool)
        return jax.lax.scan(one, start, length=env.episode_length)[1]

    return jax.device_get(run(key))


def describe(env: Env, scale: float, seed: int) -> str:
    """Return, length and ends of episodes, and the terms' means of a step, in words."""
    step, running = play(env, scale, seed)
    last = running & (step.terminated | step.truncated)
    returns, lengths = step.episode_return[last], step.episode_length[last]
    if not len(returns):
        return "no episode came to its end"
    early = f"{step.terminated[last].mean():.0%} of them by terminated"
    terms = {
        name: float(np.mean(values[running], where=np.isfinite(values[running])))
        for name, values in step.terms.items()
    }
    parts = ", ".join(f"{name} {value:.3g}" for name, value in terms.items())
    return (
        f"return {returns.mean():.1f}; episodes end after {lengths.mean():.0f} of "
        f"{env.episode_length} steps, {early}" + (f"; terms of a step: {parts}" if parts else "")
    )
