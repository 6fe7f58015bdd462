"""Hierarchical bootstrap of cells: seeds are drawn first, then the start states of each seed.

Draws of one condition are the same for all of its horizons, so that horizons can be compared.
"""

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from mjxwm.gradients.bootstrap import Interval
from mjxwm.gradients.pooled.cells import Cell, statistics
from mjxwm.maths.bootstrap import percentiles, resample

RESAMPLES = 1000

Drawn = dict[str, Float[NDArray, "R+1"]]
"""A statistic over all draws; the first is that of all cells and start states, as they are."""


def draw(
    cells: Sequence[Cell],
    function: Callable[[Cell, NDArray], dict[str, float]],
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Drawn:
    """Means over cells of a function of a cell and its start states.

    Args:
        cells: cells that differ in their seed; a single one is not drawn from.
        function: of a cell and of indices of start states; named values.
        seed: of the draws.
        resamples: number of draws.
    """
    rng = np.random.default_rng(seed)

    def mean(chosen: Sequence[Cell], ids: Sequence[NDArray]) -> dict[str, float]:
        rows = [function(cell, states) for cell, states in zip(chosen, ids, strict=True)]
        return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}

    values = [mean(cells, [np.concatenate(cell.strata) for cell in cells])]
    for _ in range(resamples):
        chosen = [cells[i] for i in rng.integers(0, len(cells), len(cells))]
        values.append(mean(chosen, [resample(cell.strata, 1, rng)[0] for cell in chosen]))
    return {name: np.array([row[name] for row in values]) for name in values[0]}


def of_horizons(
    cells: Sequence[Cell], horizons: Sequence[int], batch: int, seed: int = 0
) -> dict[int, Drawn]:
    """Statistics of a condition's cells at every horizon, on the same draws."""

    def everything(cell: Cell, ids: NDArray) -> dict[str, float]:
        return {
            f"{h} {name}": value
            for h in horizons
            for name, value in statistics(cell, h, ids, batch).items()
        }

    drawn = draw(cells, everything, seed)
    return {
        h: {
            name.split(" ", 1)[1]: x for name, x in drawn.items() if name.split(" ", 1)[0] == str(h)
        }
        for h in horizons
    }


def interval(values: Float[NDArray, "R+1"]) -> Interval:
    """A statistic with its 95 % interval; without ends where few draws are defined."""
    defined = values[1:][~np.isnan(values[1:])]
    if len(defined) < len(values) / 2:
        return Interval(float(values[0]), np.nan, np.nan)
    low, high = percentiles(defined, method="nearest")
    return Interval(float(values[0]), float(low), float(high))
