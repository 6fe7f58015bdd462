"""Tables of several runs: results by group, each run, and what differs between them."""

import math
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mjxwm.reports.means import interval
from mjxwm.reports.one_run import FILE
from mjxwm.reports.one_run.configuration import flat, shown
from mjxwm.reports.one_run.headline import duration, exact
from mjxwm.reports.one_run.material import Material, number
from mjxwm.reports.pages import charts, page
from mjxwm.reports.pages.page import Html, escaped
from mjxwm.reports.pages.scales import number as written
from mjxwm.reports.several_runs import groups as grouping
from mjxwm.reports.several_runs.groups import Group
from mjxwm.runs import symptoms

_NO = "-"
"""Where there is no value."""


def results(groups: Sequence[Group]) -> Html:
    """A row for each group: returns with their interval over seeds, steps, time."""
    tasks = len({group.task for group in groups}) > 1
    head = ["configuration", *(["task"] if tasks else []), "seeds"]
    head += ["return at the end", "95 % over seeds", "best evaluation", "steps", "time"]
    rows = []
    for group, name in zip(groups, _names(groups), strict=True):
        ends = [end for one in group.runs if (end := _return(one, -1)) is not None]
        tops = [top for one in group.runs if (top := _best(one)) is not None]
        low, high = interval(np.array(ends)[:, None]) if ends else ([math.nan], [math.nan])
        sure = f"{exact(low[0])} to {exact(high[0])}" if math.isfinite(low[0]) else _NO
        cells = [name, *([group.task] if tasks else []), str(len(group.runs))]
        rows.append([*cells, _mean(ends), sure, _mean(tops), _steps(group.runs), _time(group.runs)])
    table = page.table(head, rows)
    if all(len(group.runs) == 1 for group in groups):
        return Html(table + page.paragraph("One seed each: there are no intervals.", "note"))
    return table


def runs(groups: Sequence[Group], folder: Path) -> Html:
    """A row for each run, with a link to its own page."""
    head = ("run", "configuration", "seed", "state", "return at the end", "best evaluation")
    rows = [
        (
            _link(one, folder), name, shown(one.config.get("seed", _NO)), one.state.word,
            _or(_return(one, -1)), _or(_best(one)), _steps([one]), _time([one]), _worst(one),
        )
        for group, name in zip(groups, _names(groups), strict=True)
        for one in group.runs
    ]  # fmt: skip
    return page.table((*head, "steps", "time", "symptoms"), rows)


def differences(groups: Sequence[Group]) -> list[Html]:
    """Fields of the configuration, and versions and hardware, in which groups or runs differ."""
    parts = []
    fields = grouping.differences(groups)
    if fields:
        head = ["field", *(group.name for group in groups)]
        parts.append(page.table(head, ([name, *v] for name, v in fields.items()), "words"))
    elif len(groups) == 1:
        parts.append(page.paragraph("The configurations differ in their seeds alone."))
    every = [one for group in groups for one in group.runs]
    systems = [flat(one.system) for one in every]
    names = dict.fromkeys(name for system in systems for name in system if name != "preset")
    other = [
        [name, *(shown(system.get(name, _NO)) for system in systems)]
        for name in names
        if len({shown(system.get(name, _NO)) for system in systems}) > 1
    ]
    if other:
        parts.append(page.paragraph("They ran on different versions or machines:"))
        head = ["what", *(one.run.path.name for one in every)]
        parts.append(page.table(head, other, "words"))
    return parts


def _names(groups: Sequence[Group]) -> list[Html]:
    """Names of groups, each with the colour of its line."""
    return [
        Html(f'<i class="c{group.colour % charts.COLOURS}"></i>{escaped(group.name)}')
        for group in groups
    ]


def _link(one: Material, folder: Path) -> Html:
    name, target = escaped(one.run.path.name), one.run.path / FILE
    if not target.is_file():
        return Html(name)
    try:
        place = Path(os.path.relpath(target, folder)).as_posix()
    except ValueError:  # on another drive
        place = target.resolve().as_uri()
    return Html(f'<a href="{escaped(place)}">{name}</a>')


def _return(one: Material, index: int) -> float | None:
    return one.evaluations[index]["eval/return"] if one.evaluations else None


def _best(one: Material) -> float | None:
    return max((row["eval/return"] for row in one.evaluations), default=None)


def _mean(values: Sequence[float]) -> str:
    return exact(float(np.mean(values))) if values else _NO


def _or(value: float | None) -> str:
    return _NO if value is None else exact(value)


def _steps(several: Sequence[Material]) -> str:
    name = several[0].x[0]
    values = [value for one in several if one.rows and (value := number(one.rows[-1].get(name)))]
    return written(float(np.mean(values)), 4) if values else _NO


def _time(several: Sequence[Material]) -> str:
    values = [number(one.rows[-1].get("minutes")) for one in several if one.rows]
    minutes = [value for value in values if value is not None]
    return duration(float(np.mean(minutes))) if minutes else _NO


def _worst(one: Material) -> str:
    """The symptoms that a run raised, by how many rows have any."""
    count = sum(bool(symptoms.symptoms(row)) for row in one.rows)
    return f"in {count} of {len(one.rows)} rows" if count else "none"
