"""Gymnasium's spaces as vectors, for policies that take and return vectors.

Observations: boxes, `MultiBinary`, discrete values (one-hot), and dictionaries and tuples of these,
flattened in gymnasium's order. Actions: boxes, whose bounds are scaled to [-1, 1].
"""

from collections.abc import Mapping
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from jaxtyping import Float

_CONTINUOUS = "policies here act in boxes (gymnasium.spaces.Box)"
_UNBOUNDED = 1e18
"""Bounds of this size or more mean "no bound"; so does the largest number of the box's type."""


def obs_size(space: gymnasium.Space) -> int:
    """Size of a flattened observation.

    Raises:
        ValueError: a space of pixels, text, graphs or sequences.
    """
    _refuse(space)
    return int(spaces.flatdim(space))


def flat_obs(space: gymnasium.Space, obs: Any) -> Float[np.ndarray, " o"]:
    """An observation as a vector, which shares no memory with the environment's arrays.

    Raises:
        ValueError: it does not have the space's shape, or a discrete value is not in the space.
    """
    if isinstance(space, spaces.Dict):
        if not isinstance(obs, Mapping) or space.spaces.keys() - obs.keys():
            parts = list(obs) if isinstance(obs, Mapping) else type(obs).__name__
            raise ValueError(f"an observation of {parts}, where {list(space.spaces)} was said")
        return np.concatenate([flat_obs(part, obs[key]) for key, part in space.spaces.items()])
    if isinstance(space, spaces.Tuple):
        if not isinstance(obs, tuple | list) or len(obs) != len(space.spaces):
            raise ValueError(f"an observation of {obs}, where {len(space.spaces)} parts were said")
        return np.concatenate(
            [flat_obs(part, one) for part, one in zip(space.spaces, obs, strict=True)]
        )
    values = np.asarray(obs)
    if values.shape != space.shape:
        raise ValueError(f"an observation of shape {values.shape}, where {space.shape} was said")
    if isinstance(space, spaces.Box):
        # Floats are rounded to the space's type; whole numbers are not cast: they could overflow.
        exact = np.issubdtype(space.dtype, np.floating)
        return values.astype(space.dtype if exact else np.float64).astype(np.float64).ravel()
    return _one_hot(space, values)


def _one_hot(space: gymnasium.Space, values: np.ndarray) -> Float[np.ndarray, " o"]:
    """Discrete values as concatenated one-hot vectors; `MultiBinary` values unchanged."""
    if isinstance(space, spaces.MultiBinary):
        lowest, count = np.zeros(space.shape), np.full(space.shape, 2)
    elif isinstance(space, spaces.MultiDiscrete):
        lowest, count = space.start, space.nvec
    else:
        lowest, count = np.asarray(getattr(space, "start", 0)), np.asarray(getattr(space, "n", 0))
    place = np.asarray(values, np.float64) - lowest
    if not ((place >= 0) & (place < count) & (place == np.floor(place))).all():
        raise ValueError(f"the observation {values} is not in {space}")
    if isinstance(space, spaces.MultiBinary):
        return place.ravel()
    ends = np.cumsum(count.ravel())
    flat = np.zeros(int(ends[-1]))
    flat[(ends - count.ravel() + place.ravel()).astype(int)] = 1
    return flat


def action_bounds(
    space: gymnasium.Space,
) -> tuple[Float[np.ndarray, " a"], Float[np.ndarray, " a"]]:
    """Lowest and highest action, flattened; -1 and 1 in dimensions without bounds.

    Infinity counts as no bound, as do numbers of 1e18 or more and the largest of the box's type.

    Raises:
        ValueError: actions are not boxes.
    """
    boxes = _boxes(space)
    low = np.concatenate([_bounded(box, box.low) for box in boxes])
    high = np.concatenate([_bounded(box, box.high) for box in boxes])
    # [-1, 1] without bounds; with one bound, an interval of length 2 that ends there.
    lowest = np.where(np.isfinite(low), low, np.where(np.isfinite(high), high - 2, -1.0))
    return lowest, np.where(np.isfinite(high), high, np.maximum(lowest + 2, 1.0))


def to_action(space: gymnasium.Space, action: Float[np.ndarray, " a"]) -> Any:
    """Scales an action in [-1, 1] to the space's bounds, and casts it to the space's type."""
    low, high = action_bounds(space)
    flat = low + (np.clip(action, -1, 1) + 1) * (high - low) / 2
    flat = np.clip(flat, low, high)  # rounding may have left them
    if isinstance(space, spaces.Box):
        return flat.reshape(space.shape).astype(space.dtype)
    return spaces.unflatten(space, flat)


def _bounded(box: spaces.Box, bound: np.ndarray) -> Float[np.ndarray, " a"]:
    """The lower or the upper bounds, infinite if there are none."""
    flat = np.ravel(bound).astype(np.float64)
    kind: Any = box.dtype
    most = min(_UNBOUNDED, float(np.finfo(kind).max))
    return np.where(np.abs(flat) >= most, np.copysign(np.inf, flat), flat)


def _boxes(space: gymnasium.Space) -> list[spaces.Box]:
    if isinstance(space, spaces.Box):
        if not np.issubdtype(space.dtype, np.floating):
            raise ValueError(f"the action space {space} is of whole numbers; {_CONTINUOUS}")
        return [space]
    if isinstance(space, spaces.Dict | spaces.Tuple):
        parts = space.spaces.values() if isinstance(space, spaces.Dict) else space.spaces
        return [box for part in parts for box in _boxes(part)]
    raise ValueError(f"the action space {space} is not continuous; {_CONTINUOUS}")


def _refuse(space: gymnasium.Space) -> None:
    if isinstance(space, spaces.Dict | spaces.Tuple):
        parts = space.spaces.values() if isinstance(space, spaces.Dict) else space.spaces
        if not len(space.spaces):
            raise ValueError(f"the observation space {space} is empty: there is nothing to see")
        for part in parts:
            _refuse(part)
    elif isinstance(space, spaces.Box) and len(space.shape) > 2:
        raise ValueError(
            f"the observation space {space} looks like pixels; give a wrapper that turns them "
            "into a vector of features, or gymnasium.wrappers.FlattenObservation if they are none"
        )
    elif not isinstance(
        space, spaces.Box | spaces.Discrete | spaces.MultiBinary | spaces.MultiDiscrete
    ):
        kind = type(space).__name__
        raise ValueError(
            f"the observation space {space}: {kind} has no flat form that says what it is; give a "
            "wrapper that makes it a gymnasium.spaces.Box"
        )
