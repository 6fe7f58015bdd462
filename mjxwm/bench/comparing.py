"""Two reports of a benchmark side by side: what changed beyond the noise?"""

import statistics
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mjxwm import ConfigError
from mjxwm.bench import record
from mjxwm.maths import bootstrap

_RESAMPLES = 2000
_LEAST = 5
"""Samples below which an interval says nothing."""


class Change(NamedTuple):
    """One quantity, before and after."""

    name: str
    unit: str
    old: float
    """Median of the samples."""
    new: float
    ratio: float
    """New to old."""
    interval: tuple[float, float]
    """95% interval of the ratio."""
    verdict: str
    """better, worse, same where the interval has 1 in it, or unknown with too few samples."""


def compare(old: Path, new: Path) -> list[Change]:
    """The series that both reports have.

    Raises:
        ConfigError: a file is no report, or they have nothing in common.
    """
    (before, olds), (after, news) = record.load(old), record.load(new)
    if before["benchmark"] != after["benchmark"]:
        raise ConfigError(
            f"{old} is of bench {before['benchmark']}, {new} of bench {after['benchmark']}: two "
            "of one benchmark can be compared"
        )
    old_series = {series.name: series for series in olds}
    changes = [_change(old_series[s.name], s) for s in news if s.name in old_series]
    if not changes:
        raise ConfigError(
            f"{old} and {new} have no series in common: measure with the same settings"
        )
    return changes


def _change(old: record.Series, new: record.Series) -> Change:
    ratio = statistics.median(new.samples) / statistics.median(old.samples)
    low, high = interval(old.samples, new.samples)
    verdict = "same"
    if not new.exact and min(len(old.samples), len(new.samples)) < _LEAST:
        verdict = "unknown"
    elif not low <= 1 <= high:
        verdict = "better" if (ratio > 1) == new.more_is_better else "worse"
    medians = statistics.median(old.samples), statistics.median(new.samples)
    return Change(new.name, new.unit, *medians, ratio, (low, high), verdict)


def interval(old: list[float], new: list[float]) -> tuple[float, float]:
    """95% bootstrap interval of the quotient of the medians, new to old."""
    rng = np.random.default_rng(0)

    def medians(samples: list[float]) -> np.ndarray:
        return np.median(bootstrap.resample([samples], _RESAMPLES, rng), axis=1)

    low, high = bootstrap.percentiles(medians(new) / medians(old))
    return float(low), float(high)


def table(old: Path, new: Path, changes: list[Change]) -> str:
    """The changes as text, and what else differs between the two."""
    width = max(len(change.name) for change in changes)
    lines = [f"{'':{width}}{'old':>12}{'new':>12}  {'new : old':24}"]
    for c in changes:
        low, high = c.interval
        between = f"{c.ratio:.3f} ({low:.3f} to {high:.3f})"
        lines.append(f"{c.name:{width}}{c.old:12.4g}{c.new:12.4g}  {between:24}{c.verdict}")
    (before, _), (after, _) = record.load(old), record.load(new)
    fields = before["config"] | after["config"]
    for what in fields:
        one, other = before["config"].get(what), after["config"].get(what)
        if one != other:
            lines.append(f"setting {what}: {one} before, {other} after")
    for what in ("cpu", "cores", "devices", "commit"):
        one, other = before["system"].get(what), after["system"].get(what)
        if one != other:
            lines.append(f"{what}: {one} before, {other} after")
    return "\n".join(lines)
