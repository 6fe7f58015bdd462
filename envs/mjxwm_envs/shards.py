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


def local(x: Array, axis: int = 0) -> Array:
    """This shard's part, along `axis`, of an array that every shard has as a whole."""
    if count() == 1:
        return x
    size = share(x.shape[axis])
    return jax.lax.dynamic_slice_in_dim(x, index() * size, size, axis)


def draw(sampler: Callable[[tuple[int, ...]], Array], shape: tuple[int, ...], axis: int) -> Array:
    """Random numbers of `shape` for this shard: its part of those drawn for all shards.

    Args:
        sampler: function of a shape that returns random numbers, the same on all shards.
        shape: shape of this shard's part.
        axis: the axis that is split over shards; not negative.
    """
    whole = (*shape[:axis], shape[axis] * count(), *shape[axis + 1 :])
    return local(sampler(whole), axis)


def mean(tree: T) -> T:
    """Means over the shards of all leaves, in one collective."""
    return jax.lax.pmean(tree, AXIS) if count() > 1 else tree


def mean_and_all(averaged: T, gathered: S) -> tuple[T, S]:
    """Means over the shards of one tree, and all shards' values of another, in one collective.

    The values are gathered by a sum as well: each shard fills its row of an array of zeros.

    Args:
        averaged: arrays to average.
        gathered: arrays to gather, on a new first axis.
    """
    if count() == 1:
        return averaged, jax.tree.map(lambda x: x[None], gathered)

    def in_row(x: Array) -> Array:
        return jnp.zeros((count(), *x.shape), x.dtype).at[index()].set(x)

    scaled = jax.tree.map(lambda x: x / count(), averaged)
    return jax.lax.psum((scaled, jax.tree.map(in_row, gathered)), AXIS)


def strata(bits: UInt32[Array, " N"], among: int) -> Int[Array, " n"]:
    """Stratified sampling of N indices below `among`: the i-th from the i-th of N equal parts.

    All indices are equally likely, as in sampling with replacement, but the number of samples in
    each part does not vary. A shard draws indices of its own items.

    Args:
        bits: random bits, the same on all shards, for N samples over all shards.
        among: number of items over all shards.

    Returns:
        This shard's n samples: indices below its share of the items.
    """
    # In integers: N * among equally likely pairs (i, offset) fall on each index N times.
    (num,) = bits.shape
    return (jnp.arange(share(num)) * among + local(cheap_randint(bits, among))) // num


def cheap_randint(bits: UInt32[Array, "*s"], limit: Int[Array, ""] | int) -> Int[Array, "*s"]:
    """Random integers from 0 to below `limit`: floor(bits / 2^32 * limit).

    `jax.random.randint` needs twice the random bits and several times as long, to reduce the
    relative bias from limit / 2^32 to almost zero.
    """
    limit = jnp.asarray(limit, jnp.uint32)
    low, high = bits & 0xFFFF, bits >> 16
    limit_low, limit_high = limit & 0xFFFF, limit >> 16
    # The upper half of the 64 bits of the product.
    cross = high * limit_low + (low * limit_low >> 16)
    carry = low * limit_high + (cross & 0xFFFF)
    upper = high * limit_high + (cross >> 16) + (carry >> 16)
    return upper.astype(jnp.int32)
