"""What statistics need of gradient samples: summed up on the device, so that no sample leaves it.

Samples come in chunks. A chunk's sums are taken in two passes and joined to those of the chunks
before it (Chan et al. 1979). Numbers on a device have 24 bits: a mean is therefore kept as two of
them, the first chunk's mean and how far that of all is from it, so that neither a large mean with a
small variance nor many chunks cost digits. On the host both are added up in float64.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float
from numpy.typing import NDArray


class Sums(NamedTuple):
    """What the statistics need of S groups of K samples in d dimensions; finite samples only."""

    mean: Float[NDArray, "S d"]
    """Mean of each group."""
    square: Float[NDArray, " S"]
    """Mean squared length in each group."""
    var: Float[NDArray, "S d"]
    """Unbiased variance in each group, by dimension."""
    count: Float[NDArray, " S"]
    """Finite samples in each group; statistics leave out groups with fewer than two."""


class Running(NamedTuple):
    """Sums of groups of samples that are not all there yet, on the device."""

    base: Float[Array, "*s d"]
    """A number near the mean: that of the first samples."""
    offset: Float[Array, "*s d"]
    """Mean, less `base`."""
    deviations: Float[Array, "*s d"]
    """Sum of the squared distances to the mean."""
    count: Float[Array, "*s"]
    """Finite samples."""


def lengths(samples: Float[Array, "*s d"]) -> Float[Array, "*s"]:
    """Length of each sample; infinite above 1e19, where its square is beyond float32."""
    return jnp.sqrt((samples**2).sum(axis=-1))


def summed(samples: Float[Array, "S C *s d"], kept: Bool[Array, "S C *s"]) -> Running:
    """Sums of a chunk of C samples of each group [S, *s], of those that are kept."""
    count = kept.sum(axis=1).astype(samples.dtype)
    number = jnp.maximum(count, 1)[..., None]
    base = jnp.where(kept[..., None], samples, 0).sum(axis=1) / number
    apart = jnp.where(kept[..., None], samples - base[:, None], 0)
    # The mean was rounded: what is left of the distances to it says by how much.
    offset = apart.sum(axis=1) / number
    return Running(base, offset, (apart**2).sum(axis=1) - number * offset**2, count)


def joined(one: Running, other: Running) -> Running:
    """Sums of two sets of samples of the same groups."""
    n, m = one.count[..., None], other.count[..., None]
    first = n == 0
    base = jnp.where(first, other.base, one.base)
    before = jnp.where(first, 0, one.offset)
    total = jnp.maximum(n + m, 1)
    apart = jnp.where(m == 0, 0, (other.base - base) + (other.offset - before))
    return Running(
        base=base,
        offset=before + apart * (m / total),
        deviations=one.deviations + other.deviations + apart**2 * (n * m / total),
        count=one.count + other.count,
    )


def finished(running: Running) -> Sums:
    """The sums on the host, in float64."""
    base, offset, deviations, count = (np.asarray(x, float) for x in jax.device_get(running))
    mean, number = base + offset, np.maximum(count, 1)[..., None]
    deviations = np.maximum(deviations, 0)
    square = (mean**2 + deviations / number).sum(axis=-1)
    return Sums(mean, square, deviations / np.maximum(number - 1, 1), count)


def of(samples: Float[NDArray, "S K d"]) -> Sums:
    """Sums of samples that are all there."""
    chunk = jnp.asarray(samples)
    return finished(summed(chunk, jnp.isfinite(lengths(chunk))))
