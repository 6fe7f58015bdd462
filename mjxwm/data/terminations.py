"""Finds the tasks of a data set whose episodes can end by termination rather than by time limit."""

from mjxwm.data.dataset import DataSet, release_pages

_TERMINATED = 1


def tasks_with_terminations(data: DataSet) -> tuple[str, ...]:
    """Names of the tasks with at least one terminated step, in the order of `data.tasks`.

    Raises:
        ValueError: a file is missing or damaged.
    """
    return tuple(task.name for task in data.tasks if _any_terminated(data.of((task.name,))))


def _any_terminated(data: DataSet) -> bool:
    for chunk in data.chunks:
        flags = chunk.map()["flags"]
        if (flags & _TERMINATED).any():
            return True
        release_pages(flags)
    return False
