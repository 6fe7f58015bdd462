"""The report's figures: of what is finite, on logarithmic axes where anything is above 0."""

from collections.abc import Mapping, Sequence

import numpy as np

from mjxwm.gradients import names
from mjxwm.gradients.bootstrap import Interval
from mjxwm.gradients.config import TRUTH
from mjxwm.gradients.landscape import POINTS, REACH, SIZES
from mjxwm.gradients.results import Report
from mjxwm.gradients.summary import BATCHES, Rows
from mjxwm.reports.pages.charts import INK, Chart, Line


def cosines(report: Report) -> Chart:
    """Cosine to the truth against the horizon."""
    horizons = sorted(report.horizons)
    rows = {n: [report.horizons[h][n]["cosine"] for h in horizons] for n in _but_truth(report)}
    return Chart(_lines(horizons, rows), "steps", ("log", "linear"))


def signals(report: Report) -> Chart:
    """ESNR against the horizon."""
    horizons = sorted(report.horizons)
    rows = {name: [report.horizons[h][name]["esnr"] for h in horizons] for name in report.plan}
    return Chart(_lines(horizons, rows), "steps", ("log", "symlog"))


def lengths(report: Report) -> Chart:
    """Length of the first action's part against the horizon."""
    horizons = sorted(report.horizons)
    rows = {name: [report.growth[name]["length"][h] for h in horizons] for name in report.plan}
    return Chart(_lines(horizons, rows), "steps", ("log", "log"))


def errors(rows: Rows) -> Chart:
    """Mean squared error against the batch size."""
    return Chart(
        _lines(BATCHES, {name: row["mse"] for name, row in rows.items()}),
        "samples in a batch N",
        ("log", "log"),
    )


def landscapes(report: Report) -> dict[str, Chart]:
    """The objective along each shared direction, by its name."""
    x = np.linspace(-REACH, REACH, POINTS).tolist()
    charts = {}
    for direction in dict.fromkeys(line.direction for line in report.lines):
        lines = [
            Line(
                f"{line.dynamics}, noise {'on' if line.noise else 'off'}",
                x,
                line.values,
                colour=0 if line.dynamics == "simulator" else 1,
                style="solid" if line.noise else "dashed",
            )
            for line in report.lines
            if line.direction == direction
        ]
        charts[names.estimator(direction)] = Chart(lines, "share of the parameters' length")
    return charts


def steps(report: Report) -> Chart:
    """What steps along each gradient gained."""
    rows = {row.estimator: row.gains for row in report.improvements}
    return Chart(_lines(SIZES, rows), "step, share of the parameters' length", ("log", "linear"))


def _but_truth(report: Report) -> list[str]:
    return [name for name in report.plan if name != TRUTH]


def _lines(x: Sequence[float], rows: Mapping[str, Sequence[Interval]]) -> list[Line]:
    """A line with its interval for each estimator, always in its colour; the truth in black."""
    return [
        Line(
            names.estimator(name),
            x,
            [value.value for value in values],
            [value.low for value in values],
            [value.high for value in values],
            colour=_colour(name),
            style="dashed" if "," in name else "solid",
        )
        for name, values in rows.items()
    ]


def _colour(name: str) -> int:
    others = [one for one in names.ESTIMATORS if one != TRUTH]
    first = name.partition(",")[0]
    return others.index(first) if first in others else INK
