"""Checks the arguments of gymnasium's `reset` and `step`: seeds, options and actions."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium.utils import seeding
from jaxtyping import Bool, Float, UInt32

_MASK = "reset_mask"


def no_options(options: dict[str, Any] | None) -> None:
    """Refuses options of `reset`, which an environment of one world does not have.

    Raises:
        ValueError: `options` is not empty.
    """
    if options:
        more = f"; {_MASK} is for a VectorEnv" if _MASK in options else ""
        raise ValueError(f"options {list(options)} are unknown: these worlds have none{more}")


def mask_of(options: dict[str, Any] | None, num_envs: int) -> Bool[np.ndarray, " B"] | None:
    """The mask of `reset(options={"reset_mask": mask})`: the worlds to reset; None without a mask.

    The mask is checked as gymnasium's own vector environments check it.

    Raises:
        ValueError: another option, or the mask is no bool array [B] with at least one True.
    """
    unknown = [name for name in options or {} if name != _MASK]
    if unknown:
        raise ValueError(f"options {unknown} are unknown; there is {_MASK!r} alone")
    if not options:
        return None
    mask = options[_MASK]
    if not isinstance(mask, np.ndarray):
        raise ValueError(f"{_MASK} must be a numpy array, not of type {type(mask).__name__}")
    if mask.shape != (num_envs,) or mask.dtype != np.bool_:
        raise ValueError(
            f"{_MASK} has the shape {mask.shape} and is of {mask.dtype}; ({num_envs},) of bool was "
            "expected"
        )
    if not mask.any():
        raise ValueError(f"{_MASK} is False everywhere: there is nothing to reset")
    return mask.copy()


def seeds_of(seed: int | Sequence[int | None] | None, num_envs: int) -> list[int | None]:
    """A seed for each world: of a number `seed`, `seed` + 1 and so on; of a list, its elements.

    Raises:
        ValueError: a list of another length, or neither a number nor a list.
    """
    if seed is None or isinstance(seed, int | np.integer):
        return [None if seed is None else int(seed) + world for world in range(num_envs)]
    if not isinstance(seed, Sequence | np.ndarray) or isinstance(seed, str):
        raise ValueError(f"seed={seed!r} is neither a whole number nor a list of {num_envs}")
    if len(seed) != num_envs:
        raise ValueError(f"{len(seed)} seeds of {num_envs} worlds; give one for each, or a number")
    return [None if one is None else int(one) for one in seed]


def key_seeds(seeds: list[int | None], generator: np.random.Generator) -> UInt32[np.ndarray, " B"]:
    """Seeds of the random keys from which the worlds' start states are drawn.

    Args:
        seeds: for each world the seed for gymnasium, used as `gymnasium.Env.reset(seed)` does; None
            to draw from `generator`.
        generator: numpy's random generator.
    """
    defaults = generator.integers(2**31, size=len(seeds))
    drawn = [
        default if seed is None else seeding.np_random(seed)[0].integers(2**31)
        for seed, default in zip(seeds, defaults, strict=True)
    ]
    return np.asarray(drawn, np.uint32)


def action_of(action: Any, shape: tuple[int, ...]) -> Float[np.ndarray, "..."]:
    """An action, or a batch of actions, as a float32 array of this shape.

    Raises:
        ValueError: it has another shape, which JAX might broadcast to this one.
    """
    array = np.array(action, np.float32)
    if array.shape != shape:
        raise ValueError(f"actions of shape {array.shape}; {shape} was expected")
    return array
