"""Adds chunks to a data set; a process that is killed leaves no half-written chunk in it."""

import contextlib
import os
import shutil
import time
import uuid
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, UInt8

from mjxwm.data.dataset import ARRAYS, TaskInfo, changing, file_sum, read_manifest

CUT = 2
"""Flag of a row whose next row belongs to another episode or world."""
_STALE = 3600.0
"""Age [s] at which a half-written chunk is taken to be from a process that was killed."""


class Rows(NamedTuple):
    """R consecutive steps of one task; flags as in `mjxwm.data`."""

    obs: Float[np.ndarray, "R o"]
    action: Float[np.ndarray, "R a"]
    reward: Float[np.ndarray, " R"]
    flags: UInt8[np.ndarray, " R"]


class Writer:
    """Writes one task's rows into a data set, and creates the data set if there is none.

    Use it as a context manager: on exit, also by an exception, all rows added are on disk. Several
    processes may write into the same data set at the same time.
    """

    def __init__(
        self,
        path: Path,
        task: TaskInfo,
        chunk_rows: int = 500_000,
        source: str = "",
        owner: str = "",
    ):
        """Checks that the data set can take these rows; nothing is written yet.

        Args:
            path: folder of the data set.
            task: the task that the rows are from.
            chunk_rows: rows per chunk.
            source: where the rows come from, such as a run's name; the manifest stores it.
            owner: who holds chunks back until `settle`, such as a run's folder; empty for nobody.

        Raises:
            ValueError: `path` is a file, its manifest is of another format, or the data set has
                this task with other sizes.
        """
        if path.exists() and not path.is_dir():
            raise ValueError(f"{path} is a file; a data set is a folder")
        self._path, self._task, self._chunk_rows, self._source = path, task, chunk_rows, source
        for stored in (read_manifest(path) or {"tasks": []})["tasks"]:
            if stored["name"] == task.name and not task.fits(TaskInfo(**stored)):
                raise ValueError(f"{path} holds {TaskInfo(**stored)}; {task} was expected")
        self._owner = owner
        self._waiting: list[Rows] = []
        self._written: list[dict[str, Any]] = []
        """Chunks on disk that the manifest does not have yet."""

    def add(self, rows: Rows) -> None:
        """Adds consecutive steps; their last row is marked as cut, unless its episode ends there.

        Raises:
            ValueError: the rows do not have the task's sizes.
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
            self._write()
            if not self._owner:
                self._enter("chunks")

    def flush(self) -> None:
        """Writes the rows that were added since the last chunk as a new chunk."""
        self._write()
        self._enter("chunks")

    def hold(self, iteration: int) -> None:
        """Writes the rows that were added: on disk, but not in the data set before `settle`.

        Args:
            iteration: the iteration of the owner that they were collected by.
        """
        self._write()
        held = {"owner": self._owner, "iteration": iteration}
        self._written = [chunk | held for chunk in self._written]
        self._enter("held")

    def drop(self) -> None:
        """Forgets the rows that neither `flush` nor `hold` has brought into the manifest."""
        for chunk in self._written:
            shutil.rmtree(self._path / chunk["folder"], ignore_errors=True)
        self._waiting, self._written = [], []

    def settle(self, iteration: int) -> None:
        """Adds the owner's chunks that are held to the data set; later ones are removed.

        Args:
            iteration: the owner goes on from here: what was collected later comes again.
        """
        held = (read_manifest(self._path) or {}).get("held", [])
        if not any(chunk["owner"] == self._owner for chunk in held):
            return
        with changing(self._path) as manifest:
            mine = [chunk for chunk in manifest["held"] if chunk["owner"] == self._owner]
            manifest["held"] = [chunk for chunk in manifest["held"] if chunk not in mine]
            for chunk in mine:
                if chunk["iteration"] <= iteration:
                    manifest["chunks"].append(
                        {k: x for k, x in chunk.items() if k not in ("owner", "iteration")}
                    )
        for chunk in mine:
            if chunk["iteration"] > iteration:
                shutil.rmtree(self._path / chunk["folder"], ignore_errors=True)

    def _write(self) -> None:
        """Writes the rows that wait as a chunk, which the manifest does not have yet."""
        if not self._waiting:
            return
        self._path.mkdir(parents=True, exist_ok=True)
        self._remove_stale()
        # A unique name cannot clash with other processes' chunks, nor with what a killed one left.
        name = f"{self._task.name.replace('/', '-')}-{uuid.uuid4().hex[:12]}"
        partial = self._path / f"{name}.partial"
        partial.mkdir()
        columns = zip(*self._waiting, strict=True)
        for (array, dtype), parts in zip(ARRAYS.items(), columns, strict=True):
            with (partial / f"{array}.npy").open("wb") as file:
                np.save(file, np.concatenate(parts).astype(dtype, copy=False))
                file.flush()
                os.fsync(file.fileno())
        sums = {array: file_sum(partial / f"{array}.npy") for array in ARRAYS}
        rows = sum(len(waiting.reward) for waiting in self._waiting)
        os.replace(partial, self._path / name)
        chunk = {"folder": name, "task": self._task.name, "rows": rows, "crc32": sums}
        self._written.append(chunk | ({"source": self._source} if self._source else {}))
        self._waiting = []

    def _enter(self, where: str) -> None:
        """Brings the chunks that were written into a list of the manifest."""
        if not self._written:
            return
        with changing(self._path) as manifest:
            stored = {task["name"]: task for task in manifest["tasks"]}
            if self._task.name not in stored:
                manifest["tasks"].append(vars(self._task))
            elif self._task.action_repeat is not None:  # older manifests may lack it
                stored[self._task.name]["action_repeat"] = self._task.action_repeat
            manifest[where] = [*manifest.get(where, []), *self._written]
        self._written = []

    def _remove_stale(self) -> None:
        for partial in self._path.glob("*.partial"):
            # Another process may finish or remove the same chunk between any two lines here.
            with contextlib.suppress(FileNotFoundError):
                if time.time() - partial.stat().st_mtime > _STALE:
                    shutil.rmtree(partial, ignore_errors=True)

    def __enter__(self) -> "Writer":
        """The writer itself."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Writes the rows that are not on disk yet."""
        self.flush()


def sources(path: Path) -> set[str]:
    """The `source` of a data set's chunks, of those that have one."""
    manifest = read_manifest(path) or {"chunks": []}
    return {chunk["source"] for chunk in manifest["chunks"] if "source" in chunk}
