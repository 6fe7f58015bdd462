"""What a row of the record says about learning that fails while everything else goes on."""

import math
from typing import Any

_SHARES = {
    "collect/invalid": ("steps invalid", 0.0005),
    "eval/diverged": ("evaluated episodes diverged", 0.0),
    "actor/dropped": ("gradients dropped", 0.0),
    "actor/clipped": ("gradients clipped", 0.5),
}
"""Shares by name: what they are of, and above which they are worth a word. Clipping is for
outliers: what catches most windows decides."""


def seen(row: dict[str, Any]) -> dict[str, float]:
    """What is worth a word, each with a number that grows as it becomes worse."""
    found = {}
    for name, (what, least) in _SHARES.items():
        if row.get(name, 0.0) > least:
            found[what] = row[name]
    if row.get("collect/length", math.inf) <= 1:
        found["all episodes end after 1 step: nothing is learned about what follows"] = math.inf
    numbers = {name: x for name, x in row.items() if isinstance(x, float)}
    for name in [name for name, x in numbers.items() if not math.isfinite(x)]:
        found[f"{name} is not finite"] = math.inf
    return found


def worse(one: dict[str, float], other: dict[str, float]) -> dict[str, float]:
    """What either has, each at its worse number."""
    return {name: max(one.get(name, 0), other.get(name, 0)) for name in {**one, **other}}


def words(found: dict[str, float], most: int = 4) -> list[str]:
    """Parts of a line for the console; of more than `most` their number."""
    said = [name if math.isinf(x) else _share(name, x) for name, x in found.items()]
    more = [f"and {len(said) - most} more"] if len(said) > most else []
    return said[:most] + more


def _share(what: str, share: float) -> str:
    if share < 1:
        return f"{what} {share:.1%}"
    nothing = what in ("steps invalid", "gradients dropped")
    return f"all {what}" + (": nothing to learn from" if nothing else "")
