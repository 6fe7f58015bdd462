"""The model of one world, with its own field values and its goal, ready to be drawn."""

import copy
import operator
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import mujoco
import numpy as np

from mjxwm_envs.core import Marker, Scene
from mjxwm_envs.rendering.errors import RenderingUnavailableError, first_line


def scene(
    name: str,
    model: mujoco.MjModel,
    show: Callable[[mujoco.MjModel, Any], Sequence[Marker]],
    fields: dict[str, Any],
    goal: Any,
) -> Scene:
    """What one world's episode looks like.

    Args:
        name: the task's name, for the error message.
        model: the task's model; it is copied.
        show: `Task.show`.
        fields: `SimState.fields` of the world.
        goal: `Physics.goal` of the world.

    Raises:
        RenderingUnavailableError: `show` fails.
    """
    model = copy.copy(model)
    # Otherwise MuJoCo ignores the positions of geoms and sites that the MJCF has at their body's
    # origin, which `fields` and `show` may change.
    model.geom_sameframe[:] = model.site_sameframe[:] = mujoco.mjtSameFrame.mjSAMEFRAME_NONE
    for field, value in fields.items():
        array = np.asarray(operator.attrgetter(field)(model))
        if array.ndim:
            array[...] = np.asarray(value).reshape(array.shape)
        else:
            setattr(model.opt, field.removeprefix("opt."), np.asarray(value).item())
    try:
        markers = tuple(show(model, jax.tree.map(_on_host, goal)) or ())
    except Exception as error:  # whatever a user's own task may raise
        raise RenderingUnavailableError(f"show of task {name!r}: {first_line(error)}") from error
    return Scene(model, markers)


def _on_host(leaf: Any) -> Any:
    random_key = hasattr(leaf, "dtype") and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
    return leaf if random_key else np.asarray(leaf)
