"""The three engines, and which of them fits this machine.

`native` is C MuJoCo on CPU threads, `mjx` is MuJoCo in JAX, `warp` is MuJoCo Warp for NVIDIA GPUs.
"""

import warnings
from typing import Literal, get_args

import jax
import mujoco

from mjxwm_envs.engines.engine import Engine
from mjxwm_envs.engines.limits import Room
from mjxwm_envs.engines.native import Native

EngineName = Literal["auto", "native", "mjx", "warp"]
NO_ROOM = Room()
"""Room as the bound has it."""
NAMES: tuple[str, ...] = get_args(EngineName)[1:]


def default() -> str:
    """`warp` on an NVIDIA GPU, else `native`: on a CPU MJX is 100 times slower on contacts."""
    return "warp" if has_nvidia() else "native"


def has_nvidia() -> bool:
    """Whether JAX computes on an NVIDIA GPU."""
    return jax.default_backend() == "gpu" and "nvidia" in jax.devices()[0].device_kind.lower()


def make(
    name: str,
    model: mujoco.MjModel,
    n_substeps: int,
    derived: tuple[str, ...],
    per_world: Room = NO_ROOM,
) -> Engine:
    """An engine for `model`; `name` is one of `NAMES` or "auto".

    MJX and Warp are imported on demand: they take seconds to load.

    Args:
        name: one of `NAMES`, or "auto".
        model: compiled model.
        n_substeps: physics steps per control step.
        derived: `MjData` fields that the task reads.
        per_world: room for contacts and constraint rows in a world of engine warp; the others find
            theirs as they go.

    Raises:
        ValueError: the engine refuses the model; room is asked for on another engine than warp.
    """
    per_world.check()
    if per_world != NO_ROOM and name not in ("auto", "warp"):
        raise ValueError(
            f"contacts_per_world and rows_per_world are for engine='warp', not for {name!r}, which "
            "finds room as it goes"
        )
    name = default() if name == "auto" else name
    if name == "native":
        return Native(model, n_substeps, derived)
    if name == "mjx":
        from mjxwm_envs.engines.mjx import Mjx

        return Mjx(model, n_substeps, derived)
    if name == "warp":
        from mjxwm_envs.engines.warp import Warp

        if not has_nvidia():
            warnings.warn(
                "engine='warp' without an NVIDIA GPU runs on the CPU, 100 times slower than "
                "engine='native' on tasks with contacts",
                stacklevel=5,
            )
        return Warp(model, n_substeps, derived, per_world=per_world)
    raise ValueError(f"engine={name!r} is unknown; choose auto, {', '.join(NAMES)}")
