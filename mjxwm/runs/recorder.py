"""Writes what a run collects into a data set, as it collects it."""

import tempfile
from pathlib import Path
from typing import Any

import jax
import numpy as np

from mjxwm.data import Rows, Writer
from mjxwm.runs.build import Trainer, data_writer
from mjxwm.runs.folders import RunFolder

_IN_MEMORY = 256 * 2**20
"""Bytes that wait in memory for a checkpoint; more wait on disk."""


class Recorder:
    """Adds the replay's new rows to a data set, whenever a checkpoint is saved.

    Not earlier: a run that is killed goes on from its checkpoint and collects the same rows again,
    so that the set holds what a straight run would have given it. They are on disk before the
    checkpoint is, and in the set after it: a run that is killed between adds them when it goes on.
    Worlds are kept apart.
    """

    def __init__(self, writer: Writer, state: Any, resume: bool):
        """What the replay of `state` holds already is written, too, unless the run goes on."""
        self._writer = writer
        self._waiting = _Waiting()
        self._head = self._size = 0
        writer.settle(int(state.iteration) if resume else -1)
        if resume:
            buffer = state.replay
            self._head, self._size = int(buffer.head), int(buffer.size)
        else:
            self.record(state)

    def record(self, state: Any) -> None:
        """Takes the rows that are new in the state's replay."""
        buffer = state.replay
        capacity, head = buffer.capacity, int(buffer.head)
        count = (head - self._head) % capacity
        if not count and int(buffer.size) > self._size:
            count = capacity  # the first rows filled it to the brim
        columns, flags = buffer.at((self._head + np.arange(count)) % capacity)
        fields = (*columns, flags)
        self._waiting.add([np.asarray(x) for x in jax.device_get(fields)])
        self._head, self._size = head, int(buffer.size)

    def hold(self, iteration: int) -> None:
        """Writes what was taken by an iteration, world by world; all of it, or it waits on."""
        try:
            for rows in self._waiting.by_world():
                self._writer.add(rows)
            self._writer.hold(iteration)
        except BaseException:
            self._writer.drop()
            raise
        self._waiting = _Waiting()

    def settle(self, iteration: int) -> None:
        """Adds to the data set what is written, once there is a checkpoint of this iteration."""
        self._writer.settle(iteration)


def recorder(trainer: Trainer, run: RunFolder, state: Any, resume: bool) -> Recorder | None:
    """What records a run, from its first state on; None if the run adds to no data set."""
    if not trainer.config.data:
        return None
    owner = str(run.path.resolve())
    return Recorder(data_writer(trainer.config, trainer.env, owner), state, resume)


class _Waiting:
    """Parts of rows [T, B, ...] in the order of time, the older ones on disk where they are many.

    On disk a world's rows lie together, [B, T, ...]: read world by world, each page is read once.
    """

    def __init__(self) -> None:
        self._recent: list[list[np.ndarray]] = []
        self._spilled: list[list[np.ndarray]] = []
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def add(self, fields: list[np.ndarray]) -> None:
        self._recent.append(fields)
        if sum(x.nbytes for part in self._recent for x in part) > _IN_MEMORY:
            self._spill()

    def by_world(self) -> Any:
        """The rows of one world after the other."""
        parts = self._spilled + ([self._joined()] if self._recent else [])
        for world in range(len(parts[0][0]) if parts else 0):
            columns = zip(*([x[world] for x in part] for part in parts), strict=True)
            yield Rows(*(np.concatenate(column) for column in columns))

    def _joined(self) -> list[np.ndarray]:
        # Once for all worlds: many short parts are slow to pick one world after the other from.
        return [np.concatenate(x).swapaxes(0, 1) for x in zip(*self._recent, strict=True)]

    def _spill(self) -> None:
        self._folder = self._folder or tempfile.TemporaryDirectory(prefix="mjxwm-rows-")
        part = []
        for i, column in enumerate(self._joined()):
            file = Path(self._folder.name) / f"{len(self._spilled)}-{i}.npy"
            np.save(file, np.ascontiguousarray(column))
            part.append(np.load(file, mmap_mode="r"))
        self._spilled.append(part)
        self._recent = []
