"""Which tasks of a data set have episodes that something ended."""

from mjxwm.data.dataset import DataSet, forget

_TERMINATED = 1


def terminated(data: DataSet) -> tuple[str, ...]:
    """Names of the tasks with at least one terminated step, in the order of `data.tasks`.

    Raises:
        ValueError: a file is not what it was.
    """
    return tuple(task.name for task in data.tasks if _any(data.of((task.name,))))


def _any(data: DataSet) -> bool:
    for chunk in data.chunks:
        flags = chunk.map()["flags"]
        if (flags & _TERMINATED).any():
            return True
        forget(flags)
    return False
