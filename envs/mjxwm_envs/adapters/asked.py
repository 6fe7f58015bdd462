"""What gymnasium's users give to our worlds: seeds, options and actions, checked."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium.utils import seeding
from jaxtyping import Bool, Float, UInt32

_MASK = "reset_mask"


def no_options(options: dict[str, Any] | None) -> None:
    """One world has no options.

    Raises:
        ValueError: there is one.
    """
    if options:
        more = f"; {_MASK} is for a VectorEnv" if _MASK in options else ""
        raise ValueError(f"options {list(options)} are unknown: these worlds have none{more}")


def mask_of(options: dict[str, Any] | None, num_envs: int) -> Bool[np.ndarray, " B"] | None:
    """Which worlds `reset(options={"reset_mask": mask})` is to reset; None without a mask.

    The mask is checked as gymnasium's own vector environments check it.

    Raises:
        ValueError: another option, or no array of B switches of which one is on.
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
    """A seed for each world: `seed`, `seed` + 1 and so on for a number.

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


def numbers(seeds: list[int | None], generator: np.random.Generator) -> UInt32[np.ndarray, " B"]:
    """What a world's start is drawn from, as `Env.reset(seed)` draws it; else from `generator`."""
    fresh = generator.integers(2**31, size=len(seeds))
    drawn = [
        number if seed is None else seeding.np_random(seed)[0].integers(2**31)
        for seed, number in zip(seeds, fresh, strict=True)
    ]
    return np.asarray(drawn, np.uint32)


def action_of(action: Any, shape: tuple[int, ...]) -> Float[np.ndarray, "..."]:
    """An action, or actions, of the shape that the action space says.

    Raises:
        ValueError: it is of another, which JAX might stretch to this one.
    """
    given = np.array(action, np.float32)
    if given.shape != shape:
        raise ValueError(f"actions of shape {given.shape}; {shape} was expected")
    return given
