"""Tables of a study: results by method, how likely one is better than another, and all runs."""

from collections.abc import Callable, Sequence
from typing import Any

from mjxwm.reports.one_run.headline import duration, exact
from mjxwm.reports.pages import charts, page
from mjxwm.reports.pages.page import Html, escaped
from mjxwm.reports.pages.scales import number
from mjxwm.studies.figures import of_clock

_NO = "-"
"""Where there is no value."""


def method(name: str, colours: dict[str, int]) -> Html:
    """A method's name with the colour of its line."""
    return Html(f'<i class="c{colours[name] % charts.COLOURS}"></i>{escaped(name)}')


def results(
    rows: Sequence[dict[str, Any]], colours: dict[str, int], unit: dict[str, Any]
) -> list[Html]:
    """A row for each method in one world.

    Args:
        rows: of `scores.summary`, the world's.
        colours: number of each method's colour.
        unit: PPO's return there, or why there is none.
    """
    head = ["method", "runs", "return, mean", "95 %", "IQM", "95 %", "score, IQM", "95 %"]
    solved = ["success, mean", "95 %"] if any(row["success"] for row in rows) else []
    ordered = sorted(rows, key=lambda row: -(row["mean"] or {"value": -1e300})["value"])
    cells = [
        [method(row["method"], colours), _count(row), *_pair(row["mean"], exact),
         *_pair(row["iqm"], exact), *_pair(row["score"], _score),
         *(_pair(row["success"], _share) if solved else ())]
        for row in ordered
    ]  # fmt: skip
    notes = (
        "Mean return of every method after the same env steps, and after the same time. A column "
        "is where the shortest run of the methods in brackets ended; - : a run had no evaluation "
        "before or after that."
    )
    equal = []
    if steps := _equal(ordered, "at_equal_env_steps", colours, _of_steps):
        equal.append(steps)
    if times := _equal(ordered, "at_equal_minutes", colours, lambda one: duration(one["at"])):
        equal.append(of_clock(times))
    why = [page.paragraph(f"There are no scores: {unit['why']}.", "note")] if unit["why"] else []
    return [
        page.table([*head, *solved], cells),
        *why,
        *([page.paragraph(notes), *equal] if equal else []),
    ]


def _equal(
    rows: Sequence[dict[str, Any]],
    name: str,
    colours: dict[str, int],
    written: Callable[[dict[str, Any]], str],
) -> Html | None:
    """A column of means for each number of env steps, or time; None if there is no such number."""
    places = rows[0][name] if rows else []
    if not places:
        return None

    def cell(one: dict[str, Any]) -> str:
        value, sure = _pair(one if one["value"] is not None else None, exact)
        return value if sure == _NO else f"{value} ({sure})"

    head = ["method", *(f"at {written(place)}" for place in places)]
    cells = [[method(row["method"], colours), *map(cell, row[name])] for row in rows]
    return page.table(head, cells)


def _of_steps(place: dict[str, Any]) -> str:
    return f"{number(place['at'], 4)} env steps ({', '.join(place['of'])})"


def _count(row: dict[str, Any]) -> str:
    words = f"{row['counted']} of {row['runs']}"
    return f"{words}, {row['failed']} failed" if row["failed"] else words


def _pair(estimate: dict[str, Any] | None, written: Any) -> tuple[str, str]:
    if estimate is None:
        return _NO, _NO
    low, high = estimate["low"], estimate["high"]
    sure = _NO if low is None else f"{written(low)} to {written(high)}"
    return written(estimate["value"]), sure


def _score(value: float) -> str:
    return f"{value:.3f}"


def _share(value: float) -> str:
    return f"{value:.0%}"


def over_worlds(rows: Sequence[dict[str, Any]], colours: dict[str, int]) -> list[Html]:
    """Scores of each method over all worlds."""
    if not rows:
        return []
    head = ["method", "seeds", "score, IQM", "95 %"]
    cells = [
        [method(row["method"], colours), str(row["runs"]), *_pair(row["iqm"], _score)]
        for row in rows
    ]
    text = f"In units of PPO's mean return, over {', '.join(rows[0]['worlds'])}:"
    return [page.paragraph(text), page.table(head, cells)]


def improvement(rows: Sequence[dict[str, Any]], methods: Sequence[str]) -> Html:
    """How likely a run of a row's method returns more than one of a column's."""
    by = {(row["method"], row["over"]): row for row in rows}
    shown = [name for name in methods if any(name in pair for pair in by)]
    cells = [
        [name, *(_chance(by.get((name, other))) for other in shown)] for name in shown
    ]  # fmt: skip
    return page.table(["", *(f"over {name}" for name in shown)], cells) if shown else Html("")


def _chance(row: dict[str, Any] | None) -> str:
    if row is None:
        return _NO
    return f"{row['value']:.0%} ({row['low']:.0%} to {row['high']:.0%})"


def runs(rows: Sequence[dict[str, Any]]) -> Html:
    """A row for each run, with the name of its folder."""
    head = ["run", "state", "return at the end", "best evaluation", "env steps", "gradient steps"]
    cells = [
        [
            Html(f'<a href="{escaped(row["folder"])}/report.html">{escaped(row["name"])}</a>')
            if row["state"] in ("done", "failed")
            else row["name"],
            row["state"],
            _or(row["return"], exact),
            _or(row["best"], exact),
            number(row["env_steps"], 4),
            number(row["gradient_steps"], 4),
            of_clock(escaped(_or(row["minutes"], duration))),
        ]
        for row in rows
    ]
    return page.table([*head, "time"], cells)


def _or(value: float | None, written: Any) -> str:
    return _NO if value is None else written(value)


def failures(rows: Sequence[dict[str, Any]]) -> list[Html]:
    """Every cell that failed or was stopped, and why."""
    troubled = [row for row in rows if row["state"] in ("failed", "stopped", "changed")]
    if not troubled:
        return []
    cells = [[row["name"], row["state"], row["why"] or "not done yet"] for row in troubled]
    return [page.table(["cell", "state", "why"], cells, "words")]


def gradients(rows: Sequence[dict[str, Any]]) -> list[Html]:
    """A row for each gradient report, with a link to its page."""
    if not rows:
        return []
    cells = [
        [
            Html(f'<a href="{escaped(row["page"])}">{escaped(row["name"])}</a>')
            if row["page"]
            else row["name"],
            row["state"],
            row["findings"] or row["why"] or _NO,
        ]
        for row in rows
    ]
    return [page.table(["report", "state", "findings"], cells, "words")]
