"""Adds chunks to a data set: whole ones only, whenever the process ends."""

import contextlib
import os
import shutil
import time
import uuid
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, UInt8

from mjxwm.data.dataset import ARRAYS, TaskInfo, changing, read_manifest

CUT = 2
"""The bit of a row after which another episode, or another world, follows."""
_STALE = 3600.0
"""Seconds after which a half-written chunk is of a process that was killed."""


class Rows(NamedTuple):
    """Consecutive steps."""

    obs: Float[np.ndarray, "R o"]
    action: Float[np.ndarray, "R a"]
    reward: Float[np.ndarray, " R"]
    flags: UInt8[np.ndarray, " R"]


class Writer:
    """Writes one task's rows into a data set, which is made where there is none.

    Use it as a context; what has been added is on disk when it ends, also by an exception. Many
    processes may write into one set.
    """

    def __init__(self, path: Path, task: TaskInfo, chunk_rows: int = 500_000, source: str = ""):
        """Checks the set, and touches nothing.

        Args:
            path: its folder.
            task: of the rows.
            chunk_rows: rows per chunk.
            source: where the rows come from, kept with the chunks.

        Raises:
            ValueError: `path` is a file or another kind of folder's manifest, or knows the task
                with other sizes.
        """
        if path.exists() and not path.is_dir():
            raise ValueError(f"{path} is a file; a data set is a folder")
        self._path, self._task, self._chunk_rows, self._source = path, task, chunk_rows, source
        for known in (read_manifest(path) or {"tasks": []})["tasks"]:
            if known["name"] == task.name and not task.fits(TaskInfo(**known)):
                raise ValueError(f"{path} holds {TaskInfo(**known)}; {task} was expected")
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
        self._path.mkdir(parents=True, exist_ok=True)
        self._sweep()
        # A name of its own: neither another process nor what a killed one left is in the way.
        name = f"{self._task.name.replace('/', '-')}-{uuid.uuid4().hex[:12]}"
        partial = self._path / f"{name}.partial"
        partial.mkdir()
        columns = zip(*self._waiting, strict=True)
        for (array, dtype), parts in zip(ARRAYS.items(), columns, strict=True):
            np.save(partial / f"{array}.npy", np.concatenate(parts).astype(dtype, copy=False))
        rows = sum(len(waiting.reward) for waiting in self._waiting)
        os.replace(partial, self._path / name)
        with changing(self._path) as manifest:
            known = {task["name"]: task for task in manifest["tasks"]}
            if self._task.name not in known:
                manifest["tasks"].append(vars(self._task))
            elif self._task.action_repeat is not None:  # it may have been written without
                known[self._task.name]["action_repeat"] = self._task.action_repeat
            chunk = {"folder": name, "task": self._task.name, "rows": rows}
            manifest["chunks"].append(chunk | ({"source": self._source} if self._source else {}))
        self._waiting = []

    def _sweep(self) -> None:
        for partial in self._path.glob("*.partial"):
            # Another process may end its chunk, or sweep it away, between any two lines here.
            with contextlib.suppress(FileNotFoundError):
                if time.time() - partial.stat().st_mtime > _STALE:
                    shutil.rmtree(partial, ignore_errors=True)

    def __enter__(self) -> "Writer":
        """Itself."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Writes what is left."""
        self.flush()


def sources(path: Path) -> set[str]:
    """Where a data set's chunks come from, as far as it was said."""
    manifest = read_manifest(path) or {"chunks": []}
    return {chunk["source"] for chunk in manifest["chunks"] if "source" in chunk}
