"""Figures of a study: learning curves with intervals over seeds, and performance profiles."""

from collections.abc import Iterator, Sequence
from typing import Any

from mjxwm.reports.means import mean_curve
from mjxwm.reports.pages import page
from mjxwm.reports.pages.charts import Chart, Line
from mjxwm.reports.pages.page import Html

_AXES = {
    "env_steps": "env steps, all worlds",
    "gradient_steps": "gradient steps, all networks",
    "minutes": "minutes, compilation included",
}
_SHOWS = (
    "Mean return of the evaluated episodes; the band is the 95 % bootstrap interval of the mean "
    "over seeds, faint lines are single seeds, dashed ones are not done. A run that failed stays "
    "where its last evaluation was."
)
_BAD = "bands that overlap: more seeds are needed before one is called better."


def of_clock(html: str) -> Html:
    """Marks a part that depends on the clock, which two studies of the same results differ in."""
    return Html(f"<!--clock-->{html}<!--/clock-->" if html else "")


def curves(runs: Sequence[dict[str, Any]], colours: dict[str, int]) -> Iterator[Html]:
    """Returns in one world against env steps, gradient steps and minutes.

    Args:
        runs: the world's.
        colours: number of each method's colour.
    """
    for axis, words in _AXES.items():
        lines = [
            line
            for method, colour in colours.items()
            for line in _lines([r for r in runs if r["method"] == method], axis, method, colour)
        ]
        title = f"{runs[0]['world']}: return against {words.partition(',')[0]}"
        shows, bad = (_SHOWS, _BAD) if axis == "env_steps" else ("", "")
        chart = Chart(lines, words)
        figure = page.figure(title, chart, shows, bad)
        yield of_clock(figure) if axis == "minutes" else figure


def _lines(runs: Sequence[dict[str, Any]], axis: str, method: str, colour: int) -> list[Line]:
    whole = [run for run in runs if run["state"] in ("done", "failed") and run["curve"]["return"]]
    end = max((run["curve"][axis][-1] for run in whole), default=0.0)
    curves = [_curve(run, axis, end) for run in whole]
    lines = [Line("", *curve, colour=colour, style="faint") for curve in curves[1:] and curves]
    others = [run for run in runs if run not in whole and run["curve"]["return"]]
    for i, run in enumerate(others):
        name = "" if whole or i else f"{method}, not done"
        points = run["curve"][axis], run["curve"]["return"]
        lines.append(Line(name, *points, colour=colour, style="dashed"))
    mean = mean_curve(curves) if curves else None
    if mean is None:
        return lines
    band = (list(mean.low), list(mean.high)) if len(curves) > 1 else (None, None)
    name = f"{method}, {len(curves)} seed{'s' * (len(curves) > 1)}"
    return [*lines, Line(name, list(mean.x), list(mean.mean), *band, colour=colour)]


def _curve(run: dict[str, Any], axis: str, end: float) -> tuple[list[float], list[float]]:
    x, y = list(run["curve"][axis]), list(run["curve"]["return"])
    if run["state"] == "failed" and x[-1] < end:
        return [*x, end], [*y, y[-1]]
    return x, y


def profiles(rows: Sequence[dict[str, Any]], colours: dict[str, int]) -> Html:
    """The share of runs above each score, over all worlds."""
    lines = [
        Line(
            row["method"],
            row["profile"]["values"],
            row["profile"]["share"],
            row["profile"]["low"],
            row["profile"]["high"],
            colours[row["method"]],
        )
        for row in rows
    ]
    return page.figure(
        "Performance profiles",
        Chart(lines, "score, in units of PPO's return", zero=True),
        "The share of runs, over all worlds, that score above each value; higher is better, and "
        "the bands are 95 % intervals over seeds.",
        "lines that cross: which method is better depends on the world.",
        wide=True,
    )
