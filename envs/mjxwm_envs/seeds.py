"""Seeds of random keys: whole numbers of 32 bits, as `jax.random.key` takes them.

Without 64-bit types JAX takes larger seeds modulo 2**32, and negative ones likewise, without a
word: two seeds would be one run.
"""

import operator

import jax
from jaxtyping import PRNGKeyArray

LARGEST = 2**32 - 1


def checked(seed: int) -> int:
    """The seed, if it is one.

    Raises:
        ValueError: it is negative, or larger than 32 bits hold.
    """
    if not 0 <= seed <= LARGEST:
        raise ValueError(f"seed={seed} is out of range; it must be from 0 to {LARGEST} (2**32 - 1)")
    return operator.index(seed)


def key(seed: int) -> PRNGKeyArray:
    """The random key of a seed, `jax.random.key`'s.

    Raises:
        ValueError: it is negative, or larger than 32 bits hold.
    """
    return jax.random.key(checked(seed))


def after(seed: int, number: int) -> int:
    """The seed `number` places after this one; the first follows the last."""
    return (checked(seed) + number) % (LARGEST + 1)
