"""What statistics need of gradient samples, so that samples need not be kept."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
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


def summarize(samples: Float[NDArray, "S K d"]) -> tuple[Sums, int]:
    """Sums of the finite samples, and how many were not finite."""
    finite = np.asarray(np.isfinite(samples).all(axis=-1))
    count = finite.sum(axis=1).astype(float)
    kept = np.where(finite[..., None], samples, 0)
    n = np.maximum(count, 1)[:, None]
    mean = kept.sum(axis=1) / n
    var = np.where(finite[..., None], (kept - mean[:, None]) ** 2, 0).sum(axis=1)
    var = var / np.maximum(n - 1, 1)
    square = (kept**2).sum(axis=(1, 2)) / n[:, 0]
    return Sums(mean, square, var, count), int((~finite).sum())


def merge(parts: Sequence[Sums]) -> Sums:
    """The sums of several sets of samples of the same groups (Chan et al. 1979)."""
    whole = Sums(*(np.asarray(x, float) for x in parts[0]))
    for part in parts[1:]:
        n, m = whole.count[:, None], part.count[:, None]
        total = np.maximum(n + m, 1)
        apart = part.mean - whole.mean
        deviations = whole.var * np.maximum(n - 1, 0) + part.var * np.maximum(m - 1, 0)
        deviations = deviations + apart**2 * n * m / total
        whole = Sums(
            mean=whole.mean + apart * m / total,
            square=(whole.square * n[:, 0] + part.square * m[:, 0]) / total[:, 0],
            var=deviations / np.maximum(n + m - 1, 1),
            count=whole.count + part.count,
        )
    return whole
