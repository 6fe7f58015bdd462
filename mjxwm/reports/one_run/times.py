"""Where a run's time went, as far as its record says."""

from typing import Any

from mjxwm.reports.one_run.material import number

PARTS = ("start and compilation", "collection and updates", "evaluations", "saving and other")


def minutes(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Minutes of each of `PARTS`; empty where the record does not say.

    A row has the rate of its iterations, and the time at which it was written: what is left of the
    time between two rows is that of the evaluation, where there is one, else of saving and others.
    The first iterations of all are counted at the rate that their row says.
    """
    if len(rows) < 2 or number(rows[0].get("minutes")) is None:
        return {}
    steps = "perf/env_steps_per_s" if "perf/env_steps_per_s" in rows[0] else "perf/updates_per_s"
    count = "env_steps" if steps == "perf/env_steps_per_s" else "updates"
    spent: dict[str, float] = dict.fromkeys(PARTS, 0.0)
    before: dict[str, Any] | None = None
    for row in rows:
        rate, now = number(row.get(steps)), number(row.get("minutes"))
        if not rate or now is None or number(row.get(count)) is None:
            continue
        done = row[count] - before[count] if before else _first(rows, count)
        passed = max(0.0, now - (before["minutes"] if before else 0.0))
        learning = min(passed, done / rate / 60)
        spent["collection and updates"] += learning
        rest = PARTS[0] if before is None else PARTS[2] if "eval/return" in row else PARTS[3]
        spent[rest] += passed - learning
        before = row
    return spent


def _first(rows: list[dict[str, Any]], count: str) -> float:
    """Steps of the iterations of the first row: as many as later ones have, in proportion."""
    first, second = rows[0], rows[1]
    later = second["iteration"] - first["iteration"]
    return (second.get(count, 0) - first.get(count, 0)) / max(later, 1) * first["iteration"]
