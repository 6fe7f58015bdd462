"""Figures of a run's record: its curve, and panels of metrics."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from mjxwm.reports.one_run.material import Material, number, series
from mjxwm.reports.one_run.panels import Panel
from mjxwm.reports.pages import page
from mjxwm.reports.pages.charts import Chart, Line
from mjxwm.reports.pages.page import Html

_MANY = 80
"""Points from which on a line is smoothed, with the values themselves faint behind it."""
_APART = ("iteration", "env_steps", "updates", "minutes", "crc32")
"""Names in a row that are no metrics."""


def curve(material: Material, x: str, x_name: str) -> Chart:
    """Returns of evaluations, with their spread, and of collected episodes."""
    rows = material.evaluations
    places, means = series(rows, x, "eval/return")
    spread = [number(row.get("eval/return_std")) or 0.0 for row in rows if number(row.get(x))]
    spread = spread if len(spread) == len(means) else [0.0] * len(means)
    low = [mean - half for mean, half in zip(means, spread, strict=True)]
    high = [mean + half for mean, half in zip(means, spread, strict=True)]
    name = "evaluated: mean, and standard deviation over episodes"
    lines = [Line(name, places, means, low, high)]
    collected = series(material.rows, x, "collect/return")
    if collected[0]:
        lines.append(Line("collected, with the policy's noise", *collected, style="faint"))
    return Chart(lines, x_name)


def panel(material: Material, spec: Panel) -> Html:
    """A panel; nothing where the record has none of its metrics."""
    lines: list[Line] = []
    for name, label in _present(material.rows, spec):
        lines += _lines(material, name, label or _short(name), _colour(lines))
    if spec.troubles and not any(moves(line.y) for line in lines):
        return Html("")
    kinds = ("linear", spec.kind)
    levels = spec.levels if _near(lines, spec.levels) else ()
    chart = Chart(lines, material.x[1], kinds, spec.zero and spec.kind == "linear", levels)
    return page.figure(spec.title, chart, spec.shows, spec.bad)


def others(material: Material, specs: Sequence[Panel]) -> list[Html]:
    """A figure for every metric of the record that none of these panels has."""
    taken = {name for spec in specs for name, _ in _present(material.rows, spec)}
    taken |= {"eval/return", "eval/return_std", "collect/return", *_APART}
    names = dict.fromkeys(name for row in material.rows for name in row)
    figures = []
    for name in sorted(set(names) - taken):
        lines = _lines(material, name, name, 0)
        if any(moves(line.y) for line in lines):
            figures.append(page.figure(name, Chart(lines, material.x[1])))
    return figures


def _present(rows: list[dict[str, Any]], spec: Panel) -> list[tuple[str, str]]:
    """Names in the record that a panel has, each once, and what they are called."""
    names = dict.fromkeys(name for row in rows for name in row)
    chosen: dict[str, str] = {}
    for pattern, label in spec.metrics.items():
        for name in names:
            fits = name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern
            if fits and not (spec.troubles and not _nonzero(rows, name)):
                chosen.setdefault(name, label)
    return list(chosen.items())


def _nonzero(rows: list[dict[str, Any]], name: str) -> bool:
    return any(row.get(name) not in (None, 0, 0.0) for row in rows)


def _lines(material: Material, name: str, label: str, colour: int) -> list[Line]:
    places, values = series(material.rows, material.x[0], name)
    if len(places) < _MANY:
        return [Line(label, places, values, colour=colour)]
    return [
        Line("", places, values, colour=colour, style="faint"),
        Line(label, places, smoothed(values), colour=colour),
    ]


def _colour(lines: Sequence[Line]) -> int:
    return sum(bool(line.name) for line in lines)


def smoothed(values: Sequence[float]) -> list[float]:
    """Means over a window of a twentieth of all values around each; NaN where none is finite."""
    array = np.asarray(values, float)
    reach = max(1, len(array) // 40)
    finite = np.isfinite(array)
    total = np.concatenate([[0.0], np.cumsum(np.where(finite, array, 0))])
    count = np.concatenate([[0], np.cumsum(finite)])
    at = np.arange(len(array))
    first, end = np.maximum(at - reach, 0), np.minimum(at + reach + 1, len(array))
    within = count[end] - count[first]
    means = (total[end] - total[first]) / np.maximum(within, 1)
    return np.where(within > 0, means, np.nan).tolist()


def _short(name: str) -> str:
    """The name of a metric without its group: `collect/reward_upright` is "upright"."""
    return name.rpartition("/")[2].removeprefix("reward_").replace("_", " ")


def moves(values: Sequence[float]) -> bool:
    """Whether a line is anything but 0 all along."""
    return any(value != 0 for value in values)


def _near(lines: Sequence[Line], levels: Sequence[tuple[float, str]]) -> bool:
    """Whether a level is within twice of what the lines reach, so that it does not flatten them."""
    values = [abs(y) for line in lines for y in line.y if math.isfinite(y)]
    return bool(values) and all(level <= 2.5 * max(values) for level, _ in levels)
