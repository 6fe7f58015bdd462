"""Ends of runs summed up: by method and world, and over all worlds in units of PPO's return."""

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from mjxwm.reports.means import interval
from mjxwm.reports.scores import UNIT
from mjxwm.studies import statistics
from mjxwm.studies.statistics import Scores

_LEVELS = 41
"""Scores at which performance profiles are evaluated."""


def summary(runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Statistics of the runs that are done, and of those that failed after an evaluation.

    A run that failed counts with its last evaluation: what it had learned. One that failed before
    any is counted as `without`.

    Args:
        runs: rows of `results.document`.
    """
    worlds = list(dict.fromkeys(run["world"] for run in runs))
    methods = list(dict.fromkeys(run["method"] for run in runs))
    table = {(w, m): _ended(runs, w, m) for w in worlds for m in methods}
    units = {world: _unit(runs, world) for world in worlds}
    each = [
        _row(world, method, table[world, method], runs, units[world][0])
        for world in worlds
        for method in methods
        if any(run["world"] == world and run["method"] == method for run in runs)
    ]
    _at_equal(each, table)
    return {
        "units": {world: {"return": unit, "why": why} for world, (unit, why) in units.items()},
        "by_world": each,
        "over_worlds": _over_worlds(worlds, methods, table, units),
        "improvement": _improvements(worlds, methods, table),
        "statistics": "" if statistics.available() else statistics.MISSING,
    }


def _ended(runs: Sequence[dict[str, Any]], world: str, method: str) -> list[dict[str, Any]]:
    return [
        run
        for run in runs
        if (run["world"], run["method"]) == (world, method)
        and run["state"] in ("done", "failed")
        and run["return"] is not None
    ]


def _unit(runs: Sequence[dict[str, Any]], world: str) -> tuple[float | None, str]:
    """PPO's mean return in a world, and why there is none."""
    ppo = [run for run in runs if run["world"] == world and run["algorithm"] == UNIT]
    methods = dict.fromkeys(run["method"] for run in ppo)
    if len(methods) > 1:
        return None, f"several methods are {UNIT}: {', '.join(methods)}"
    returns = [run["return"] for m in methods for run in _ended(runs, world, m)]
    if not returns:
        return None, f"no run of {UNIT} is done"
    mean = float(np.mean(returns))
    if mean <= 0:
        return None, f"{UNIT}'s mean return is {mean:.4g}, and scores are quotients"
    return mean, ""


def _row(
    world: str,
    method: str,
    ended: Sequence[dict[str, Any]],
    runs: Sequence[dict[str, Any]],
    unit: float | None,
) -> dict[str, Any]:
    every = [run for run in runs if (run["world"], run["method"]) == (world, method)]
    values = [run["return"] for run in ended]
    row: dict[str, Any] = {
        "world": world,
        "method": method,
        "runs": len(every),
        "counted": len(values),
        "failed": sum(run["state"] == "failed" for run in every),
        "without": sum(run["state"] == "failed" and run["return"] is None for run in every),
        "mean": None,
        "iqm": None,
        "score": None,
        "success": None,
    }
    if not values:
        return row
    row["mean"] = _mean(values)
    solved = [run["success"] for run in ended]
    if None not in solved:  # the task says what success is
        row["success"] = _mean(solved)
    if statistics.available():
        iqm = statistics.interquartile_mean(_column(values))
        sure = len(values) > 1
        row["iqm"] = {"value": iqm.value, "low": iqm.low if sure else None,
                      "high": iqm.high if sure else None}  # fmt: skip
        if unit is not None:
            row["score"] = {k: None if v is None else v / unit for k, v in row["iqm"].items()}
    return row


def _mean(values: Sequence[float]) -> dict[str, Any]:
    low, high = interval(np.array(values)[:, None])
    sure = len(values) > 1
    return {
        "value": float(np.mean(values)),
        "low": float(low[0]) if sure else None,
        "high": float(high[0]) if sure else None,
    }


def _at_equal(
    rows: Sequence[dict[str, Any]], table: dict[tuple[str, str], list[dict[str, Any]]]
) -> None:
    """Adds the mean returns of each method at equal env steps, and at equal times.

    Equal env steps are those that each method came to, the least of its runs: methods that step a
    simulator cheaply come a hundred times further than others. Of times the least counts. The
    mean is None if a run of the method was not evaluated at or before that number, or not after it.
    """
    for axis in ("env_steps", "minutes"):
        for world in dict.fromkeys(row["world"] for row in rows):
            places = _places(axis, {m: some for (w, m), some in table.items() if w == world})
            for row in (row for row in rows if row["world"] == world):
                some = table[world, row["method"]]
                row[f"at_equal_{axis}"] = [
                    {"at": at, "of": of, **_mean_at(some, axis, at)} for at, of in places
                ]


def _places(axis: str, runs: dict[str, list[dict[str, Any]]]) -> list[tuple[float, list[str]]]:
    """Where methods end, and which: those within 2 % of one another end at the least of theirs."""
    ends = {}
    for method, some in runs.items():
        last = [run["curve"][axis][-1] for run in some if run["state"] == "done"]
        if last and np.isfinite(last).all():
            ends[method] = min(last)
    places: list[tuple[float, list[str]]] = []
    for method, end in sorted(ends.items(), key=lambda pair: pair[1]):
        if places and end <= 1.02 * places[-1][0]:
            places[-1][1].append(method)
        else:
            places.append((end, [method]))
    return places if axis == "env_steps" else places[:1]


def _mean_at(runs: Sequence[dict[str, Any]], axis: str, at: float) -> dict[str, Any]:
    """The mean return of runs at a place of their curves, if all of them have been there."""

    def covers(run: dict[str, Any]) -> bool:
        # A run that failed counts with its last evaluation from then on.
        places = run["curve"][axis]
        return places[0] <= at and (at <= places[-1] or run["state"] == "failed")

    if not runs or not all(map(covers, runs)):
        return {"value": None, "low": None, "high": None}
    return _mean([float(np.interp(at, r["curve"][axis], r["curve"]["return"])) for r in runs])


def _over_worlds(
    worlds: Sequence[str],
    methods: Sequence[str],
    table: dict[tuple[str, str], list[dict[str, Any]]],
    units: dict[str, tuple[float | None, str]],
) -> list[dict[str, Any]]:
    """A row for each method with runs in every world that has a unit, where these are several."""
    measured = [world for world in worlds if units[world][0] is not None]
    if len(measured) < 2 or not statistics.available():
        return []
    matrices = {m: _matrix(measured, m, table, units) for m in methods}
    matrices = {method: matrix for method, matrix in matrices.items() if matrix}
    top = max((s for matrix in matrices.values() for row in matrix for s in row), default=1.0)
    levels = tuple(float(x) for x in np.linspace(0.0, max(1.2, round(top * 1.05, 2)), _LEVELS))
    rows = []
    for method, matrix in matrices.items():
        iqm = statistics.interquartile_mean(matrix)
        rows.append(
            {
                "method": method,
                "worlds": measured,
                "runs": len(matrix),
                "iqm": iqm._asdict(),
                "profile": statistics.profile(matrix, levels)._asdict(),
            }
        )
    return sorted(rows, key=lambda row: -row["iqm"]["value"])


def _matrix(
    worlds: Sequence[str],
    method: str,
    table: dict[tuple[str, str], list[dict[str, Any]]],
    units: dict[str, tuple[float | None, str]] | None = None,
) -> Scores:
    """Scores [runs][worlds]: of as many runs, the first, as there are in every world."""
    runs = min(len(table[world, method]) for world in worlds)

    def value(world: str, i: int) -> float:
        unit = 1.0 if units is None else units[world][0] or 1.0
        return table[world, method][i]["return"] / unit

    return tuple(tuple(value(world, i) for world in worlds) for i in range(runs))


def _improvements(
    worlds: Sequence[str],
    methods: Sequence[str],
    table: dict[tuple[str, str], list[dict[str, Any]]],
) -> list[dict[str, Any]]:
    """How likely a run of each method returns more than one of each other, by world and over all.

    It compares within a world, so that no unit is needed.
    """
    if not statistics.available():
        return []
    rows = []
    for method, other in itertools.combinations(methods, 2):
        shared = [w for w in worlds if table[w, method] and table[w, other]]
        groups = [(world, [world]) for world in shared]
        if len(shared) > 1:
            groups.append(("all", shared))
        for name, group in groups:
            pair = _matrix(group, method, table), _matrix(group, other, table)
            value, low, high = statistics.probability_of_improvement(*pair)
            row = {"world": name, "worlds": group, "method": method, "over": other}
            rows.append({**row, "value": value, "low": low, "high": high})
            row = {**row, "method": other, "over": method}
            rows.append({**row, "value": 1 - value, "low": 1 - high, "high": 1 - low})
    return rows


def _column(values: Sequence[float]) -> Scores:
    return tuple((value,) for value in values)
