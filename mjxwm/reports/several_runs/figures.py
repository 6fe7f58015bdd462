"""Figures of several runs: a line for each group of them, the mean over its seeds."""

from collections.abc import Iterator, Sequence

from mjxwm.reports.means import mean_curve
from mjxwm.reports.one_run.figures import moves, smoothed
from mjxwm.reports.one_run.material import series
from mjxwm.reports.one_run.panels import Panel
from mjxwm.reports.pages import page
from mjxwm.reports.pages.charts import Chart, Line
from mjxwm.reports.pages.page import Html
from mjxwm.reports.several_runs.groups import Group

_POINTS = 200
"""Points of a mean over seeds."""
_SEEDS = (
    " The band is the 95 % bootstrap interval of the mean over seeds; faint lines are single seeds."
)


def returns(groups: Sequence[Group], task: str = "") -> Iterator[Html]:
    """Evaluated returns against env steps and minutes.

    Args:
        groups: runs of one task.
        task: for the title, where the page has several.
    """
    x, x_name = groups[0].runs[0].x
    alike = all(one.x[0] == x for group in groups for one in group.runs)
    axes = [(x, x_name)] if alike else []
    for at, words in (*axes, ("minutes", "minutes, compilation included")):
        lines = [line for group in groups for line in _evaluated(group, at)]
        several = any(len(group.runs) > 1 for group in groups)
        yield page.figure(
            f"{task}: return against {words}" if task else f"Return against {words}",
            Chart(lines, words),
            f"Mean return of the evaluated episodes.{_SEEDS if several else ''}",
            "bands that overlap: more seeds are needed before one is called better."
            if several
            else "a lead of one seed: another seed may reverse it.",
            wide=at != "minutes",
        )


def _evaluated(group: Group, x: str) -> list[Line]:
    curves = [series(one.evaluations, x, "eval/return") for one in group.runs]
    curves = [curve for curve in curves if curve[0]]
    mean = mean_curve(curves)
    several = curves if len(curves) > 1 else []
    lines = [Line("", *curve, colour=group.colour, style="faint") for curve in several]
    if mean is None:  # some run has no place in common with the others
        return [line._replace(name=group.name, style="dashed") for line in lines]
    band = (list(mean.low), list(mean.high)) if len(curves) > 1 else (None, None)
    name = group.name if len(curves) == 1 else f"{group.name}, mean of {len(curves)} seeds"
    return [*lines, Line(name, list(mean.x), list(mean.mean), *band, colour=group.colour)]


def metrics(groups: Sequence[Group], spec: Panel) -> Iterator[Html]:
    """A figure for each metric of a panel that is named in it and that some run has."""
    x_name = groups[0].runs[0].x[1]
    alike = [group for group in groups if group.runs[0].x[1] == x_name]
    for name, label in spec.metrics.items():
        lines = [line for group in alike for line in _metric(group, name)]
        if not lines or (spec.troubles and not any(moves(line.y) for line in lines)):
            continue
        same = len([other for other in spec.metrics if not other.endswith("*")]) == 1
        title = spec.title if same or not label else f"{spec.title}: {label}"
        kinds = ("linear", spec.kind)
        chart = Chart(lines, x_name, kinds, spec.zero and spec.kind == "linear")
        yield page.figure(title, chart, spec.shows, spec.bad)


def _metric(group: Group, name: str) -> list[Line]:
    curves = [series(one.rows, one.x[0], name) for one in group.runs]
    mean = mean_curve([curve for curve in curves if curve[0]], _POINTS)
    if mean is None:
        return []
    values = smoothed(list(mean.mean)) if len(mean.x) > 80 else list(mean.mean)
    return [Line(group.name, list(mean.x), values, colour=group.colour)]
