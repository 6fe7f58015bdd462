"""Reads a data set: checks its manifest and memory-maps its chunks."""

import contextlib
import dataclasses
import functools
import json
import mmap
import os
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

try:
    import fcntl
except ModuleNotFoundError:  # not on every system; there, one process at a time is up to the user
    fcntl = None

MANIFEST = "dataset.json"
FORMAT, VERSION = "mjxwm-data", 1
ARRAYS = {"obs": np.float32, "action": np.float32, "reward": np.float32, "flags": np.uint8}
"""A chunk's arrays, each in a file of this name, and their types."""
_BLOCK = 2**22
"""Bytes of a file that are summed at a time."""


@dataclasses.dataclass(frozen=True)
class TaskInfo:
    """A task of a data set: its name and sizes."""

    name: str
    obs_size: int
    action_size: int
    episode_length: int
    """Actions until truncation."""
    action_repeat: int | None = dataclasses.field(default=None, compare=False)
    """Control steps per action; None if the data set does not say it. Ignored by `==`, compared by
    `fits`."""

    @classmethod
    def of(cls, spec: Any) -> "TaskInfo":
        """The task of an environment with this `envs.EnvSpec`."""
        sizes = spec.obs_size, spec.action_size, spec.episode_length
        return cls(spec.name, *sizes, spec.action_repeat)

    def fits(self, other: "TaskInfo") -> bool:
        """Whether name, sizes and, where both say it, action repeat are the same."""
        repeats = {self.action_repeat, other.action_repeat} - {None}
        return self == other and len(repeats) <= 1


@dataclasses.dataclass(frozen=True)
class Chunk:
    """Consecutive rows of one task on disk."""

    path: Path
    task: TaskInfo
    rows: int
    sums: Mapping[str, int] = dataclasses.field(default_factory=dict, compare=False)
    """CRC-32 of each array's file as it was written; of chunks of earlier versions none."""

    def check(self) -> None:
        """Reads its files once in a process, and compares them with their sums.

        Raises:
            ValueError: a file is not as it was written.
        """
        for name, total in self.sums.items():
            file = self.path / f"{name}.npy"
            stat = file.stat()
            if _sum(str(file), stat.st_mtime_ns, stat.st_size) != total:
                raise ValueError(
                    f"{file} is damaged: it was written with other contents. Remove the chunk from "
                    f"{MANIFEST}, or write the data set anew"
                )

    def map(self) -> dict[str, np.ndarray]:
        """Memory-maps its arrays: `ARRAYS` by name, each with `rows` rows.

        Raises:
            ValueError: a file is missing or cut short, or its shape or type is wrong.
        """
        return {name: self._map(name) for name in ARRAYS}

    def _map(self, name: str) -> np.ndarray:
        file = self.path / f"{name}.npy"
        size = {"obs": (self.task.obs_size,), "action": (self.task.action_size,)}.get(name, ())
        expected = (self.rows, *size)
        try:
            array = np.lib.format.open_memmap(file, mode="r")
        except FileNotFoundError as error:
            raise ValueError(f"{file} is missing") from error
        except OSError as error:
            raise ValueError(f"{file} cannot be read: {error}") from error
        except Exception as error:  # numpy parses the header as Python, which may raise anything
            raise ValueError(f"{file} is cut short or no array: {error}") from error
        if array.shape != expected or array.dtype != ARRAYS[name]:
            raise ValueError(
                f"{file}: {array.dtype} of shape {array.shape}; "
                f"{np.dtype(ARRAYS[name])} of {expected} was expected"
            )
        return array


@dataclasses.dataclass(frozen=True)
class DataSet:
    """A data set: its tasks, and all chunks of its folder."""

    path: Path
    tasks: tuple[TaskInfo, ...]
    chunks: tuple[Chunk, ...]

    @property
    def rows(self) -> int:
        """Number of rows in all chunks."""
        return sum(chunk.rows for chunk in self.chunks)

    def of(self, names: tuple[str, ...]) -> "DataSet":
        """The data of these tasks alone, with the tasks in this order.

        Raises:
            ValueError: a task has no data.
        """
        tasks = {task.name: task for task in self.tasks}
        for name in names:
            if name not in tasks:
                raise ValueError(
                    f"{self.path} has no data of task {name!r}; it has: {', '.join(tasks)}"
                )
        chunks = tuple(chunk for chunk in self.chunks if chunk.task.name in names)
        return DataSet(self.path, tuple(tasks[name] for name in names), chunks)

    def matching(self, tasks: tuple[TaskInfo, ...]) -> "DataSet":
        """The data of these tasks alone, whole and of these sizes.

        Raises:
            ValueError: a task has no data, has other sizes in the data set, or a chunk is damaged.
        """
        part = self.of(tuple(task.name for task in tasks))
        for chunk in part.chunks:
            chunk.check()
        for task, stored in zip(tasks, part.tasks, strict=True):
            if not task.fits(stored):
                raise ValueError(f"{self.path} holds {stored}; {task} was expected")
        return part


