"""Statistics over seeds and tasks by rliable (Agarwal et al. 2021, arXiv 2108.13264).

Intervals are 95 % percentile bootstraps, stratified by task. rliable draws from NumPy's global
generator, whatever it is handed, so that is seeded here and put back: equal scores have equal
intervals, on every page of a study.
"""

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

RESAMPLES = 2000
MISSING = "needs rliable: pip install 'mjxwm[study]'"
Scores = tuple[tuple[float, ...], ...]
"""Scores [runs][tasks] of a method."""


class Estimate(NamedTuple):
    """A statistic with its 95 % interval."""

    value: float
    low: float
    high: float


class Profile(NamedTuple):
    """The share of runs that score above each value."""

    values: list[float]
    share: list[float]
    low: list[float]
    high: list[float]


def available() -> bool:
    """Whether rliable can be imported."""
    try:
        _rliable()
    except ImportError:
        return False
    return True


@functools.cache
def interquartile_mean(scores: Scores) -> Estimate:
    """`rliable.metrics.aggregate_iqm`: the mean without a quarter of the runs at each end.

    A quarter is rounded down to whole runs, so that nothing is cut off of three. Draws are
    evaluated by `_middle`, which is the same number in a tenth of the time.
    """
    library, metrics = _rliable()
    values = np.array(scores)
    with _seeded():
        _, ends = library.get_interval_estimates({"x": values}, _middle, reps=RESAMPLES)
    return _estimate(metrics.aggregate_iqm(values), ends["x"])


def _middle(scores: Float[NDArray, "n k"]) -> NDArray:
    cut = scores.size // 4
    return np.sort(scores, axis=None)[cut : scores.size - cut].mean(keepdims=True)


@functools.cache
def probability_of_improvement(scores: Scores, others: Scores) -> Estimate:
    """`rliable.metrics.probability_of_improvement`: how likely a run scores above another's.

    The mean over tasks; equal scores count half. Draws are evaluated by `_improvement`, which is
    the same number without the test that rliable makes of it and does not use.

    Args:
        scores: of the method.
        others: of the one that it is compared with, on the same tasks.
    """
    library, metrics = _rliable()
    pair = [np.array(scores), np.array(others)]
    with _seeded():
        _, ends = library.get_interval_estimates({"x": pair}, _improvement, reps=RESAMPLES)
    return _estimate(metrics.probability_of_improvement(*pair), ends["x"])


def _improvement(x: Float[NDArray, "n k"], y: Float[NDArray, "m k"]) -> NDArray:
    above = (x[:, None] > y[None]).mean() + 0.5 * (x[:, None] == y[None]).mean()
    return np.array([above])


@functools.cache
def profile(scores: Scores, values: tuple[float, ...]) -> Profile:
    """`rliable.library.create_performance_profile` of a method, at these scores."""
    library, _ = _rliable()

    def shares(x: NDArray, taus: NDArray) -> NDArray:
        return (x[..., None] > taus).mean(axis=(0, 1))

    with _seeded():
        profiles, ends = library.create_performance_profile(
            {"x": np.array(scores)}, np.array(values), custom_profile_func=shares, reps=RESAMPLES
        )
    low, high = np.asarray(ends["x"])
    return Profile(list(values), profiles["x"].tolist(), low.tolist(), high.tolist())


def _estimate(point: Any, ends: Any) -> Estimate:
    low, high = np.asarray(ends, float).reshape(2)
    return Estimate(float(np.asarray(point).reshape(())), float(low), float(high))


def _rliable() -> tuple[Any, Any]:
    from rliable import library, metrics  # pyright: ignore[reportMissingImports]

    return library, metrics


@contextmanager
def _seeded() -> Iterator[None]:
    before = np.random.get_state()  # noqa: NPY002  rliable's generator
    np.random.seed(0)  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(before)  # noqa: NPY002
