"""Worlds split over several devices (shards), from the view of the program on one of them.

A program under `jax.shard_map` over the axis `AXIS` is traced once, for the worlds of one device;
these functions tell it about the other devices. Outside of `shard_map` there is one shard with all
worlds: each function is then the identity, at no cost.

Random numbers are drawn for all worlds on every device, and each device uses its part, so that
results do not depend on the number of devices.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
from jax.sharding import Mesh, PartitionSpec
from jaxtyping import Array, Int, UInt32

AXIS = "worlds"
"""Name of the mesh axis that worlds are split over."""

T = TypeVar("T")
S = TypeVar("S")


def mesh(devices: Sequence[Any]) -> Mesh:
    """A mesh of these devices along `AXIS`."""
    # Not `jax.make_mesh`, which would put shardings into the types of all arrays.
    return Mesh(devices, (AXIS,))


def spread(axis: int = 0) -> PartitionSpec:
    """The `PartitionSpec` of an array whose `axis` is the one of worlds."""
    return PartitionSpec(*[None] * axis, AXIS)


def count() -> int:
    """Number of shards, a Python number while tracing."""
    mesh = jax.sharding.get_abstract_mesh()
    return mesh.shape[AXIS] if AXIS in mesh.manual_axes else 1


def index() -> Int[Array, ""] | int:
    """Index of this shard."""
    return jax.lax.axis_index(AXIS) if count() > 1 else 0


def share(total: int) -> int:
    """Number of items of this shard, of `total` over all shards.

    Raises:
        ValueError: the number of shards does not divide it.
    """
    if total % count():
        raise ValueError(f"{total} cannot be spread evenly over {count()} devices")
    return total // count()


def own(x: Array, axis: int = 0) -> Array:
    """This shard's part of what every shard has whole, along `axis`."""
    if count() == 1:
        return x
    size = share(x.shape[axis])
    return jax.lax.dynamic_slice_in_dim(x, index() * size, size, axis)


def draw(sampler: Callable[[tuple[int, ...]], Array], shape: tuple[int, ...], axis: int) -> Array:
    """This shard's part, of `shape`, of what `sampler` draws for all shards along `axis`.

    Args:
        sampler: a whole shape -> random numbers, the same on all shards.
        shape: of this shard's part.
        axis: not negative; the one that is spread.
    """
    whole = (*shape[:axis], shape[axis] * count(), *shape[axis + 1 :])
    return own(sampler(whole), axis)


def mean(tree: T) -> T:
    """Means over the shards; one collective for the whole tree."""
    return jax.lax.pmean(tree, AXIS) if count() > 1 else tree


def mean_and_all(averaged: T, kept: S) -> tuple[T, S]:
    """Means of one tree, and another of every shard on a new first axis, in one collective.

    The second is summed, too: each shard's own place in it, zeros in the others'.
    """
    if count() == 1:
        return averaged, jax.tree.map(lambda x: x[None], kept)

    def placed(x: Array) -> Array:
        return jnp.zeros((count(), *x.shape), x.dtype).at[index()].set(x)

    scaled = jax.tree.map(lambda x: x / count(), averaged)
    return jax.lax.psum((scaled, jax.tree.map(placed, kept)), AXIS)


def strata(bits: UInt32[Array, " N"], among: int) -> Int[Array, " n"]:
    """Draws N of `among` things, evenly: the i-th from about the i-th of N equal parts.

    Each thing is as likely as any other in the whole draw, as with replacement, but the numbers
    drawn of each part do not vary. A shard draws from its own things alone.

    Args:
        bits: random, the same on all shards, one for each of N draws over all shards.
        among: things that there are, over all shards.

    Returns:
        Numbers below this shard's share of `among`, for its share of the draws.
    """
    # Whole numbers: N * among equally likely (i, offset) fall on each thing N times.
    (num,) = bits.shape
    return (jnp.arange(share(num)) * among + own(below(bits, among))) // num


def below(bits: UInt32[Array, "*s"], limit: Int[Array, ""] | int) -> Int[Array, "*s"]:
    """Whole numbers from 0 to below `limit`, floor(bits / 2^32 * limit).

    `jax.random.randint` takes twice the random bits and several times as long, to bring the
    difference in likelihood from 1 in 2^32 / limit to nothing.
    """
    limit = jnp.asarray(limit, jnp.uint32)
    low, high = bits & 0xFFFF, bits >> 16
    limit_low, limit_high = limit & 0xFFFF, limit >> 16
    # The upper half of the 64 bits of the product.
    cross = high * limit_low + (low * limit_low >> 16)
    carry = low * limit_high + (cross & 0xFFFF)
    upper = high * limit_high + (cross >> 16) + (carry >> 16)
    return upper.astype(jnp.int32)
