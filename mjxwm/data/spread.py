"""How a data set's observations spread, task by task."""

import dataclasses

import numpy as np

from mjxwm.data.dataset import DataSet, forget

_ROWS = 100_000
"""Rows that are in memory at a time."""


@dataclasses.dataclass(frozen=True)
class Spread:
    """Of a task's observations, number by number."""

    mean: tuple[float, ...]
    variance: tuple[float, ...]


def spreads(data: DataSet) -> tuple[Spread, ...]:
    """Of all rows of each task, in the order of `data.tasks`, read part by part.

    Raises:
        ValueError: a file is not what it was, or observations of a task are not finite.
    """
    return tuple(_spread(data.of((task.name,))) for task in data.tasks)


def _spread(data: DataSet) -> Spread:
    size = data.tasks[0].obs_size
    mean, variance, count = np.zeros(size), np.zeros(size), 0
    for chunk in data.chunks:
        obs = chunk.map()["obs"]
        for first in range(0, len(obs), _ROWS):
            part = obs[first : first + _ROWS].astype(np.float64)
            share = len(part) / (count + len(part))
            apart = part.mean(axis=0) - mean
            # Chan et al. 1979: squares of sums would cancel where a mean is far from 0.
            variance = (1 - share) * variance + share * part.var(axis=0)
            variance += share * (1 - share) * apart**2
            mean, count = mean + share * apart, count + len(part)
            forget(obs)
    if not np.isfinite(variance).all():
        raise ValueError(f"{data.path}: observations of {data.tasks[0].name} are not all finite")
    return Spread(tuple(mean.tolist()), tuple(variance.tolist()))
