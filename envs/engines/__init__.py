"""The three engines, and which of them fits this machine.

`native` is C MuJoCo on CPU threads, `mjx` is MuJoCo in JAX, `warp` is MuJoCo Warp for NVIDIA GPUs.
"""

import warnings
from typing import Literal, get_args

import jax
import mujoco

from envs.core import Engine
from envs.engines.native import Native

EngineName = Literal["auto", "native", "mjx", "warp"]
NAMES: tuple[str, ...] = get_args(EngineName)[1:]


def default() -> str:
    """`warp` on an NVIDIA GPU, else `native`: on a CPU MJX is 100 times slower on contacts."""
    return "warp" if has_nvidia() else "native"


def has_nvidia() -> bool:
    """Whether JAX computes on an NVIDIA GPU."""
    return jax.default_backend() == "gpu" and "nvidia" in jax.devices()[0].device_kind.lower()


def make(name: str, model: mujoco.MjModel, n_substeps: int, derived: tuple[str, ...]) -> Engine:
    """An engine for `model`; `name` is one of `NAMES` or "auto".

    MJX and Warp are imported on demand: they take seconds to load.
    """
    name = default() if name == "auto" else name
    if name == "native":
        return Native(model, n_substeps, derived)
    if name == "mjx":
        from envs.engines.mjx import Mjx

        return Mjx(model, n_substeps, derived)
    if name == "warp":
        from envs.engines.warp import Warp

        if not has_nvidia():
            warnings.warn(
                "engine='warp' without an NVIDIA GPU runs on the CPU, 100 times slower than "
                "engine='native' on tasks with contacts",
                stacklevel=5,
            )
        return Warp(model, n_substeps, derived)
    raise ValueError(f"engine={name!r} is unknown; choose auto, {', '.join(NAMES)}")
