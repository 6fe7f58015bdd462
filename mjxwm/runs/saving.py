"""Checkpoints that are written while training goes on."""

import functools
import threading
from collections.abc import Sequence
from types import TracebackType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mjxwm.runs import checkpoint, keeping, memory, together
from mjxwm.runs.folders import RunFolder
from mjxwm.runs.recorder import Recorder

_SHARE = 0.25
"""Share of the free memory that a copy of the state may take; a larger state is written at once."""


class Saver:
    """Copies a state to the host and saves it in a thread, one at a time.

    The next iteration consumes the state, so that the copy is whole before `save` returns. What was
    begun is finished before the next save, and before the process ends.
    """

    def __init__(
        self,
        runs: Sequence[RunFolder],
        seeds: tuple[int, ...] | None,
        recorder: Recorder | None = None,
    ):
        """Args:
        runs: the folder of a run, or those of several seeds.
        seeds: the seeds, if there are several.
        recorder: what adds to a data set as soon as a checkpoint is whole, and not before.
        """
        self._runs, self._seeds, self._recorder = runs, seeds, recorder
        self._thread: threading.Thread | None = None
        self._saved = True
        self._error: BaseException | None = None

    def __enter__(self) -> "Saver":
        """The saver itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        """Finishes what was begun; what ended the run stays what ends it."""
        try:
            self.wait()
        except Exception as later:
            if error is None:
                raise
            print(f"WARNING  a checkpoint NOT WRITTEN: {later!r}", flush=True)

    def save(self, due: Sequence[RunFolder], iteration: int, state: Any) -> None:
        """Saves checkpoints, of these runs; returns once the state may be consumed.

        Args:
            due: the runs to save.
            iteration: the state's.
            state: the run's, or that of all seeds, stacked.

        Raises:
            Exception: the bug that the save before met, raised after these are saved; a full disk
                and the like are printed instead.
        """
        failed = self._finish()
        if self._recorder is not None:
            hold = functools.partial(self._recorder.hold, iteration)
            keeping.attempt(self._runs[0], "rows of the data set", hold)
        if _may_be_copied(state):
            copy = jax.tree.map(_on_host, state)
            self._thread = threading.Thread(target=self._save, args=(due, iteration, copy, _part))
            self._thread.start()
        else:
            self._save(due, iteration, state, together.take)
        if failed is not None:
            raise failed
        if self._thread is None:
            self.wait()
        if self._recorder is not None and self.wait():
            settle = functools.partial(self._recorder.settle, iteration)
            keeping.attempt(self._runs[0], "the list of the data set's chunks", settle)

    def _save(self, due: Sequence[RunFolder], iteration: int, state: Any, part: Any) -> None:
        try:
            saved = []
            for run in due:  # one after the other: the parts of a state on a device take memory
                mine = state if self._seeds is None else part(state, self._runs.index(run))
                write = functools.partial(checkpoint.save, run.checkpoints, iteration, mine)
                needed = memory.size(mine)
                written = keeping.attempt(run, "the checkpoint", write, needed, run.checkpoints)
                saved.append(written)
            self._saved = all(saved)
        except BaseException as error:  # raised where it is waited for
            self._error = error

    def wait(self) -> bool:
        """Returns once nothing is being saved: whether all could be written the last time."""
        error = self._finish()
        if error is not None:
            raise error
        return self._saved

    def _finish(self) -> BaseException | None:
        """What the saving failed with that was begun last, once it has ended."""
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        error, self._error = self._error, None
        self._saved = self._saved and error is None
        return error


def _may_be_copied(state: Any) -> bool:
    if jax.process_count() > 1:  # orbax has each process save its part of the arrays
        return False
    free = memory.host()
    return free is not None and memory.size(state) <= _SHARE * free


def _part(stacked: Any, index: int) -> Any:
    """One seed's of what is stacked on the host."""

    def of(x: Any) -> Any:  # numpy's scalars are no arrays
        return np.asarray(x[index]) if isinstance(x, np.ndarray) else x[index]

    return jax.tree.map(of, stacked)


def _on_host(x: jax.Array) -> Any:
    # A copy also where the device is the host: a view would go with the state.
    if jnp.issubdtype(x.dtype, jax.dtypes.prng_key):
        keys = jnp.array(jax.random.key_data(x))
        return jax.random.wrap_key_data(keys, impl=jax.random.key_impl(x))
    return np.array(x)
