"""A function of numpy arrays inside a compiled program."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.experimental.buffer_callback import buffer_callback


def on_host(function: Callable[..., None], shapes: Any, *args: Any) -> Any:
    """Calls `function(out, *args)`, which fills the arrays of `out`; pure, and batched by `vmap`.

    On a CPU the arrays are the program's own buffers. On other devices it is `jax.pure_callback`,
    which converts inputs to JAX arrays and copies outputs, at eight times the cost.

    Args:
        function: called with numpy arrays, all with the same leading axes under `vmap`.
        shapes: `jax.ShapeDtypeStruct`s of `out`, without those axes.
        args: pytrees of arrays; without those axes the last one is a vector.

    Returns:
        `out` as JAX arrays.
    """

    def direct(*args: Any) -> Any:
        def call(_: Any, out: Any, *args: Any) -> None:
            out, args = jax.tree.map(np.asarray, (out, args))
            function(out, *args)

        return buffer_callback(call, shapes, vmap_method="broadcast_all")(*args)

    def copied(*args: Any) -> Any:
        def call(*args: Any) -> Any:
            args = jax.tree.map(np.asarray, args)
            first = jax.tree.leaves(args)[-1]
            lead = first.shape[: first.ndim - 1]
            out = jax.tree.map(lambda s: np.empty((*lead, *s.shape), s.dtype), shapes)
            function(out, *args)
            return out

        return jax.pure_callback(call, shapes, *args, vmap_method="broadcast_all")

    return jax.lax.platform_dependent(*args, cpu=direct, default=copied)
