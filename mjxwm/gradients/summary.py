"""Measurements as a table: every estimator's statistics, with intervals over start states."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mjxwm.gradients import metrics
from mjxwm.gradients.bootstrap import Interval, Statistics, bootstrap
from mjxwm.gradients.config import TRUTH
from mjxwm.gradients.laboratory import Measurements

BATCHES = (1, 4, 16, 64, 256, 1024, 4096)
"""Batch sizes for the mean squared error."""
_TAIL_RESAMPLES, _TAIL_SAMPLES = 200, 256
Rows = dict[str, dict[str, Any]]
"""By estimator, by statistic; an `Interval`, or a list of them (mse, by batch size)."""


def summarize(
    measurements: Measurements, strata: Sequence[NDArray], pooled: bool, seed: int = 0
) -> Rows:
    """Statistics with intervals, errors against batch size, break-even, tails; by estimator.

    Args:
        measurements: by estimator, the truth among them.
        strata: the start states that count, by stratum.
        pooled: whether the gradient in question is that of the mean over states, see `metrics`.
        seed: of the bootstrap.
    """
    functions = {name: _statistics(measurements, name, pooled) for name in measurements}
    rows: Rows = {}
    for name, measured in measurements.items():
        row: dict[str, Any] = dict(bootstrap(functions[name], strata, seed=seed))
        row["mse"] = [row.pop(f"mse {n}") for n in BATCHES]
        if name == TRUTH:
            row = {k: v for k, v in row.items() if k not in ("bias2", "cosine", "break_even")}
        norms = measured.norms[:, :_TAIL_SAMPLES]
        row |= bootstrap(lambda ids, x=norms: metrics.tails(x[ids]), strata, _TAIL_RESAMPLES, seed)
        row |= bootstrap(
            lambda ids, x=measured.norms: {"nonfinite": float((~np.isfinite(x[ids])).mean())},
            strata, _TAIL_RESAMPLES, seed,
        )  # fmt: skip
        rows[name] = row
    return rows


def difference(
    measurements: Measurements,
    one: str,
    other: str,
    strata: Sequence[NDArray],
    pooled: bool,
    seed: int = 0,
) -> dict[str, Interval]:
    """How much larger each statistic of `one` is than that of `other`, on the same draws."""
    a, b = (_statistics(measurements, name, pooled) for name in (one, other))

    def apart(ids: NDArray) -> dict[str, float]:
        x, y = a(ids), b(ids)
        return {name: x[name] - y[name] for name in x}

    return bootstrap(apart, strata, seed=seed)


class States(NamedTuple):
    """Squares and products of gradients of action sequences, state by state, debiased."""

    stratum: tuple[str, ...]
    horizons: dict[int, dict[str, dict[str, list[float]]]]
    """By horizon, by estimator: `norm2`, `inner` (with the truth), `variance`; of the truth `norm2`
    and `variance`. Means of them over states give every statistic of `metrics.by_state`."""


def states(by_horizon: dict[int, Measurements], stratum: Sequence[str]) -> States:
    """What a report keeps of its start states."""

    def rows(measurements: Measurements) -> dict[str, dict[str, list[float]]]:
        reference = measurements[TRUTH].sums
        return {
            name: {
                key: column.tolist()
                for key, column in metrics.columns(measured.sums, reference).items()
                if name != TRUTH or key != "inner"
            }
            for name, measured in measurements.items()
        }

    return States(tuple(stratum), {h: rows(measured) for h, measured in by_horizon.items()})


def growth(
    by_horizon: dict[int, Measurements], strata: Sequence[NDArray], seed: int = 0
) -> dict[str, dict[str, Any]]:
    """How the first action's gradient grows with the horizon, by estimator.

    `length`: by horizon, the median over states of the median length of a sample. `rate`: the slope
    of its logarithm per step: above 0 gradients explode, below they vanish.
    """
    horizons = np.array(sorted(by_horizon))
    rows: dict[str, dict[str, Any]] = {}
    for name in by_horizon[int(horizons[0])]:
        heads = np.array([np.nanmedian(by_horizon[int(h)][name].heads, axis=1) for h in horizons])

        def lengths(ids: NDArray, heads: NDArray = heads) -> dict[str, float]:
            median = np.median(heads[:, ids], axis=1)
            usable = np.isfinite(median) & (median > 0)
            several = usable.sum() > 1
            rate = np.polyfit(horizons[usable], np.log(median[usable]), 1)[0] if several else np.nan
            return {str(h): float(m) for h, m in zip(horizons, median, strict=True)} | {
                "rate": float(rate)
            }

        values = bootstrap(lengths, strata, _TAIL_RESAMPLES, seed)
        rows[name] = {"rate": values.pop("rate"), "length": {int(h): v for h, v in values.items()}}
    return rows


def _statistics(measurements: Measurements, name: str, pooled: bool) -> Statistics:
    """All statistics of an estimator that draws of states move."""
    over = metrics.over_states if pooled else metrics.by_state
    own_statistics = over(measurements[name].sums, measurements[TRUTH].sums)
    reference = over(measurements[TRUTH].sums, measurements[TRUTH].sums)

    def statistics(ids: NDArray) -> dict[str, float]:
        row, truth = own_statistics(ids), reference(ids)
        bias2 = 0.0 if name == TRUTH else row["bias2"]
        errors = metrics.mse(bias2, row["variance"], BATCHES)
        row |= {f"mse {n}": error for n, error in zip(BATCHES, errors, strict=True)}
        even = metrics.break_even(bias2, row["variance"], truth["variance"])
        return row | {"break_even": even}

    return statistics
