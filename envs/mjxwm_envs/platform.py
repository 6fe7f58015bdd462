"""The platform that a program is compiled for, where the best form of it depends on that."""

import contextlib
from collections.abc import Iterator
from typing import Literal

import jax

Platform = Literal["cpu", "gpu"]

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
