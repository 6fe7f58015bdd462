"""Gymnasium's spaces as vectors: what policies see and do.

Observations are flattened where that says what they are: boxes, switches and discrete values (as
one-hot), and dictionaries and tuples of them, in the order that gymnasium flattens them in. Actions
are boxes; [-1, 1] is mapped onto their bounds.
"""

from collections.abc import Mapping
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from jaxtyping import Float

_CONTINUOUS = "policies here act in boxes (gymnasium.spaces.Box)"
_ENDLESS = 1e18
"""A bound from here on is none: the largest number of a type is often written for "no bound"."""


def obs_size(space: gymnasium.Space) -> int:
    """Numbers in a flattened observation.

    Raises:
        ValueError: pixels, text, graphs or sequences.
    """
    _refuse(space)
    return int(spaces.flatdim(space))


def flat_obs(space: gymnasium.Space, obs: Any) -> Float[np.ndarray, " o"]:
    """An observation as a vector of its own, which shares no memory with the environment's.

    Raises:
        ValueError: it is not of this space's shape, or a discrete value that is not in it.
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
        # In the precision that was said; whole numbers as they are, for a cast would wrap them.
        exact = np.issubdtype(space.dtype, np.floating)
        return values.astype(space.dtype if exact else np.float64).astype(np.float64).ravel()
    return _switches(space, values)


def _switches(space: gymnasium.Space, values: np.ndarray) -> Float[np.ndarray, " o"]:
    """Discrete values as one-hot, one after the other, and switches as they are."""
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
    """Lowest and highest action, flattened; -1 and 1 where a box has no bound.

    Infinity is no bound, nor is a number of 1e18 or more, nor the largest of the box's type.

    Raises:
        ValueError: actions are not boxes.
    """
    boxes = _boxes(space)
    low = np.concatenate([_bounded(box, box.low) for box in boxes])
    high = np.concatenate([_bounded(box, box.high) for box in boxes])
    # [-1, 1] where there is no bound, moved up or down where there is one alone.
    lowest = np.where(np.isfinite(low), low, np.where(np.isfinite(high), high - 2, -1.0))
    return lowest, np.where(np.isfinite(high), high, np.maximum(lowest + 2, 1.0))


def to_action(space: gymnasium.Space, action: Float[np.ndarray, " a"]) -> Any:
    """An action in [-1, 1] as the environment takes it: within its bounds, of its type."""
    low, high = action_bounds(space)
    flat = low + (np.clip(action, -1, 1) + 1) * (high - low) / 2
    flat = np.clip(flat, low, high)  # rounding may have left them
    if isinstance(space, spaces.Box):
        return flat.reshape(space.shape).astype(space.dtype)
    return spaces.unflatten(space, flat)


def _bounded(box: spaces.Box, bound: np.ndarray) -> Float[np.ndarray, " a"]:
    """One side's bounds, infinite where there are none."""
    flat = np.ravel(bound).astype(np.float64)
    kind: Any = box.dtype
    most = min(_ENDLESS, float(np.finfo(kind).max))
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
