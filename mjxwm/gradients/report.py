"""The report as one HTML file that needs nothing else: the gates on top, figures, tables, words."""

import math
from collections.abc import Iterable
from typing import Any

from mjxwm.gradients import figures, names
from mjxwm.gradients.bootstrap import LEAST_GROUPS, Interval
from mjxwm.gradients.landscape import SIZES
from mjxwm.gradients.results import Report
from mjxwm.gradients.summary import Rows
from mjxwm.reports.pages import page
from mjxwm.reports.pages.charts import Chart, drawn
from mjxwm.reports.pages.page import Html

_COLUMNS = {
    "norm": "length",
    "cosine": "cosine to truth",
    "bias2": "bias²",
    "variance": "variance",
    "esnr": "ESNR",
    "esnr_mean": "ESNR per entry",
    "break_even": "better than zeroth-order up to N",
    "nonfinite": "not finite",
    "hill": "tail index",
    "max_to_median": "longest to median",
}
_FEW = "nothing is finite here: more start states (--states) or samples are needed."


def render(report: Report, facts: dict[str, Any], text: str) -> str:
    """The page.

    Args:
        report: what was found.
        facts: command, commit, machine, date.
        text: a paragraph that says what it comes to.
    """
    sections = [
        ("gates", "Is the comparison sound?", [_gates(report)]),
        ("actions", "Action sequences", _actions(report)),
        ("policy", "Policy parameters", _policy(report) if report.actor else []),
        ("landscape", "The objective along shared directions", _landscape(report)),
        ("steps", "A step along each gradient, in the simulator", _steps(report)),
        ("words", "Estimators and words", _words()),
        ("facts", "How it was measured", [_facts(report, facts)]),
    ]
    sections = [section for section in sections if section[2]]  # what was measured
    passed = all(gate.passed for gate in report.gates)
    badge = ("all gates passed", "good") if passed else ("read with care", "bad")
    body = [
        page.header(f"Gradients on {report.task}, {report.horizon} steps", *badge),
        page.paragraph(text),
        page.contents((name, title) for name, title, _ in sections),
        *(page.section(*section) for section in sections),
    ]
    return page.document(f"Gradients on {report.task}", body)


def _gates(report: Report) -> Html:
    marks = {True: ("good", "passed"), False: ("bad", "FAILED"), None: ("", "not decided")}
    rows = []
    for gate in report.gates:
        kind, word = marks[gate.passed]
        rows.append([gate.name, Html(f'<b class="{kind}">{word}</b>'), _verdict(gate.verdict)])
    return page.table(("gate", "result", "why"), rows, "words")


def _verdict(text: str) -> str:
    """A gate's verdict, with what estimators are called in place of their names."""
    parts = [part.split(" ", 1) for part in text.split(", ")]
    return ", ".join(" ".join([names.estimator(first), *rest]) if first in names.ESTIMATORS
                     else " ".join([first, *rest]) for first, *rest in parts)  # fmt: skip


def _actions(report: Report) -> list[Html]:
    by_kind = [
        page.details(f"{kind}: {report.starts[kind]} states", [_table(rows)])
        for kind, rows in report.strata.items()
    ]
    return [
        page.grid(
            [
                _figure(
                    "Cosine to the truth against the horizon",
                    figures.cosines(report),
                    "Whether estimators point to where the return grows.",
                    "a line that falls towards 0: over so many steps it points anywhere.",
                ),
                _figure(
                    "Signal to noise (ESNR) against the horizon",
                    figures.signals(report),
                    "How much of a single sample is signal.",
                    "a fall over orders of magnitude: so many more samples are needed.",
                ),
                _figure(
                    "Length against the horizon, first action's part",
                    figures.lengths(report),
                    "Whether gradients explode or vanish on their way back.",
                    "a straight climb over orders of magnitude: they explode with every step.",
                ),
            ]
        ),
        _table(report.plan),
        page.details("Growth per step", [_growth(report)]),
        page.paragraph("By what happens next to the body:"),
        *by_kind,
    ]


def _policy(report: Report) -> list[Html]:
    shows = "bias² + variance / N: what a mean over N samples is off by, squared."
    bad = "a line that levels off: its bias is left, and more samples do not mend it."
    return [
        page.grid(
            [
                _figure("Error: policy parameters", figures.errors(report.actor), shows, bad),
                _figure("Error: action sequences", figures.errors(report.plan), shows, bad),
            ]
        ),
        _table(report.actor),
    ]


def _landscape(report: Report) -> list[Html]:
    if not report.lines:
        return []
    shows = "The return as parameters move along this direction, in simulator and model."
    bad = "teeth where the policy's noise is off: derivatives there say nothing of the whole."
    drawings = [
        _figure(f"Along {name}", chart, shows, bad)
        for name, chart in figures.landscapes(report).items()
    ]
    rows = (
        [
            names.estimator(line.direction),
            line.dynamics,
            "on" if line.noise else "off",
            _number(line.roughness),
        ]
        for line in report.lines
    )
    head = ("direction", "dynamics", "noise", "roughness")
    return [page.grid(drawings), page.details("Roughness", [page.table(head, rows)])]


def _steps(report: Report) -> list[Html]:
    if not report.improvements:
        return []
    drawing = _figure(
        "Gain of a step",
        figures.steps(report),
        "Return in the simulator after a step along each estimator's mean, less that before.",
        "below 0: the step made things worse.",
    )
    head = ["estimator", "samples per state", *(f"step {size:g}" for size in SIZES)]
    rows = (
        [
            names.estimator(row.estimator),
            str(row.samples),
            *map(_number, row.gains),
            f"{row.size:g}",
            _number(row.gain),
        ]
        for row in report.improvements
    )
    table = page.table([*head, "best at half of the states", "gain at the others"], rows)
    return [page.grid([drawing]), table]


def _words() -> list[Html]:
    estimators = ((name, about) for name, about in names.ESTIMATORS.values())
    return [
        page.table(("estimator", "what it is"), estimators, "words"),
        page.table(("word", "what it means"), names.TERMS.items(), "words"),
    ]


def _facts(report: Report, facts: dict[str, Any]) -> Html:
    rows = [(name, _plain(value)) for name, value in facts.items()]
    rows.append(("start states", ", ".join(f"{n} {kind}" for kind, n in report.starts.items())))
    rows.append(("values", "[95% bootstrap interval over start states]"))
    if sum(report.starts.values()) < LEAST_GROUPS:
        rows.append(("intervals", f"none: they need {LEAST_GROUPS} start states (--states)"))
    return page.table(("what", ""), rows, "words")


def _plain(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _figure(title: str, chart: Chart, shows: str, bad: str) -> Html:
    return page.figure(title, chart, shows, bad) if drawn(chart) else page.missing(title, _FEW)


def _table(rows: Rows) -> Html:
    def cells(row: dict[str, Any]) -> Iterable[Html]:
        return (_number(row.get(column)) for column in _COLUMNS)

    body = ([names.estimator(name), *cells(row)] for name, row in rows.items())
    return page.table(("estimator", *_COLUMNS.values()), body)


def _number(x: Interval | None) -> Html:
    if x is None or math.isnan(x.value):
        return Html("-")
    if math.isnan(x.low):
        return Html(f"{x.value:.3g}")
    return Html(f"{x.value:.3g} <small>[{x.low:.2g}, {x.high:.2g}]</small>")


def _growth(report: Report) -> Html:
    head = ("estimator", "growth of the first action's part per step (log)")
    rows = ([names.estimator(name), _number(g["rate"])] for name, g in report.growth.items())
    return page.table(head, rows)
