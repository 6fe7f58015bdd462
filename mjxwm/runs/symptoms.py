"""Symptoms of learning that fails while the run goes on, read from rows of metrics."""

import math
from collections import defaultdict, deque
from typing import Any

from mjxwm.maths import finite

_SHARES = {
    "collect/invalid": ("steps invalid", 0.0005),
    "eval/diverged": ("evaluated episodes diverged", 0.0),
    "actor/dropped": ("gradients dropped", 0.0),
    "actor/clipped": ("gradients clipped", 0.5),
    "actor/saturation": ("actions at their bounds", 0.95),
}
"""Metrics that are shares: their names on the console, and from which value on they are shown.
Gradients are clipped for outliers; clipping most of them changes what is learned. The derivative of
an action at its bound is 0."""

_OPTIMISTIC = 2.0
"""Imagined return, relative to that of the largest real reward in every step, from which on it is
shown: model or critics invent rewards. It was below 1 in the runs of docs/results."""

_FAR = 30.0
"""How many times its largest value so far makes a metric an outlier. In healthy runs it was 4.4 at
most (docs/reliability.md)."""

_ROWS, _LEAST = 100, 10
"""Rows that the largest value is of, and how many it takes to know what is usual."""

_STAYS = 50
"""Outliers in a row, of about 500 rows of a run, after which they are what is usual: the level has
changed, as where a task becomes harder."""

_WATCHED = ("loss", "grad_norm", "world_grad_max", "/value")
"""Ends of the names of metrics that grow where learning diverges."""


class Usual:
    """What is usual in a run: the metrics of its latest rows."""

    def __init__(self):
        """Nothing is known yet."""
        self._past: dict[str, deque[float]] = defaultdict(lambda: deque(maxlen=_ROWS))
        self._outliers: dict[str, list[float]] = defaultdict(list)
        """The latest ones, of metrics whose last row had one."""

    def outliers(self, row: dict[str, Any]) -> dict[str, float]:
        """How far metrics of a row are outside of their history.

        A value joins the history; an outlier only with 49 others right before it.

        Returns:
            `far/NAME`, the ratio to the largest of the latest 100 rows, for those alone for which
            it is above 30.
        """
        ratios = {}
        for name, value in row.items():
            if not name.endswith(_WATCHED) or not isinstance(value, float):
                continue
            past, size, outliers = self._past[name], abs(value), self._outliers[name]
            if not math.isfinite(size):
                continue
            if len(past) >= _LEAST and size > _FAR * max(past) > 0:
                ratios[f"far/{name}"] = size / max(past)
                outliers.append(size)
                if len(outliers) < _STAYS:
                    continue
                past.extend(outliers)
            else:
                past.append(size)
            outliers.clear()
        return ratios


def symptoms(row: dict[str, Any]) -> dict[str, float]:
    """The symptoms in a row of metrics.

    Returns:
        Descriptions, each with its severity: a share from 0 to 1, or infinity.
    """
    severity = {}
    for name in finite.COUNTED:
        stage = name.removeprefix("guard/")
        if row.get(name, 0) and stage not in finite.COLLECTION:  # steps are shown by their share
            lost = stage == "parameters"
            severity[f"{'lost' if lost else 'skipped'}: {stage}"] = math.inf
    for name, (what, least) in _SHARES.items():
        if row.get(name, 0.0) > least:
            severity[what] = row[name]
    if row.get("collect/length", math.inf) <= 1:
        severity["all episodes end after 1 step: nothing is learned about what follows"] = math.inf
    numbers = {name: x for name, x in row.items() if isinstance(x, float)}
    for name in [name for name, x in numbers.items() if not math.isfinite(x)]:
        severity[f"{name} is not finite"] = math.inf
    for name, x in numbers.items():
        if name.startswith("far/"):
            severity[f"{name.removeprefix('far/')} far outside of its history"] = math.inf
        if name.endswith("/optimism") and x > _OPTIMISTIC:
            severity["imagined returns far above real ones"] = math.inf
    return severity


def of_each(rows: dict[str, dict[str, Any]]) -> dict[str, float]:
    """The worst symptom in each of several rows, with the row's name."""
    worst_of = {}
    for name, row in rows.items():
        severity = symptoms(row)
        if severity:
            worst, share = max(severity.items(), key=_rank)
            worst_of[f"{worst} in {name}"] = share
    return worst_of


def worse(one: dict[str, float], other: dict[str, float]) -> dict[str, float]:
    """The symptoms of two rows together, each with the larger severity."""
    return {name: max(one.get(name, 0), other.get(name, 0)) for name in {**one, **other}}


def words(severity: dict[str, float], most: int = 4) -> list[str]:
    """Symptoms as parts of a console line: at most so many, the worst, then how many more."""
    ordered = sorted(severity.items(), key=_rank, reverse=True)
    parts = [name if math.isinf(x) else _share(name, x) for name, x in ordered]
    more = [f"and {len(parts) - most} more"] if len(parts) > most else []
    return parts[:most] + more


def _rank(symptom: tuple[str, float]) -> tuple[bool, float]:
    """What symptoms are ordered by, the worst last: lost parameters are worse than all others."""
    name, severity = symptom
    return name.startswith("lost: "), severity


def _share(what: str, share: float) -> str:
    if share < 1:
        return f"{what} {share:.1%}"
    useless = what in ("steps invalid", "gradients dropped")
    return f"all {what}" + (": nothing to learn from" if useless else "")
