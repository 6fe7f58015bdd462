"""Mean and variance of a data set's observations, task by task."""

import dataclasses

import numpy as np

from mjxwm.data.dataset import DataSet, release_pages
from mjxwm.maths import moments

_ROWS = 100_000
"""Rows that are in memory at a time."""


@dataclasses.dataclass(frozen=True)
class ObsMoments:
    """Moments of one task's observations, one number per feature."""

    mean: tuple[float, ...]
    variance: tuple[float, ...]


def observation_moments(data: DataSet) -> tuple[ObsMoments, ...]:
    """The moments of each task's observations over all its rows, in the order of `data.tasks`.

    Raises:
        ValueError: a file is missing or damaged, or observations of a task are not finite.
    """
    return tuple(_task_moments(data.of((task.name,))) for task in data.tasks)


def _task_moments(data: DataSet) -> ObsMoments:
    size = data.tasks[0].obs_size
    mean, variance, count = np.zeros(size), np.zeros(size), 0
    for chunk in data.chunks:
        obs = chunk.map()["obs"]
        for first in range(0, len(obs), _ROWS):
            part = obs[first : first + _ROWS].astype(np.float64)
            share = len(part) / (count + len(part))
            mean, variance = moments.merge_two(
                mean, variance, part.mean(axis=0), part.var(axis=0), share
            )
            count += len(part)
            release_pages(obs)
    if not np.isfinite(variance).all():
        raise ValueError(f"{data.path}: observations of {data.tasks[0].name} are not all finite")
    return ObsMoments(tuple(mean.tolist()), tuple(variance.tolist()))
