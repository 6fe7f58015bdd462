"""Small arrays as one: each array that a loop stores on a GPU costs a kernel in every step."""

import itertools
import math
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from mjxwm.maths import platform


class Packing:
    """Packs what a loop stores in each step, and takes apart what it has stored in all of them.

    On a CPU, where stores cost little, both do nothing. All arrays of a tree are stored as
    floating-point numbers, which represent booleans and small whole numbers exactly.
    """

    def __init__(self, axes: int):
        """Args:
        axes: leading axes that all arrays of a step share, such as 1 for that of the worlds.
        """
        self._axes = axes
        self._like: Any = None

    def pack(self, tree: Any) -> Any:
        """The arrays of one step, side by side in one; remembers how they were."""
        self._like = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), tree)
        if platform.compiled_for() == "cpu":
            return tree
        flat = [x.reshape(*x.shape[: self._axes], -1).astype(float) for x in jax.tree.leaves(tree)]
        return jnp.concatenate(flat, axis=-1)

    def unpack(self, stored: Any) -> Any:
        """The trees of T steps, each array with T in front, from what `pack` gave in each step."""
        if platform.compiled_for() == "cpu":
            return stored
        like, structure = jax.tree.flatten(self._like)
        ends = list(itertools.accumulate((self._width(x) for x in like), initial=0))
        return structure.unflatten(
            _part(stored[..., a:b], x) for x, a, b in zip(like, ends[:-1], ends[1:], strict=True)
        )

    def _width(self, like: Any) -> int:
        return math.prod(like.shape[self._axes :])


def _part(x: Float[Array, "T *axes n"], like: Any) -> Array:
    return x.reshape(len(x), *like.shape).astype(like.dtype)