def open_data(path: Path) -> DataSet:
    """Opens a data set and checks every chunk of it.

    Raises:
        ValueError: the folder is not a data set, or a chunk is not as the manifest says.
    """
    manifest = read_manifest(path)
    if manifest is None:
        raise ValueError(f"{path} is not a data set: it has no {MANIFEST}")
    tasks = {task["name"]: TaskInfo(**task) for task in manifest["tasks"]}
    chunks = tuple(
        Chunk(path / c["folder"], tasks[c["task"]], c["rows"], c.get("crc32", {}))
        for c in manifest["chunks"]
    )
    for chunk in chunks:
        chunk.map()
    used = {chunk.task.name for chunk in chunks}
    return DataSet(path, tuple(task for task in tasks.values() if task.name in used), chunks)


def read_manifest(path: Path) -> dict[str, Any] | None:
    """The contents of a folder's `dataset.json`; None if it has none.

    Raises:
        ValueError: it has another format or version.
    """
    file = path / MANIFEST
    if not file.is_file():
        return None
    try:
        manifest = json.loads(file.read_text(encoding="utf-8"))
        kind = (manifest["format"], manifest["version"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"{file} is not the manifest of a data set: {error}") from error
    if kind != (FORMAT, VERSION):
        raise ValueError(
            f"{file} is of {kind[0]} version {kind[1]}; {FORMAT} version {VERSION} was expected"
        )
    if manifest.pop("crc32", None) not in (None, _text_sum(manifest)):
        raise ValueError(
            f'{file} is damaged, or was edited; without "crc32", its last field, it is taken as it '
            "is"
        )
    try:
        _check_manifest(manifest)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ValueError(f"{file} is not whole: {error!r}") from error
    return manifest


def _check_manifest(manifest: dict[str, Any]) -> None:
    """Raises KeyError, TypeError or ValueError where a field is missing or of another kind."""
    names = set()
    for task in [TaskInfo(**task) for task in manifest["tasks"]]:
        sizes = [task.obs_size, task.action_size, task.episode_length]
        sizes += [] if task.action_repeat is None else [task.action_repeat]
        if not isinstance(task.name, str) or not all(type(n) is int and n > 0 for n in sizes):
            raise TypeError(task)
        names.add(task.name)
    held = manifest.get("held", [])
    for chunk in held:
        if not isinstance(chunk["owner"], str) or type(chunk["iteration"]) is not int:
            raise TypeError(chunk)
    for chunk in (*manifest["chunks"], *held):
        folder, rows, sums = chunk["folder"], chunk["rows"], chunk.get("crc32", {})
        if not isinstance(folder, str) or Path(folder).name != folder:
            raise ValueError(f"{folder!r} is no name of a folder beside it")
        if type(rows) is not int or rows < 0 or chunk["task"] not in names:
            raise ValueError(chunk)
        if not isinstance(chunk.get("source", ""), str) or not sums.keys() <= ARRAYS.keys():
            raise TypeError(chunk)


def file_sum(file: Path) -> int:
    """The CRC-32 of a file."""
    total = 0
    with file.open("rb") as opened:
        while block := opened.read(_BLOCK):
            total = zlib.crc32(block, total)
    return total


@functools.cache
def _sum(file: str, changed: int, size: int) -> int:
    """The sum of a file that was changed at this time, read once."""
    return file_sum(Path(file))


def _text_sum(manifest: dict[str, Any]) -> int:
    return zlib.crc32(json.dumps(manifest, sort_keys=True).encode())


@contextlib.contextmanager
def changing(path: Path) -> Iterator[dict[str, Any]]:
    """Context in which to change the manifest: locked on entry, written back on exit."""
    with (path / f"{MANIFEST}.lock").open("w", encoding="utf-8") as lock:
        if fcntl is not None:
            fcntl.flock(lock, fcntl.LOCK_EX)
        manifest = read_manifest(path) or {
            "format": FORMAT,
            "version": VERSION,
            "tasks": [],
            "chunks": [],
        }
        yield manifest
        _write(path, manifest)


def _write(path: Path, manifest: dict[str, Any]) -> None:
    # Replaced in one step: a reader sees the old file or the new one, never a part.
    partial = path / f"{MANIFEST}.partial"
    summed = manifest | {"crc32": _text_sum(manifest)}
    with partial.open("w", encoding="utf-8") as file:
        file.write(json.dumps(summed, indent=1) + "\n")
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path / MANIFEST)


def release_pages(array: np.ndarray) -> None:
    """Frees the memory of a mapped array's pages; they are read from disk again when next used."""
    mapped = getattr(array, "_mmap", None)
    if mapped is not None and hasattr(mapped, "madvise"):
        mapped.madvise(mmap.MADV_DONTNEED)
