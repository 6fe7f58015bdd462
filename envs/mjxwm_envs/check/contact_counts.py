"""Counts a task's contacts and constraint rows, and compares them with engine warp's buffers.

MuJoCo Warp's buffers are allocated beforehand. By default they hold all contacts and rows that
could ever be active at once in a world, often many times as many as are.
"""

import dataclasses
import warnings
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float, Int

from mjxwm_envs import engines, seeds
from mjxwm_envs.engines.buffer_sizes import BufferSizes
from mjxwm_envs.env import Env


class Counts(NamedTuple):
    """Contacts and rows per world, over the states of episodes with random actions."""

    usual: BufferSizes
    """The most in 99 of 100 states."""
    most: BufferSizes
    """The most in any state."""
    states: int
    """Number of states that were counted."""


def count(env: Env, actions: Float[np.ndarray, "T B a"], seed: int) -> Counts:
    """Contacts and rows that C MuJoCo has at the end of each action.

    Args:
        env: a task on any engine.
        actions: the actions of T steps in B worlds, in [-1, 1].
        seed: seed of the start states.
    """
    engine, counted = env.engine, ("ncon", "nefc")
    native = engines.make("native", engine.model, engine.n_substeps, (*env.task.derived, *counted))
    batch = dataclasses.replace(env, engine=native).batch(actions.shape[1])

    @jax.jit
    def run(key: Any) -> Any:
        def step(worlds: Any, action: Any) -> Any:
            worlds, _ = batch.step(worlds, action)
            derived = worlds.state.sim.physics.derived
            return worlds, [derived[name] for name in counted]

        return jax.lax.scan(step, batch.reset(key), actions)[1]

    counts = [np.asarray(x, int).ravel() for x in run(seeds.key(seed))]
    return Counts(_at(counts, 0.99), _at(counts, 1.0), counts[0].size)


def default_buffers(env: Env) -> BufferSizes:
    """Engine warp's default buffer sizes for one world.

    Raises:
        ValueError: it refuses the model, or no upper bound is known.
    """
    engines.quiet_warp()  # no banner in the middle of the report
    engine = env.engine
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        simulator: Any = engines.make("warp", engine.model, engine.n_substeps, env.task.derived)
    return simulator.buffer_sizes


def describe(env: Env, actions: Float[np.ndarray, "T B a"], seed: int) -> str:
    """Counts and default buffer sizes as text, with the options that make buffers smaller."""
    usual, most, states = count(env, actions, seed)
    text = (
        f"{usual.contacts} contacts and {usual.rows} rows a world in 99 of 100 of {states:,} "
        f"states, {most.contacts} and {most.rows} at most"
    )
    try:
        sizes = default_buffers(env)
    except ValueError as error:
        return f"{text}; engine='warp' has none: {error}"
    return (
        f"{text}; engine='warp' makes room for {sizes.contacts} and {sizes.rows}, fewer with "
        "contacts_per_world and rows_per_world"
    )


def _at(counts: list[Int[np.ndarray, " n"]], share: float) -> BufferSizes:
    return BufferSizes(*(int(np.quantile(x, share, method="higher")) for x in counts))
