"""Seeds of random keys: unsigned 32-bit integers.

Without 64-bit types `jax.random.key` reduces larger and negative seeds modulo 2**32 without a
warning: two different seeds would give the same run.
"""

import operator

import jax
from jaxtyping import PRNGKeyArray

LARGEST = 2**32 - 1


def checked(seed: int) -> int:
    """The seed as an int.

    Raises:
        ValueError: it is negative, or has more than 32 bits.
    """
    if not 0 <= seed <= LARGEST:
        raise ValueError(f"seed={seed} is out of range; it must be from 0 to {LARGEST} (2**32 - 1)")
    return operator.index(seed)


def key(seed: int) -> PRNGKeyArray:
    """`jax.random.key(seed)`, for a valid seed.

    Raises:
        ValueError: it is negative, or has more than 32 bits.
    """
    return jax.random.key(checked(seed))


def after(seed: int, number: int) -> int:
    """seed + number, modulo 2**32."""
    return (checked(seed) + number) % (LARGEST + 1)
