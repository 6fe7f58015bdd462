"""Symptoms of learning that fails while the run goes on, read from rows of metrics."""

import math
from typing import Any

_SHARES = {
    "collect/invalid": ("steps invalid", 0.0005),
    "eval/diverged": ("evaluated episodes diverged", 0.0),
    "actor/dropped": ("gradients dropped", 0.0),
    "actor/clipped": ("gradients clipped", 0.5),
}
"""Metrics that are shares: their names on the console, and from which value on they are shown.
Gradients are clipped for outliers; clipping most of them changes what is learned."""


def symptoms(row: dict[str, Any]) -> dict[str, float]:
    """The symptoms in a row of metrics.

    Returns:
        Descriptions, each with its severity: a share from 0 to 1, or infinity.
    """
    severity = {}
    for name, (what, least) in _SHARES.items():
        if row.get(name, 0.0) > least:
            severity[what] = row[name]
    if row.get("collect/length", math.inf) <= 1:
        severity["all episodes end after 1 step: nothing is learned about what follows"] = math.inf
    numbers = {name: x for name, x in row.items() if isinstance(x, float)}
    for name in [name for name, x in numbers.items() if not math.isfinite(x)]:
        severity[f"{name} is not finite"] = math.inf
    return severity


def of_each(rows: dict[str, dict[str, Any]]) -> dict[str, float]:
    """The worst symptom in each of several rows, with the row's name."""
    worst_of = {}
    for name, row in rows.items():
        severity = symptoms(row)
        if severity:
            worst = max(severity, key=lambda what: severity[what])
            worst_of[f"{worst} in {name}"] = severity[worst]
    return worst_of


def worse(one: dict[str, float], other: dict[str, float]) -> dict[str, float]:
    """The symptoms of two rows together, each with the larger severity."""
    return {name: max(one.get(name, 0), other.get(name, 0)) for name in {**one, **other}}


def words(severity: dict[str, float], most: int = 4) -> list[str]:
    """Symptoms as parts of a console line: at most so many, then how many more there are."""
    parts = [name if math.isinf(x) else _share(name, x) for name, x in severity.items()]
    more = [f"and {len(parts) - most} more"] if len(parts) > most else []
    return parts[:most] + more


def _share(what: str, share: float) -> str:
    if share < 1:
        return f"{what} {share:.1%}"
    useless = what in ("steps invalid", "gradients dropped")
    return f"all {what}" + (": nothing to learn from" if useless else "")
