"""Gymnasium's spaces as vectors: what policies see and do.

Observations are flattened where that says what they are: boxes, and dictionaries and tuples of
boxes and of discrete values (as one-hot). Actions are boxes; [-1, 1] is mapped onto their bounds.
"""

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from jaxtyping import Float

_CONTINUOUS = "policies here act in boxes (gymnasium.spaces.Box)"


def obs_size(space: gymnasium.Space) -> int:
    """Numbers in a flattened observation.

    Raises:
        ValueError: pixels, text, graphs or sequences.
    """
    _refuse(space, "observation")
    return int(spaces.flatdim(space))


def flat_obs(space: gymnasium.Space, obs: Any) -> Float[np.ndarray, " o"]:
    """An observation as a vector.

    Raises:
        ValueError: it is not of this space's shape.
    """
    if isinstance(space, spaces.Box) and np.shape(obs) != space.shape:
        raise ValueError(f"an observation of shape {np.shape(obs)}, where {space.shape} was said")
    return np.asarray(spaces.flatten(space, obs), np.float64).ravel()


def action_bounds(
    space: gymnasium.Space,
) -> tuple[Float[np.ndarray, " a"], Float[np.ndarray, " a"]]:
    """Lowest and highest action, flattened; -1 and 1 where a box has no bound.

    Raises:
        ValueError: actions are not boxes.
    """
    boxes = _boxes(space)
    low = np.concatenate([np.ravel(box.low) for box in boxes]).astype(np.float64)
    high = np.concatenate([np.ravel(box.high) for box in boxes]).astype(np.float64)
    # [-1, 1] where there is no bound, moved up or down where there is one alone.
    lowest = np.where(np.isfinite(low), low, np.where(np.isfinite(high), high - 2, -1.0))
    return lowest, np.where(np.isfinite(high), high, np.maximum(lowest + 2, 1.0))


def to_action(space: gymnasium.Space, action: Float[np.ndarray, " a"]) -> Any:
    """An action in [-1, 1] as the environment takes it: within its bounds, of its type."""
    low, high = action_bounds(space)
    flat = low + (np.clip(action, -1, 1) + 1) * (high - low) / 2
    if isinstance(space, spaces.Box):
        return flat.reshape(space.shape).astype(space.dtype)
    return spaces.unflatten(space, flat)


def _boxes(space: gymnasium.Space) -> list[spaces.Box]:
    if isinstance(space, spaces.Box):
        if not np.issubdtype(space.dtype, np.floating):
            raise ValueError(f"the action space {space} is of whole numbers; {_CONTINUOUS}")
        return [space]
    if isinstance(space, spaces.Dict | spaces.Tuple):
        parts = space.spaces.values() if isinstance(space, spaces.Dict) else space.spaces
        return [box for part in parts for box in _boxes(part)]
    raise ValueError(f"the action space {space} is not continuous; {_CONTINUOUS}")


def _refuse(space: gymnasium.Space, what: str) -> None:
    if isinstance(space, spaces.Dict | spaces.Tuple):
        parts = space.spaces.values() if isinstance(space, spaces.Dict) else space.spaces
        for part in parts:
            _refuse(part, what)
    elif isinstance(space, spaces.Box) and len(space.shape) > 2:
        raise ValueError(
            f"the {what} space {space} looks like pixels; give a wrapper that turns them into "
            "a vector of features"
        )
    elif not isinstance(space, spaces.Box | spaces.Discrete | spaces.MultiBinary):
        raise ValueError(
            f"the {what} space {space} has no flat form; give a wrapper that makes it a "
            "gymnasium.spaces.Box"
        )
