"""How good a gradient estimator is: statistics of its samples against samples of the truth.

An estimator gives samples g_i [N, d] of a gradient; the truth is the mean of another estimator's
samples, zeroth-order ones in the simulator. Every statistic of squared means is debiased: the mean
square of a noisy mean is too large by its variance over N, and a cosine of noisy means too small.

Samples come in groups, one per start state. There are two questions: how good is a gradient at a
start state (`by_state`: action sequences, which belong to a state), and how good is that of the
mean over start states (`over_states`: policy parameters, which serve all of them).

Sources: Suh et al. 2022 (arXiv 2202.00817) for bias and variance; Parmas et al. 2023 for the
expected signal-to-noise ratio, which PWM (arXiv 2407.02466) computes per parameter.
"""

import warnings
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from mjxwm.gradients.bootstrap import Statistics
from mjxwm.gradients.sums import Sums


def length2(a: Sums) -> Float[NDArray, " S"]:
    """Squared length of each group's expectation, without the bias of a noisy mean."""
    return (a.mean**2).sum(axis=1) - a.var.sum(axis=1) / np.maximum(a.count, 1)


def product(a: Sums, b: Sums) -> Float[NDArray, " S"]:
    """Inner product of two independent estimators' expectations, group by group."""
    return (a.mean * b.mean).sum(axis=1)


def columns(a: Sums, truth: Sums) -> dict[str, Float[NDArray, " S"]]:
    """What the statistics of gradients at a start state are means of, state by state; NaN where
    there are fewer than two samples."""
    sampled = (a.count > 1) & (truth.count > 1)
    values = {"norm2": length2(a), "inner": product(a, truth), "variance": a.var.sum(axis=1)}
    return {name: np.where(sampled, x, np.nan) for name, x in values.items()}


def by_state(a: Sums, truth: Sums) -> Statistics:
    """Statistics of gradients at a start state; squares and products are averaged over states.

    - bias2: |E g - truth|^2, debiased; it may come out below 0.
    - variance: trace of the covariance at a state.
    - cosine: of E g and the truth, debiased.
    - esnr: |E g|^2 / variance; esnr_mean: the mean over dimensions of their own ratios, PWM's.
    - norm: root mean square of a sample's length.
    - truth2: |truth|^2.
    """
    sampled = (a.count > 1) & (truth.count > 1)
    live = (a.var > 0).any(axis=0)  # entries past the horizon or dead in the policy say nothing
    ratio = a.mean[:, live] ** 2 / (a.var[:, live] + 1e-9) - 1 / np.maximum(a.count, 1)[:, None]
    mean_ratio = ratio.mean(axis=1) if live.any() else np.full(len(a.count), np.nan)
    columns = np.stack(
        [length2(a), length2(truth), product(a, truth), a.var.sum(axis=1), a.square, mean_ratio],
        axis=1,
    )

    def statistics(ids: NDArray) -> dict[str, float]:
        kept = ids[sampled[ids]]
        if not kept.size:
            return dict.fromkeys(_NAMES, float("nan"))
        norm2, truth2, inner, variance, square, ratio = columns[kept].mean(axis=0)
        return _named(norm2, truth2, inner, variance, square, ratio)

    return statistics


def over_states(a: Sums, truth: Sums) -> Statistics:
    """Statistics of the gradient of the mean over start states: a sample is a state and a noise.

    The names are those of `by_state`, but biases that cancel over states are none, and the
    variance counts how gradients differ from state to state. Squared lengths are means of products
    of different states' means, which share no noise, so that nothing needs to be debiased.
    """
    sampled = (a.count > 1) & (truth.count > 1)
    grams = [x @ y.T for x, y in ((a.mean, a.mean), (truth.mean, truth.mean), (a.mean, truth.mean))]
    within = a.var * (1 - 1 / np.maximum(a.count, 1))[:, None] + a.mean**2

    def statistics(ids: NDArray) -> dict[str, float]:
        weight = np.bincount(ids, minlength=len(sampled)) * sampled
        pairs = weight.sum() ** 2 - (weight**2).sum()
        if not pairs:
            return dict.fromkeys(_NAMES, float("nan"))
        norm2, truth2, inner = (
            float((weight @ gram @ weight - weight**2 @ np.diag(gram)) / pairs) for gram in grams
        )
        share = weight / weight.sum()
        square = float(share @ a.square)
        signal = ((weight @ a.mean) ** 2 - weight**2 @ a.mean**2) / pairs
        spread = share @ within - signal
        live = spread > 0
        ratio = float((signal[live] / (spread[live] + 1e-9)).mean()) if live.any() else np.nan
        return _named(norm2, truth2, inner, square - norm2, square, ratio)

    return statistics


_NAMES = ("bias2", "variance", "cosine", "esnr", "esnr_mean", "norm", "truth2")


def _named(
    norm2: float, truth2: float, inner: float, variance: float, square: float, ratio: float
) -> dict[str, float]:
    # Below zero, the noise is larger than the signal: there is no direction to speak of.
    cosine = inner / np.sqrt(norm2 * truth2) if min(norm2, truth2) > 0 else np.nan
    esnr = norm2 / variance if variance > 0 else np.nan
    values = (norm2 + truth2 - 2 * inner, variance, cosine, esnr, ratio, np.sqrt(square), truth2)
    return {name: float(value) for name, value in zip(_NAMES, values, strict=True)}


def mse(bias2: float, variance: float, batch: Sequence[int]) -> list[float]:
    """Mean squared error of a mean over each batch size: bias^2 + variance / N."""
    return [max(bias2, 0.0) + variance / n for n in batch]


def break_even(bias2: float, variance: float, other_variance: float) -> float:
    """The batch size above which an unbiased estimator is better than a biased one.

    Infinity where the biased one has the smaller error at any size; 0 where it never has.
    """
    gain = other_variance - variance
    if np.isnan(gain + bias2):
        return float("nan")
    if gain <= 0:
        return 0.0
    return gain / bias2 if bias2 > 0 else float("inf")


def tails(norms: Float[NDArray, "S N"]) -> dict[str, float]:
    """How heavy the tail of the samples' lengths is: of finite ones, in units of a state's median.

    - max_to_median, p999_to_median
    - hill: Hill's index of the upper twentieth; below 2 the variance is not to be trusted.
    - dropped: how far the mean length moves, relative, without the largest hundredth.
    """
    finite = np.where(np.isfinite(norms), norms, np.nan)
    with np.errstate(invalid="ignore", divide="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # states without a finite sample
        scaled = finite / np.nanmedian(finite, axis=1, keepdims=True)
    x = np.sort(scaled[np.isfinite(scaled)])
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
    """Roughness of a function on a line: squared second differences over squared first ones."""
    first, second = np.diff(values), np.diff(values, n=2)
    return float((second**2).sum() / max((first**2).sum(), 1e-300))
