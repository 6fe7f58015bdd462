"""The report as one HTML file that needs nothing else: tables, plots, and the gates on top."""

import base64
import html
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from mjxwm.gradients import figures
from mjxwm.gradients.bootstrap import LEAST_GROUPS, Interval
from mjxwm.gradients.laboratory import TRUTH
from mjxwm.gradients.landscape import SIZES
from mjxwm.gradients.results import Report
from mjxwm.gradients.summary import Rows

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1100px; margin: 2em auto; padding: 0 1em }
table { border-collapse: collapse; margin: 1em 0; font-size: 13px }
td, th { padding: .25em .7em; border-bottom: 1px solid #ddd; text-align: right }
td:first-child, th:first-child { text-align: left } img { max-width: 100% }
.yes { color: #176117 } .no { color: #a11 } small { color: #666 }
"""
_COLUMNS = ("norm", "cosine", "bias2", "variance", "esnr", "esnr_mean")
_COLUMNS += ("break_even", "nonfinite", "hill", "max_to_median")
_ABOUT = {
    TRUTH: "score function in the simulator, many samples: the truth",
    "simulator": "through the simulator, closed loop (SHAC)",
    "simulator_detached": "through the simulator, cut from state to action",
    "model": "through the model, closed loop",
    "model_detached": "through the model, cut from state to action (PWM as released)",
    "hybrid": "the simulator's states, the model's Jacobians",
    "hybrid_detached": "the same, cut from state to action",
    "zeroth_model": "score function in the model, many samples",
    "soft": "the simulator's values, Jacobians of softer contacts",
    "smoothed": "simulator gradients at perturbed starts, each sample its own",
}


def render(report: Report, facts: dict[str, Any], text: str) -> str:
    """The page.

    Args:
        report: what was found.
        facts: command, commit, machine, date.
        text: a paragraph that says what it comes to.
    """
    parts = [
        f"<h1>Gradients on {html.escape(report.task)}, {report.horizon} steps</h1>",
        _gate_list(report),
        f"<p>{html.escape(text)}</p>",
        _facts(report, facts),
        "<h2>Action sequences</h2>",
        _table(report.plan),
        _image(figures.by_horizon, report),
        _growth(report),
        "<h2>Action sequences, by what happens next</h2>",
        *(f"<h3>{n} ({report.starts[n]} states)</h3>{_table(t)}" for n, t in report.strata.items()),
        "<h2>Policy parameters</h2>",
        _table(report.actor),
        _image(figures.errors, report),
        "<h2>The objective along shared directions</h2>",
        _image(figures.landscape, report),
        _roughness(report),
        "<h2>A step along each gradient, in the simulator</h2>",
        _image(figures.steps, report),
        _gains(report),
        "<h2>Estimators</h2><ul>",
        *(f"<li><b>{name}</b>: {about}</li>" for name, about in _ABOUT.items()),
        "</ul>",
    ]
    body = "\n".join(parts)
    return (
        f"<!doctype html><meta charset=utf-8><title>Gradients</title><style>{_STYLE}</style>{body}"
    )


def _gate_list(report: Report) -> str:
    marks = {True: ("yes", "passed"), False: ("no", "FAILED"), None: ("", "not decided")}
    rows = []
    for gate in report.gates:
        kind, word = marks[gate.passed]
        words = html.escape(gate.verdict)
        rows.append(f"<li>{html.escape(gate.name)}: <b class='{kind}'>{word}</b>: {words}</li>")
    return f"<ul>{''.join(rows)}</ul>"


def _facts(report: Report, facts: dict[str, Any]) -> str:
    words = [f"{k}: {v}" for k, v in facts.items()]
    words.append("start states: " + ", ".join(f"{n} {k}" for k, n in report.starts.items()))
    words.append("values [95% bootstrap interval over start states]")
    if sum(report.starts.values()) < LEAST_GROUPS:
        words.append(f"no intervals: they need {LEAST_GROUPS} start states or more (--states)")
    return f"<p><small>{html.escape('; '.join(words))}</small></p>"


def _table(rows: Rows) -> str:
    def cells(row: dict[str, Any]) -> Iterable[str]:
        yield from (_number(row.get(c)) for c in _COLUMNS)

    head = ["estimator", "length", "cosine to truth", "bias²", "variance", "ESNR", "ESNR per entry"]
    head += ["better than zeroth-order up to N", "not finite", "tail index", "longest to median"]
    return _html_table(head, ([name, *cells(row)] for name, row in rows.items()))


def _html_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    top = "".join(f"<th>{h}</th>" for h in head)
    body = "".join(f"<tr>{''.join(f'<td>{c}</td>' for c in row)}</tr>" for row in rows)
    return f"<table><tr>{top}</tr>{body}</table>"


def _number(x: Interval | None) -> str:
    if x is None or math.isnan(x.value):
        return "-"
    if math.isnan(x.low):
        return f"{x.value:.3g}"
    return f"{x.value:.3g} <small>[{x.low:.2g}, {x.high:.2g}]</small>"


def _image(draw: Callable[[Report], Any], report: Report) -> str:
    """A figure, or a line that says why it is left out."""
    try:
        image = figures.png(draw(report))
    except (ArithmeticError, ValueError, np.linalg.LinAlgError) as error:
        name = draw.__name__.replace("_", " ")
        return (
            f"<p>The figure {name!r} cannot be drawn and is left out: {html.escape(str(error))}</p>"
        )
    return f"<img src='data:image/png;base64,{base64.b64encode(image).decode()}'>"


def _growth(report: Report) -> str:
    head = ["estimator", "growth of the first action's part per step (log)"]
    return _html_table(head, ([n, _number(g["rate"])] for n, g in report.growth.items()))


def _roughness(report: Report) -> str:
    head = ["direction", "dynamics", "noise", "roughness"]
    rows = (
        [x.direction, x.dynamics, "on" if x.noise else "off", _number(x.roughness)]
        for x in report.lines
    )
    return _html_table(head, rows)


def _gains(report: Report) -> str:
    head = ["estimator", "samples per state", *(f"step {s:g}" for s in SIZES)]
    head += ["best at half of the states", "gain at the others"]
    return _html_table(
        head,
        (
            [r.estimator, str(r.samples), *map(_number, r.gains), f"{r.size:g}", _number(r.gain)]
            for r in report.improvements
        ),
    )
