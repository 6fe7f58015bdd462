"""A gradient study in words and tables: claims only where an interval leaves out 0."""

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from mjxwm.gradients.bootstrap import Interval
from mjxwm.gradients.pooled.analysis import (
    AS_TRAINED,
    Analysis,
    Point,
    Source,
    Trend,
    decided,
)
from mjxwm.gradients.pooled.cells import Condition


def paragraph(analysis: Analysis) -> str:
    """What the study found: where the model is ahead, where the simulator is, and what moves it."""
    points = [p for p in analysis.points if p.condition.training == AS_TRAINED]
    better = ("points nearer to the truth", "has the smaller mean squared error")
    size = f"means of {analysis.batch} samples"
    sentences = [
        *_sides(points, "cosine", better[0], 1),
        *_sides(points, "error", f"{better[1]} ({size})", -1),
        *_moves(analysis.trends),
        *_causes(analysis.sources),
    ]
    if not points:
        sentences.append("No cell passed its gates: nothing is claimed.")
    alone = sorted({p.condition.body for p in points if len(p.seeds) < 2})
    if alone:
        sentences.append(
            f"Of {', '.join(alone)} some conditions have one seed: their intervals are over start "
            "states alone."
        )
    if analysis.missing:
        number = len(analysis.missing)
        verb = "is" if number == 1 else "are"
        sentences.append(f"{_number(number, 'cell')} {verb} left out where a gate did not pass.")
    return " ".join(sentences)


def _sides(points: Sequence[Point], key: str, better: str, sign: int) -> list[str]:
    """For each body: where the one side is ahead, where the other, and how often neither."""
    sentences = []
    for body in dict.fromkeys(p.condition.body for p in points):
        rows = [p for p in points if p.condition.body == body]
        by_side = {
            side: [p for p in rows if sign * decided(p.values[key]) == side] for side in (1, -1, 0)
        }
        parts = [
            f"the {who} {better} at {_places(by_side[side])}"
            for who, side in (("model", 1), ("simulator", -1))
            if by_side[side]
        ]
        if by_side[0] or not parts:
            parts.append(f"it is not decided at {len(by_side[0])} of {_number(len(rows), 'point')}")
        sentences.append(f"On {body} {'; '.join(parts)}.")
    return sentences


def _places(points: Sequence[Point]) -> str:
    """Conditions with their horizons."""
    horizons: dict[Condition, list[int]] = {}
    for point in points:
        horizons.setdefault(point.condition, []).append(point.horizon)
    return ", ".join(
        f"{_steps(hs)} ({_contacts(c)}{c.share:.0%} of training)" for c, hs in horizons.items()
    )


def _steps(horizons: Sequence[int]) -> str:
    return f"{' '.join(map(str, horizons))} step{'s' if list(horizons) != [1] else ''}"


def _contacts(condition: Condition) -> str:
    time = condition.contact_time
    return "" if time is None else f"contacts of {1000 * time:g} ms, "


def _number(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


_UNITS: dict[str, Callable[[float], str]] = {
    "horizon": lambda x: f"{x:g} steps",
    "stiffness": lambda x: f"contacts of {1000 * x:g} ms",
    "stage": lambda x: f"{x:.0%} of training",
}


def _moves(trends: Sequence[Trend]) -> list[str]:
    """How the difference of cosines moves along each axis, where that is decided."""
    sentences = []
    for axis in dict.fromkeys(t.axis for t in trends):
        rows = [t for t in trends if t.axis == axis]
        for sign, who in ((1, "model"), (-1, "simulator")):
            clear = [t for t in rows if decided(t.values["cosine"]) == sign]
            if clear:
                most = max(clear, key=lambda t: abs(t.values["cosine"].value))
                unit = _UNITS[axis]
                sentences.append(
                    f"From {unit(most.ends[0])} to {unit(most.ends[1])} the difference of cosines "
                    f"moves towards the {who} in {len(clear)} of {len(rows)} comparisons, at most "
                    f"by {say(most.values['cosine'])} ({_where(most, axis)})."
                )
        if not any(decided(t.values["cosine"]) for t in rows):
            sentences.append(
                f"Whether it moves with the {axis} is not decided in any of "
                f"{_number(len(rows), 'comparison')}."
            )
    return sentences


def _where(trend: Trend, axis: str) -> str:
    c, parts = trend.condition, [trend.condition.body]
    parts += [_UNITS["horizon"](trend.horizon)] if axis != "horizon" else []
    if axis != "stiffness" and c.contact_time is not None:
        parts.append(_UNITS["stiffness"](c.contact_time))
    parts += [_UNITS["stage"](c.share)] if axis != "stage" else []
    return ", ".join(parts)


def _causes(sources: Sequence[Source]) -> list[str]:
    sentences = []
    pairs = dict.fromkeys((s.condition.body, s.condition.training, s.than) for s in sources)
    for pair in pairs:
        rows = [s for s in sources if (s.condition.body, s.condition.training, s.than) == pair]
        body, model, than = pair[0], pair[1].words, pair[2].words
        clear = [s for s in rows if decided(s.values["cosine"])]
        moved = "; ".join(
            f"{say(s.values['cosine'])} at {_steps([s.horizon])} ({s.condition.share:.0%} of "
            "training)"
            for s in clear
        )
        rest = len(rows) - len(clear)
        parts = [f"moves the model's cosine by {moved}"] if clear else []
        parts += [f"is not decided at {rest} of {_number(len(rows), 'point')}"] if rest else []
        sentences.append(
            f"On {body} the model with {model}, against {than}, {' and '.join(parts)}."
        )
    return sentences


def say(x: Interval) -> str:
    """A value with its interval."""
    if np.isnan(x.value):
        return "unknown"
    if np.isnan(x.low):
        return f"{x.value:.3g} (no interval)"
    return f"{x.value:+.3g} [{x.low:+.2g}, {x.high:+.2g}]"


def tables(analysis: Analysis) -> str:
    """All points, sources, and what is left out, as Markdown."""
    points = (
        [
            p.condition.body, _time(p.condition), f"{p.condition.share:.0%}",
            p.condition.training.words,
            str(p.horizon), str(len(p.seeds)),
            *(say(p.values[k]).replace("+", "") for k in ("model cosine", "simulator cosine")),
            say(p.values["cosine"]), say(p.values["error"]),
        ]
        for p in analysis.points
    )  # fmt: skip
    head = (
        "body", "contacts [ms]", "stage", "model", "steps", "seeds", "model's cosine",
        "simulator's", "difference", f"difference of errors, N = {analysis.batch}",
    )  # fmt: skip
    parts = [_table(head, points)]
    if analysis.sources:
        sources = (
            [
                s.condition.body, f"{s.condition.share:.0%}",
                s.condition.training.words, s.than.words,
                str(s.horizon), str(len(s.seeds)), say(s.values["cosine"]), say(s.values["error"]),
            ]
            for s in analysis.sources
        )  # fmt: skip
        head = ("body", "stage", "model", "against", "steps", "seeds", "cosine", "error")
        parts.append(_table(head, sources))
    if analysis.missing:
        rows = (
            [m.cell, " ".join(map(str, m.horizons)), "; ".join(m.faults)] for m in analysis.missing
        )
        parts.append(_table(("left out", "steps", "gates"), rows))
    return "\n\n".join(parts)


def _time(condition: Condition) -> str:
    return "-" if condition.contact_time is None else f"{1000 * condition.contact_time:g}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
