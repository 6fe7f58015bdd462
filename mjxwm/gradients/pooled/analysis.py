"""What the cells of a gradient study come to: differences, how they move, and what moves the bias.

Differences are the model's less the simulator's. Of the cosine to the truth more is better; of the
mean squared error, as a share of the squared truth, less.
"""

import zlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mjxwm.gradients.bootstrap import Interval
from mjxwm.gradients.pooled.cells import Cell, Condition, Training, statistics
from mjxwm.gradients.pooled.draws import Drawn, draw, interval, of_horizons

AS_TRAINED = Training()
"""The model and critics that a run's training left."""
KEYS = ("cosine", "error")


class Point(NamedTuple):
    """A condition at a horizon, over its seeds."""

    condition: Condition
    horizon: int
    seeds: list[int]
    values: dict[str, Interval]
    """Cosine and error of both, and `cosine` and `error`: the model's less the simulator's."""


class Trend(NamedTuple):
    """How the differences move from one end of an axis to the other, all else the same."""

    axis: str
    """horizon, stiffness or stage."""
    condition: Condition
    """That of the first end."""
    horizon: int
    """Likewise."""
    ends: tuple[float, float]
    """Horizons, time constants [s], or shares of training."""
    values: dict[str, Interval]
    """`cosine` and `error` at the second end, less that at the first."""


class Source(NamedTuple):
    """What another training of the model does to its cosine and error."""

    condition: Condition
    """With the other training."""
    than: Training
    """What it is compared with, on the same start states."""
    horizon: int
    seeds: list[int]
    values: dict[str, Interval]


class Missing(NamedTuple):
    """A cell that is left out at some horizons, and the gates that did not pass there."""

    cell: str
    horizons: list[int]
    faults: list[str]


class Analysis(NamedTuple):
    """The whole."""

    batch: int
    """Samples of the means whose squared errors are compared."""
    points: list[Point]
    trends: list[Trend]
    sources: list[Source]
    missing: list[Missing]


def analyse(cells: Sequence[Cell], batch: int = 64) -> Analysis:
    """Everything that the cells tell, of those whose gates passed, at the horizons where they did.

    Args:
        cells: see `cells.read`.
        batch: samples of the means whose squared errors are compared.
    """
    points: list[Point] = []
    drawn: dict[tuple[Condition, int], Drawn] = {}
    for condition in dict.fromkeys(cell.condition for cell in cells):
        mine = [cell for cell in cells if cell.condition == condition]
        for group, horizons in _groups(mine):
            by_horizon = of_horizons(group, horizons, batch, _seed(condition))
            for h, values in by_horizon.items():
                drawn[condition, h] = values
                intervals = {name: interval(x) for name, x in values.items()}
                points.append(Point(condition, h, [cell.seed for cell in group], intervals))
    points.sort(key=lambda p: p.horizon)
    return Analysis(batch, points, _trends(drawn), _sources(cells, batch), _missing(cells))


def _seed(condition: Condition) -> int:
    """Draws of another condition are others."""
    return zlib.crc32(repr(condition).encode())


def _groups(cells: Sequence[Cell]) -> list[tuple[list[Cell], list[int]]]:
    """The cells that count together, and at which horizons: those whose gates passed there."""
    sets: dict[tuple[str, ...], list[int]] = {}
    by_name = {cell.name: cell for cell in cells}
    for horizon in sorted({h for cell in cells for h in cell.states}):
        sound = tuple(c.name for c in cells if c.faults.get(horizon, ["absent"]) == [])
        if sound:
            sets.setdefault(sound, []).append(horizon)
    return [([by_name[name] for name in names], hs) for names, hs in sets.items()]


def _missing(cells: Sequence[Cell]) -> list[Missing]:
    rows = []
    for cell in cells:
        horizons = [h for h, faults in cell.faults.items() if faults]
        if horizons:
            faults = dict.fromkeys(fault for h in horizons for fault in cell.faults[h])
            rows.append(Missing(cell.name, sorted(horizons), list(faults)))
    return rows


def _trends(drawn: dict[tuple[Condition, int], Drawn]) -> list[Trend]:
    """From the shortest horizon, the softest contacts and the earliest stage to the other end."""
    keys = [key for key in drawn if key[0].training == AS_TRAINED]
    trends = []
    for axis, coordinate, rest in (
        ("horizon", lambda k: float(k[1]), lambda k: k[0]),
        ("stiffness", lambda k: -(k[0].contact_time or 0.0),
         lambda k: (k[0]._replace(contact_time=None), k[1])),
        ("stage", lambda k: k[0].share, lambda k: (k[0]._replace(share=0.0), k[1])),
    ):  # fmt: skip
        for same in dict.fromkeys(map(rest, keys)):
            line = sorted((key for key in keys if rest(key) == same), key=coordinate)
            if len(line) < 2:
                continue
            first, last = line[0], line[-1]
            values = {k: interval(drawn[last][k] - drawn[first][k]) for k in KEYS}
            ends = (abs(coordinate(first)), abs(coordinate(last)))
            trends.append(Trend(axis, first[0], first[1], ends, values))
    return trends


def _sources(cells: Sequence[Cell], batch: int) -> list[Source]:
    """Every other training against a plainer one of the same policy, seed by seed."""
    sources = []
    conditions = dict.fromkeys(cell.condition for cell in cells)
    for condition in conditions:
        same = [c.training for c in conditions if c._replace(training=AS_TRAINED) ==
                condition._replace(training=AS_TRAINED)]  # fmt: skip
        base = _plainer(condition.training, same)
        if base is not None and base in same:
            ones, others = (
                {c.seed: c for c in cells if c.condition == condition._replace(training=t)}
                for t in (condition.training, base)
            )
            sources += _compared(condition, base, ones, others, batch)
    return sources


def _plainer(training: Training, others: Sequence[Training]) -> Training | None:
    """What a training is compared with: a model trained anew with the one of the shortest windows
    and least data; that one, and critics alone, with what the run left."""
    if training == AS_TRAINED:
        return None
    anew = [other for other in others if other.data]
    base = min(anew, key=lambda t: (t.values, t.window, t.data), default=AS_TRAINED)
    return AS_TRAINED if training == base or not training.data else base


def _compared(
    condition: Condition, base: Training, ones: dict[int, Cell], others: dict[int, Cell], batch: int
) -> list[Source]:
    rows = []
    for horizon in sorted({h for cell in ones.values() for h in cell.states}):
        seeds = [
            seed
            for seed in ones
            if seed in others
            and ones[seed].faults.get(horizon) == others[seed].faults.get(horizon) == []
            and len(ones[seed].strata) == len(others[seed].strata)
        ]
        if not seeds:
            continue

        def apart(cell: Cell, ids: NDArray, horizon: int = horizon) -> dict[str, float]:
            one = statistics(cell, horizon, ids, batch)
            other = statistics(others[cell.seed], horizon, ids, batch)
            return {key: one[f"model {key}"] - other[f"model {key}"] for key in KEYS}

        drawn = draw([ones[seed] for seed in seeds], apart, _seed(condition))
        values = {key: interval(x) for key, x in drawn.items()}
        rows.append(Source(condition, base, horizon, seeds, values))
    return rows


def decided(x: Interval) -> int:
    """1 where an interval is above 0, -1 where it is below, 0 where it says neither."""
    if np.isnan(x.low) or x.low <= 0 <= x.high:
        return 0
    return 1 if x.low > 0 else -1
