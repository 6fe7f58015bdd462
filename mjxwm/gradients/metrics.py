"""How good a gradient estimator is: statistics of its samples against samples of the truth.

An estimator gives samples g_i [N, d] of a gradient; the truth is the mean of another estimator's
samples, zeroth-order ones in the simulator. Every statistic of squared means is debiased: the mean
square of a noisy mean is too large by its variance over N, and a cosine of noisy means too small.

Samples come in groups, one per start state, and intervals are percentile bootstraps that draw whole
groups anew: samples of one state are not independent draws over states.

Sources: Suh et al. 2022 (arXiv 2202.00817) for bias and variance; Parmas et al. 2023 for the
expected signal-to-noise ratio, which PWM (arXiv 2407.02466) computes per parameter.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray


class Interval(NamedTuple):
    """A statistic with its 95% bootstrap interval."""

    value: float
    low: float
    high: float


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


def length2(a: Sums) -> Float[NDArray, " S"]:
    """Squared length of each group's expectation, without the bias of a noisy mean."""
    return (a.mean**2).sum(axis=1) - a.var.sum(axis=1) / np.maximum(a.count, 1)


def product(a: Sums, b: Sums) -> Float[NDArray, " S"]:
    """Inner product of two independent estimators' expectations, group by group."""
    return (a.mean * b.mean).sum(axis=1)


def statistics(a: Sums, truth: Sums) -> dict[str, Callable[[NDArray], float]]:
    """Named statistics as functions of the groups drawn (indices), for `bootstrap`.

    Expectations are per start state; squares and products are averaged over states.

    - bias2: |E g - truth|^2, debiased; it may come out below 0.
    - variance: trace of the covariance at a state.
    - cosine: of E g and the truth, debiased.
    - esnr: |E g|^2 / variance; esnr_mean: the mean over dimensions of their own ratios, PWM's.
    - norm: root mean square of a sample's length.
    """
    norm_a, norm_t, inner = length2(a), length2(truth), product(a, truth)
    spread = a.var.sum(axis=1)
    weight = (a.count > 1) & (truth.count > 1)

    def mean(x: NDArray, ids: NDArray) -> float:
        kept = ids[weight[ids]]
        return float(x[kept].mean()) if kept.size else float("nan")

    def cosine(ids: NDArray) -> float:
        square = mean(norm_a, ids) * mean(norm_t, ids)
        # Below zero, the noise is larger than the signal: there is no direction to speak of.
        both = mean(norm_a, ids) > 0 and mean(norm_t, ids) > 0
        return mean(inner, ids) / np.sqrt(square) if both else float("nan")

    def per_dimension(ids: NDArray) -> float:
        kept = ids[weight[ids]]
        n = a.count[kept][:, None]
        ratio = a.mean[kept] ** 2 / (a.var[kept] + 1e-9) - 1 / n
        return float(ratio.mean()) if kept.size else float("nan")

    return {
        "bias2": lambda ids: mean(norm_a + norm_t - 2 * inner, ids),
        "variance": lambda ids: mean(spread, ids),
        "cosine": cosine,
        "esnr": lambda ids: mean(norm_a, ids) / mean(spread, ids),
        "esnr_mean": per_dimension,
        "norm": lambda ids: float(np.sqrt(mean(a.square, ids))),
    }


def bootstrap(
    function: Callable[[NDArray], float], groups: int, resamples: int = 1000, seed: int = 0
) -> Interval:
    """A statistic and its 95% interval over groups drawn with replacement.

    Draws on which it is not defined are left out; where fewer than half are, the interval is NaN.
    """
    rng = np.random.default_rng(seed)
    drawn = np.array([function(rng.integers(0, groups, groups)) for _ in range(resamples)])
    drawn = drawn[np.isfinite(drawn)]
    value = float(function(np.arange(groups)))
    if len(drawn) < resamples / 2:
        return Interval(value, float("nan"), float("nan"))
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Interval(value, float(low), float(high))


def mse(bias2: float, variance: float, batch: Sequence[int]) -> list[float]:
    """Mean squared error of a mean over each batch size: bias^2 + variance / N."""
    return [max(bias2, 0.0) + variance / n for n in batch]


def break_even(bias2: float, variance: float, other_variance: float) -> float:
    """The batch size above which an unbiased estimator is better than a biased one.

    Infinity where the biased one has the smaller error at any size; 0 where it never has.
    """
    gain = other_variance - variance
    if gain <= 0:
        return 0.0
    return gain / bias2 if bias2 > 0 else float("inf")


def tails(norms: Float[NDArray, " N"]) -> dict[str, float]:
    """How heavy the tail of the samples' lengths is: of finite ones.

    - max_to_median, p999_to_median
    - hill: Hill's index of the upper twentieth; below 2 the variance is not to be trusted.
    - dropped: how far the mean length moves, relative, without the largest hundredth.
    """
    x = np.sort(norms[np.isfinite(norms)])
    if len(x) < 20 or x[len(x) // 2] <= 0:
        return dict.fromkeys(("max_to_median", "p999_to_median", "hill", "dropped"), float("nan"))
    median = x[len(x) // 2]
    top = x[-max(2, len(x) // 20) :]
    spread = np.log(top[1:] / top[0]).mean()
    cut = x[: -max(1, len(x) // 100)]
    return {
        "max_to_median": float(x[-1] / median),
        "p999_to_median": float(np.quantile(x, 0.999) / median),
        "hill": float(1 / spread) if spread > 0 else float("inf"),
        "dropped": float(abs(cut.mean() - x.mean()) / x.mean()),
    }


def roughness(values: Float[NDArray, " n"]) -> float:
    """Of a function on a line: sum of squared second differences over that of first ones."""
    first, second = np.diff(values), np.diff(values, n=2)
    return float((second**2).sum() / max((first**2).sum(), 1e-300))
