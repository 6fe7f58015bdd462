"""The platform that a program is compiled for, where the best form of it depends on that.

On a GPU every kernel costs some microseconds, however small: loops over a few time steps are
unrolled there. On a CPU an unrolled loop gains nothing and takes longer to compile.
"""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, Literal, TypeVar

import jax

Platform = Literal["cpu", "gpu"]
Carry = TypeVar("Carry")

_LONGEST_UNROLLED = 32
"""Time steps of the longest loop that is unrolled: compile time grows with them."""

# Part of the key of jit's caches: a function that was traced for one platform is traced again for
# another one.
_compiled_for = jax.make_user_context(None)


def compiled_for() -> Platform:
    """The platform of programs that are traced now: by default that of JAX's devices."""
    platform = _compiled_for.value or jax.default_backend()
    return "cpu" if platform == "cpu" else "gpu"


@contextlib.contextmanager
def compiling_for(platform: Platform) -> Iterator[None]:
    """Within it, programs are traced for that platform, whatever devices are here."""
    with _compiled_for(platform):
        yield


def scan(
    step: Callable[[Carry, Any], tuple[Carry, Any]],
    first: Carry,
    inputs: Any,
    length: int | None = None,
) -> tuple[Carry, Any]:
    """`jax.lax.scan` over time steps; on a GPU without a loop, unless there are many steps."""
    steps = len(jax.tree.leaves(inputs)[0]) if length is None else length
    unroll = compiled_for() == "gpu" and steps <= _LONGEST_UNROLLED
    return jax.lax.scan(step, first, inputs, length, unroll=max(steps, 1) if unroll else 1)
