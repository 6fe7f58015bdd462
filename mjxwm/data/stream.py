"""Draws random windows of a data set and puts them on the device in a background thread.

The mapped files' memory is released as soon as windows are copied, so that the process needs
memory for a few batches only, however large the data set is.
"""

import queue
import threading
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Float, Int, UInt8

from mjxwm.data.dataset import DataSet, release_pages

_NO_ACTION = 4
_MAX_OPEN = 64
"""Chunks that stay mapped; others are mapped each time they are drawn from."""


class Windows(NamedTuple):
    """K batches of N windows of L consecutive rows each; sizes are padded to the largest task's."""

    obs: Float[Array, "K L N o"]
    action: Float[Array, "K L N a"]
    reward: Float[Array, "K L N"]
    flags: UInt8[Array, "K L N"]
    """Bits, see `mjxwm.data`."""
    task: Int[Array, "K N"]
    """Task index of each window: its position in `DataSet.tasks`."""


class Stream:
    """An iterator of `Windows` on the device, drawn ahead of time in a background thread.

    Tasks are drawn uniformly, then start rows of the task uniformly; no window starts in a row
    without an action. A window may run past the end of an episode: the flags say which steps count.
    The iterator is endless unless `total` is set; then the last item may have fewer batches.
    """

    def __init__(
        self,
        data: DataSet,
        batches: int,
        batch: int,
        length: int,
        seed: int,
        obs_size: int | None = None,
        action_size: int | None = None,
        ahead: int = 2,
        total: int | None = None,
    ):
        """Args:
        data: the data set.
        batches: K, batches per item.
        batch: N, windows per batch.
        length: L, rows per window.
        seed: the same seed gives the same windows.
        obs_size: size that observations are padded to; by default that of the largest task.
        action_size: size that actions are padded to; by default that of the largest task.
        ahead: items drawn ahead of time.
        total: batches of all items together; by default there is no end.

        Raises:
            ValueError: all chunks of a task are shorter than a window, or a count is below 1.
        """
        _check_counts(batches=batches, batch=batch, length=length)
        if seed < 0:
            raise ValueError(f"seed={seed} is out of range; it must not be negative")
        _check_chunks(data, length)
        self._shape = (batches, batch, length)
        self._left = total
        self._obs_size = obs_size or max(task.obs_size for task in data.tasks)
        self._action_size = action_size or max(task.action_size for task in data.tasks)
        self._rng = np.random.default_rng(seed)
        self._chunks = data.chunks
        self._maps: dict[int, dict[str, np.ndarray]] = {}
        self._task, self._starts, self._probability = _chunk_weights(data, length)
        self._queue: queue.Queue[Windows | BaseException] = queue.Queue(ahead)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._draw, daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[Windows]:
        """The stream itself."""
        return self

    def __next__(self) -> Windows:
        """The next windows, on the device."""
        item = self._queue.get()
        if isinstance(item, BaseException):
            self._queue.put(item)  # for the next call: the thread has ended
            raise item
        return item

    def close(self) -> None:
        """Ends the thread."""
        self._ended.set()
        while not self._queue.empty():
            self._queue.get_nowait()
        self._thread.join()

    def __enter__(self) -> "Stream":
        """The stream itself."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Ends the thread."""
        self.close()

    def _draw(self) -> None:
        while not self._ended.is_set():
            try:
                item: Windows | BaseException = jax.device_put(self._next())
            except BaseException as error:  # raised again in the thread that waits
                item = error
            while not self._ended.is_set():
                try:
                    self._queue.put(item, timeout=0.1)
                    break
                except queue.Full:
                    continue
            if isinstance(item, BaseException):
                return

    def _next(self) -> Windows:
        """The next item in host memory."""
        if self._left is None:
            return self.sample()
        batches = min(self._shape[0], self._left)
        if batches <= 0:
            raise StopIteration
        self._left -= batches
        return jax.tree.map(lambda x: x[:batches], self.sample())

    def sample(self) -> Windows:
        """One item of K batches in host memory."""
        batches, batch, length = self._shape
        count = batches * batch
        chunk = self._rng.choice(len(self._chunks), count, p=self._probability)
        out = {
            "obs": np.zeros((count, length, self._obs_size), np.float32),
            "action": np.zeros((count, length, self._action_size), np.float32),
            "reward": np.zeros((count, length), np.float32),
            "flags": np.zeros((count, length), np.uint8),
        }
        for number in np.unique(chunk):
            self._fill(out, np.flatnonzero(chunk == number), number)

        def arranged(
            x: np.ndarray,
        ) -> Any:  # typed as the device array to be
            return np.swapaxes(x.reshape(batches, batch, *x.shape[1:]), 1, 2)

        task: Any = self._task[chunk].astype(np.int32).reshape(batches, batch)
        return Windows(**{name: arranged(x) for name, x in out.items()}, task=task)

    def _fill(self, out: dict[str, np.ndarray], places: np.ndarray, number: int) -> None:
        mapped = self._mapped(number)
        start = self._rng.integers(0, self._starts[number], len(places))
        for _ in range(8):  # draw again where a row has no action; few rows are such
            idle = (mapped["flags"][start] & _NO_ACTION) > 0
            if not idle.any():
                break
            start[idle] = self._rng.integers(0, self._starts[number], idle.sum())
        # Rows are read in the file's order, which is faster, but keep their places in the batches:
        # in sorted order, each batch would be one part of the file.
        order = np.argsort(start)
        rows, places = start[order][:, None] + np.arange(out["reward"].shape[1]), places[order]
        for name, array in mapped.items():
            if array.ndim == 1:
                out[name][places] = array[rows]
            else:
                out[name][places, :, : array.shape[1]] = array[rows]
            release_pages(array)

    def _mapped(self, number: int) -> dict[str, np.ndarray]:
        if number in self._maps:
            return self._maps[number]
        arrays = self._chunks[number].map()
        # A mapped file is an open one, and a process may have 1024 of them.
        if len(self._maps) < _MAX_OPEN:
            self._maps[number] = arrays
        return arrays


def _chunk_weights(data: DataSet, length: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Task index, number of start rows and probability of each chunk; tasks weigh alike."""
    numbers = {task.name: i for i, task in enumerate(data.tasks)}
    task = np.array([numbers[chunk.task.name] for chunk in data.chunks])
    starts = np.array([max(chunk.rows - length + 1, 0) for chunk in data.chunks])
    per_task = np.bincount(task, starts, len(data.tasks))
    share = starts / per_task[task]
    return task, starts, share / share.sum()


def _check_counts(**counts: int) -> None:
    for name, value in counts.items():
        if value < 1:
            raise ValueError(f"{name}={value} is out of range; it must be at least 1")


def _check_chunks(data: DataSet, length: int) -> None:
    """Raises ValueError if all chunks of a task are shorter than a window."""
    for task in data.tasks:
        longest = max(chunk.rows for chunk in data.chunks if chunk.task == task)
        if longest < length:
            raise ValueError(
                f"{data.path}: no chunk of {task.name} has more than {longest} rows; windows "
                f"of {length} do not fit"
            )
