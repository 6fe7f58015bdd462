"""Percentile bootstrap (Efron 1979), stratified: how sure a statistic of few samples is.

Here and not from SciPy, whose bootstrap has no strata.
"""

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
from jaxtyping import Float, Shaped
from numpy.typing import ArrayLike, NDArray


def resample(
    strata: Sequence[ArrayLike], resamples: int, rng: np.random.Generator
) -> Shaped[NDArray, "R n *s"]:
    """Samples drawn with replacement, from every stratum as many as it has.

    Args:
        strata: samples [n_i, *s] by stratum, such as the scores of a task's seeds; n = sum of n_i.
        resamples: number R of draws of all n.
        rng: source of the draws, stratum by stratum.
    """
    arrays = [np.asarray(stratum) for stratum in strata]
    drawn = [a[rng.integers(0, len(a), (resamples, len(a)))] for a in arrays]
    return np.concatenate(drawn, axis=1)


def interval(
    statistic: Callable[[NDArray], NDArray],
    strata: Sequence[ArrayLike],
    tail: float = 0.025,
    resamples: int = 2000,
    seed: int = 0,
) -> tuple[Float[NDArray, "*s"], Float[NDArray, "*s"]]:
    """Lower and upper end of the percentile interval of a statistic.

    With one sample per stratum all draws are equal: both ends are the statistic itself, which says
    nothing about how sure it is.

    Args:
        statistic: of all drawn samples [R, n, *s], over axis 1.
        strata: samples by stratum, see `resample`.
        tail: share of the draws below the interval, and of those above it.
        resamples: number of draws.
        seed: seed of the draws.
    """
    drawn = resample(strata, resamples, np.random.default_rng(seed))
    return percentiles(statistic(drawn), tail)


def percentiles(
    statistics: Float[NDArray, "R *s"],
    tail: float = 0.025,
    method: Literal["linear", "nearest"] = "linear",
) -> tuple[Float[NDArray, "*s"], Float[NDArray, "*s"]]:
    """Ends of the interval that leaves out the share `tail` of the values on each side.

    Args:
        statistics: one value per draw, on the first axis.
        tail: share of the values below the interval, and of those above it.
        method: of `numpy.quantile`.
    """
    low, high = np.quantile(statistics, [tail, 1 - tail], axis=0, method=method)
    return low, high
