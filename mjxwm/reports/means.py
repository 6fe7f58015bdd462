"""Means over runs, such as seeds, of what each of them has at its own places."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mjxwm.maths import bootstrap


class MeanCurve(NamedTuple):
    """A mean over runs with its 95 % interval."""

    x: NDArray
    mean: NDArray
    low: NDArray
    high: NDArray
    """Ends of the interval over runs, by bootstrap; NaN for one run, of which there is none."""


def mean_curve(curves: Sequence[tuple[ArrayLike, ArrayLike]], points: int = 60) -> MeanCurve | None:
    """The mean of several curves, as far as all of them go: a mean of fewer would be another one.

    Args:
        curves: places and values of each run, in the order of the places; what is not finite is
            left out.
        points: places of the mean, evenly; a single curve keeps its own.

    Returns:
        The mean; None if some curve has no value, or no place is within all of them.
    """
    finite = [_finite(x, y) for x, y in curves]
    if not finite or not all(len(x) for x, _ in finite):
        return None
    if len(finite) == 1:
        x, y = finite[0]
        return MeanCurve(x, y, np.full(len(x), np.nan), np.full(len(x), np.nan))
    start, end = max(x[0] for x, _ in finite), min(x[-1] for x, _ in finite)
    if start > end:
        return None
    grid = np.linspace(start, end, points) if end > start else np.array([start])
    values = np.stack([np.interp(grid, x, y) for x, y in finite])
    return MeanCurve(grid, values.mean(axis=0), *interval(values))


def interval(values: ArrayLike) -> tuple[NDArray, NDArray]:
    """Ends [n] of the 95 % bootstrap interval of the mean over the rows of `values` [S, n].

    One row has no interval: both ends are NaN.
    """
    values = np.asarray(values, float)
    if len(values) < 2:
        return np.full(values.shape[1:], np.nan), np.full(values.shape[1:], np.nan)
    return bootstrap.interval(lambda drawn: drawn.mean(axis=1), [values])


def _finite(x: ArrayLike, y: ArrayLike) -> tuple[NDArray, NDArray]:
    places, values = np.asarray(x, float), np.asarray(y, float)
    usable = np.isfinite(places) & np.isfinite(values)
    return places[usable], values[usable]
