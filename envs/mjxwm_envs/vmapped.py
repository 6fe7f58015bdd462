"""Numbers that a program branches on, where `jax.vmap` batches the program as a whole.

Several seeds train in one program, the `vmap` of one seed's. A branch or a loop on a number that
differs from seed to seed would become all its branches, computed for all seeds in every step.
"""

from typing import Any

import jax
from jaxtyping import Array, Int


@jax.custom_batching.custom_vmap
def largest(number: Int[Array, ""]) -> Int[Array, ""]:
    """The number; under `vmap` the largest of the batch, one number for all of it.

    To branch on where what is right for a larger number is right for a smaller one, too.
    """
    return number


@largest.def_vmap
def _(axis_size: int, in_batched: list[bool], number: Array) -> tuple[Any, bool]:
    return largest(number.max(axis=0)), False
