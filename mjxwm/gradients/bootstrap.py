"""Bootstrap intervals of several statistics at once, over start states, stratum by stratum."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mjxwm.maths.bootstrap import percentiles, resample

Statistics = Callable[[NDArray], dict[str, float]]
"""Named statistics of the groups drawn (indices, repeats allowed)."""


class Interval(NamedTuple):
    """A statistic with its 95% bootstrap interval."""

    value: float
    low: float
    high: float


LEAST_GROUPS = 5
"""Fewer independent groups have no interval."""


def bootstrap(
    function: Statistics, strata: Sequence[NDArray], resamples: int = 1000, seed: int = 0
) -> dict[str, Interval]:
    """Statistics with their 95% intervals over groups drawn with replacement, stratum by stratum.

    Args:
        function: of indices of groups.
        strata: indices of the groups of each stratum, which is drawn from alone.
        resamples: number of draws.
        seed: of the draws.

    Draws on which a statistic is not defined are left out; where fewer than half are, or where
    there are fewer than `LEAST_GROUPS` groups, the interval is NaN.
    """
    rng = np.random.default_rng(seed)
    whole = function(np.concatenate(strata))
    if sum(map(len, strata)) < LEAST_GROUPS:
        return {name: Interval(value, np.nan, np.nan) for name, value in whole.items()}
    drawn = [function(resample(strata, 1, rng)[0]) for _ in range(resamples)]
    return {name: _interval(value, [d[name] for d in drawn]) for name, value in whole.items()}


def _interval(value: float, drawn: Sequence[float]) -> Interval:
    defined = np.array(drawn)[~np.isnan(drawn)]
    if len(defined) < len(drawn) / 2:
        return Interval(value, np.nan, np.nan)
    low, high = percentiles(defined, method="nearest")  # ends may be infinite
    return Interval(value, float(low), float(high))
