"""The platform that a program is compiled for, where the best form of it depends on that.

On a GPU every kernel costs some microseconds, however small: loops over a few time steps are
unrolled there. On a CPU an unrolled loop gains nothing and takes longer to compile.
"""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import jax
from mjxwm_envs.platform import Platform, compiled_for, compiling_for

__all__ = [
    "Platform",
    "compiled_for",
    "compiling_for",
    "compiling_for_gpu",
    "refuse_pallas",
    "scan",
    "takes_pallas",
]

Carry = TypeVar("Carry")

_LONGEST_UNROLLED = 32
"""Time steps of the longest loop that is unrolled: compile time grows with them."""

_OF_DATA_CENTRES = ("8.0", "9.0", "10.0")
"""CUDA compute capabilities."""

# Part of the key of jit's caches, as the platform is.
_capability = jax.make_user_context(None)

_refused: list[str] = []
"""Why this process does without kernels of Pallas."""


@contextlib.contextmanager
def compiling_for_gpu(capability: tuple[int, int]) -> Iterator[None]:
    """Within it, programs are traced for a GPU of this CUDA compute capability, here or not."""
    with compiling_for("gpu"), _capability(".".join(map(str, capability))):
        yield


def scan(
    step: Callable[[Carry, Any], tuple[Carry, Any]],
    first: Carry,
    inputs: Any,
    length: int | None = None,
    reverse: bool = False,
) -> tuple[Carry, Any]:
    """`jax.lax.scan` over time steps; on a GPU without a loop, unless there are many steps."""
    steps = len(jax.tree.leaves(inputs)[0]) if length is None else length
    unroll = compiled_for() == "gpu" and steps <= _LONGEST_UNROLLED
    turns = max(steps, 1) if unroll else 1
    return jax.lax.scan(step, first, inputs, length, reverse=reverse, unroll=turns)


def takes_pallas() -> bool:
    """Whether programs that are traced now may have our kernels of Pallas.

    They may on one of NVIDIA's GPUs for data centres, whose multiprocessors have the memory for
    them, and not where arrays are spread over several.
    """
    if _refused or compiled_for() == "cpu" or jax.sharding.get_abstract_mesh().manual_axes:
        return False
    capability = _capability.value
    if capability is None:
        if jax.default_backend() == "cpu":  # run here by JAX itself, in tests
            return True
        capability = getattr(jax.devices()[0], "compute_capability", "")
    return capability in _OF_DATA_CENTRES


def refuse_pallas(reason: str) -> None:
    """Does without our kernels of Pallas from here on; what is compiled with them is forgotten."""
    _refused.append(reason)
    jax.clear_caches()
