"""How many contacts and constraint rows a task has, and what engine warp makes room for.

MuJoCo Warp's buffers are allocated beforehand. By default they hold everything that could ever be
active at once in a world, often many times what is.
"""

import dataclasses
import warnings
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float, Int

from mjxwm_envs import engines, seeds
from mjxwm_envs.engines.limits import Limits
from mjxwm_envs.env import Env


class Need(NamedTuple):
    """Contacts and rows per world, over states on the way of random actions."""

    usual: Limits
    """What 99 of 100 states have at most."""
    most: Limits
    states: int


def need(env: Env, actions: Float[np.ndarray, "T B a"], seed: int) -> Need:
    """What C MuJoCo finds, at the end of each action.

    Args:
        env: a task of ours, on any engine.
        actions: for each step and world.
        seed: of the starts.
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

    found = [np.asarray(x, int).ravel() for x in run(seeds.key(seed))]
    return Need(_at(found, 0.99), _at(found, 1.0), found[0].size)


def bound(env: Env) -> Limits:
    """What engine warp makes room for by default, per world.

    Raises:
        ValueError: it refuses the body, or there is no bound.
    """
    import warp

    settings: Any = warp.config  # pyright takes it for another module
    settings.quiet = True  # no banner in the middle of what is reported
    engine = env.engine
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made: Any = engines.make("warp", engine.model, engine.n_substeps, env.task.derived)
    return made.room


def described(env: Env, actions: Float[np.ndarray, "T B a"], seed: int) -> str:
    """Need and bound in words, and how to ask for less room."""
    usual, most, states = need(env, actions, seed)
    said = (
        f"{usual.contacts} contacts and {usual.rows} rows a world in 99 of 100 of {states:,} "
        f"states, {most.contacts} and {most.rows} at most"
    )
    try:
        room = bound(env)
    except ValueError as error:
        return f"{said}; engine='warp' has none: {error}"
    return (
        f"{said}; engine='warp' makes room for {room.contacts} and {room.rows}, fewer with "
        "contacts_per_world and rows_per_world"
    )


def _at(found: list[Int[np.ndarray, " n"]], share: float) -> Limits:
    return Limits(*(int(np.quantile(x, share, method="higher")) for x in found))
