"""What a study still takes, said before it begins: cells, env steps, time, disk."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from mjxwm.runs import keeping
from mjxwm.studies.cells import Cell, Standing
from mjxwm.studies.journal import Journal
from mjxwm.studies.training import TrainCell, taken

_ORDER = ("done", "running", "stopped", "failed", "changed", "waiting")


class Left(NamedTuple):
    """What is still to be done."""

    cells: dict[str, int]
    """How many cells stand so, by word."""
    env_steps: int
    minutes: float
    """Time at most, one cell after another, as far as that is known."""
    unlike: tuple[str, ...]
    """Tasks and algorithms whose time nothing tells yet."""
    size: int
    """Disk that their results take [bytes]."""
    peak: int
    """Disk that the largest of them takes beside that while it runs [bytes]."""
    free: int | None
    """Disk that is free [bytes]."""


def left(
    cells: Sequence[Cell], standings: Mapping[str, Standing], journal: Journal, folder: Path
) -> Left:
    """What the cells take that are not done.

    Args:
        cells: of the study.
        standings: how they stand.
        journal: attempts at them.
        folder: where the study is kept.
    """
    counts = Counter(standing.word for standing in standings.values())
    todo = [cell for cell in cells if standings[cell.name].word != "done"]
    costs = [cell.cost() for cell in todo]
    speeds, times = _speeds(cells), _times(cells, journal)
    minutes, unlike = 0.0, []
    for cell, cost in zip(todo, costs, strict=True):
        speed = speeds.get((cell.task, cell.algorithm)) if cost.env_steps else None
        limits = [cost.minutes, None if speed is None else speed * cost.env_steps]
        if cell.kind != "train":
            limits.append(times.get((cell.kind, cell.task)))
        if told := [time for time in limits if time is not None]:
            minutes += min(told)
        else:
            unlike.append(f"{cell.algorithm} on {cell.task}")
    return Left(
        {word: counts[word] for word in _ORDER if counts[word]},
        sum(cost.env_steps for cost in costs),
        minutes,
        tuple(dict.fromkeys(unlike)),
        sum(cost.size for cost in costs),
        max((cost.peak - cost.size for cost in costs), default=0),
        keeping.free(folder),
    )


def _speeds(cells: Sequence[Cell]) -> dict[tuple[str, str], float]:
    """Minutes per env step of runs that have taken some, by task and algorithm; the slowest."""
    speeds: dict[tuple[str, str], float] = {}
    for cell in cells:
        for run in cell.runs if isinstance(cell, TrainCell) else ():
            steps, minutes = taken(run)
            if steps and minutes:
                key = (cell.task, cell.algorithm)
                speeds[key] = max(speeds.get(key, 0.0), minutes / steps)
    return speeds


def _times(cells: Sequence[Cell], journal: Journal) -> dict[tuple[str, str], float]:
    """Minutes of the longest attempt that was done, by kind and task."""
    seconds: dict[str, Any] = {
        row["cell"]: row.get("seconds", 0.0)
        for row in journal.rows
        if row["event"] == "ended" and row.get("status") == 0
    }
    times: dict[tuple[str, str], float] = {}
    for cell in cells:
        if cell.name in seconds:
            key = (cell.kind, cell.task)
            times[key] = max(times.get(key, 0.0), seconds[cell.name] / 60)
    return times


def lines(what: Left, jobs: int, machine: str) -> Iterator[str]:
    """What is left, as lines for people.

    Args:
        what: of `left`.
        jobs: cells that run at once.
        machine: the parts of the machine that they have, in words.
    """
    total = sum(what.cells.values())
    yield f"cells    {total}: " + ", ".join(f"{n} {word}" for word, n in what.cells.items())
    if total == what.cells.get("done"):
        return
    yield f"steps    {what.env_steps:,} env steps are left, {machine}"
    if what.minutes:
        more = " and more" if what.unlike else ""
        yield f"time     at most {_time(what.minutes / jobs)}{more}"
    if what.unlike:
        names = ", ".join(what.unlike[:6]) + (", ..." if len(what.unlike) > 6 else "")
        yield f"time     not known before a first run: {names}"
    free = "" if what.free is None else f"; {keeping.size(what.free)} are free"
    yield f"disk     about {keeping.size(what.size + jobs * what.peak)}{free}"


def _time(minutes: float) -> str:
    return f"{minutes:.1f} minutes" if minutes < 90 else f"{minutes / 60:.1f} hours"
