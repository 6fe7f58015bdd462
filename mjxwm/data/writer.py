"""Adds chunks to a data set: whole ones only, whenever the process ends."""

import os
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, UInt8

from mjxwm.data.dataset import ARRAYS, FORMAT, VERSION, TaskInfo, read_manifest, write_manifest

CUT = 2
"""The bit of a row after which another episode, or another world, follows."""


class Rows(NamedTuple):
    """Consecutive steps."""

    obs: Float[np.ndarray, "R o"]
    action: Float[np.ndarray, "R a"]
    reward: Float[np.ndarray, " R"]
    flags: UInt8[np.ndarray, " R"]


class Writer:
    """Writes one task's rows into a data set, which is made where there is none.

    Use it as a context; what has been added is on disk when it ends, also by an exception.
    """

    def __init__(self, path: Path, task: TaskInfo, chunk_rows: int = 500_000):
        """Raises ValueError where the set knows the task with other sizes."""
        self._path, self._task, self._chunk_rows = path, task, chunk_rows
        manifest = read_manifest(path) or {
            "format": FORMAT,
            "version": VERSION,
            "tasks": [],
            "chunks": [],
        }
        for known in manifest["tasks"]:
            if known["name"] == task.name and TaskInfo(**known) != task:
                raise ValueError(
                    f"{path} holds {task.name} as {TaskInfo(**known)}, which is not {task}"
                )
        path.mkdir(parents=True, exist_ok=True)
        for partial in path.glob("*.partial"):  # of a process that was killed
            shutil.rmtree(partial) if partial.is_dir() else partial.unlink()
        self._waiting: list[Rows] = []

    def add(self, rows: Rows) -> None:
        """Adds consecutive steps; their last row is marked as cut, unless its episode ends there.

        Raises:
            ValueError: another shape than the task's.
        """
        count = len(rows.reward)
        for name, size in (("obs", self._task.obs_size), ("action", self._task.action_size)):
            shape = getattr(rows, name).shape
            if shape != (count, size):
                raise ValueError(
                    f"{self._task.name}: {name} of shape {shape}; {(count, size)} was expected"
                )
        if not count:
            return
        flags = rows.flags.astype(np.uint8, copy=True)
        flags[-1] |= CUT if not flags[-1] & 3 else 0
        self._waiting.append(rows._replace(flags=flags))
        if sum(len(waiting.reward) for waiting in self._waiting) >= self._chunk_rows:
            self.flush()

    def flush(self) -> None:
        """Writes what waits as a chunk."""
        if not self._waiting:
            return
        manifest: dict[str, Any] = read_manifest(self._path) or {
            "format": FORMAT,
            "version": VERSION,
            "tasks": [],
            "chunks": [],
        }
        taken = {chunk["folder"] for chunk in manifest["chunks"]}
        number = next(i for i in range(len(taken) + 1) if self._folder(i) not in taken)
        folder = self._path / self._folder(number)
        partial = folder.with_name(folder.name + ".partial")
        partial.mkdir()
        columns = zip(*self._waiting, strict=True)
        for (name, dtype), parts in zip(ARRAYS.items(), columns, strict=True):
            np.save(partial / f"{name}.npy", np.concatenate(parts).astype(dtype, copy=False))
        rows = sum(len(waiting.reward) for waiting in self._waiting)
        os.replace(partial, folder)
        if self._task.name not in [task["name"] for task in manifest["tasks"]]:
            manifest["tasks"].append(vars(self._task))
        manifest["chunks"].append({"folder": folder.name, "task": self._task.name, "rows": rows})
        write_manifest(self._path, manifest)
        self._waiting = []

    def _folder(self, number: int) -> str:
        return f"{self._task.name.replace('/', '-')}-{number:05d}"

    def __enter__(self) -> "Writer":
        """Itself."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Writes what is left."""
        self.flush()
