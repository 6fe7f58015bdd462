"""The three engines, and the fastest of them for this machine.

`native` is C MuJoCo on CPU threads, `mjx` is MuJoCo in JAX, `warp` is MuJoCo Warp for NVIDIA GPUs.
"""

import contextlib
import os
import sys
import warnings
from collections.abc import Iterator
from typing import Literal, get_args

import jax
import mujoco

from mjxwm_envs.engines.buffer_sizes import RequestedSizes
from mjxwm_envs.engines.engine import Engine
from mjxwm_envs.engines.native import Native

EngineName = Literal["auto", "native", "mjx", "warp"]
DEFAULT_SIZES = RequestedSizes()
"""Buffers of the largest size that a model can need."""
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
    requested: RequestedSizes = DEFAULT_SIZES,
) -> Engine:
    """An engine for `model`. MJX and Warp are imported on demand: they take seconds to load.

    Args:
        name: one of `NAMES`, or "auto".
        model: compiled model.
        n_substeps: physics steps per control step.
        derived: `MjData` fields that the task reads.
        requested: sizes of engine warp's buffers for each world; other engines need none.

    Raises:
        ValueError: the engine refuses the model; buffer sizes for another engine than warp.
    """
    requested.check()
    if requested != DEFAULT_SIZES and name not in ("auto", "warp"):
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
        quiet_warp()
        from mjxwm_envs.engines.warp import Warp

        if not has_nvidia():
            warnings.warn(
                "engine='warp' without an NVIDIA GPU runs on the CPU, 100 times slower than "
                "engine='native' on tasks with contacts",
                stacklevel=5,
            )
        return Warp(model, n_substeps, derived, requested=requested)
    raise ValueError(f"engine={name!r} is unknown; choose auto, {', '.join(NAMES)}")


def quiet_warp() -> None:
    """Leaves out Warp's greeting and its line for each module of kernels; warnings stay.

    But not that there is no driver, where nobody expects one.
    """
    import warp

    if warp.config.log_level != warp.LOG_INFO:  # not the default: it is the user's choice
        return
    warp.config.log_level = warp.LOG_WARNING
    with contextlib.nullcontext() if has_nvidia() else _no_standard_error():
        warp.init()


@contextlib.contextmanager
def _no_standard_error() -> Iterator[None]:
    """Until it ends, what a library in C writes to standard error goes nowhere."""
    sys.stderr.flush()
    before, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(before, 2)
        os.close(before)
        os.close(nowhere)
