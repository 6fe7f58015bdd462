"""What happens between iterations: the record, evaluations, checkpoints, Ctrl-C."""

import dataclasses
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Protocol

import jax
import numpy as np

from mjxwm.runs import checkpoint
from mjxwm.runs.evaluate import Evaluation
from mjxwm.runs.folders import RunFolder
from mjxwm.runs.record import Tracker
from mjxwm.runs.running import Running
from mjxwm.types import Algorithm


@dataclasses.dataclass(frozen=True)
class Cadence:
    """After how many iterations what happens."""

    total: int
    """Iterations of the run."""
    log: int
    """Iterations between two rows of the record."""
    evaluations: int
    """Evaluations of the run, evenly over its iterations, the last at its end; at least that."""
    checkpoints: int
    """Checkpoints on the way, evenly, beside the one at its end."""

    @classmethod
    def spread(cls, total: int, evaluations: int, checkpoints: int) -> "Cadence":
        """For a run of `total` iterations."""
        return cls(total, max(1, total // 500), evaluations, checkpoints)

    def evaluates(self, iteration: int) -> bool:
        """Whether an evaluation is due after this iteration."""
        return due(iteration, self.total, max(1, self.evaluations))

    def saves(self, iteration: int) -> bool:
        """Whether a checkpoint is due after this iteration."""
        return due(iteration, self.total, self.checkpoints + 1)


def due(iteration: int, total: int, times: int) -> bool:
    """Whether what happens `times` times in `total` iterations happens after this one.

    As evenly as whole iterations allow, the last time after iteration `total`; once after each
    where there are fewer iterations than times.
    """
    return iteration * times // total > (iteration - 1) * times // total


class Keeper(Protocol):
    """Keeps what a run collects; `mjxwm.runs.recorder.Recorder` is one."""

    def record(self, state: Any) -> None:
        """Takes what is new in a state."""
        ...

    def flush(self) -> None:
        """Puts on disk what was taken."""
        ...


class Loop:
    """What happens between iterations: metrics, evaluations, checkpoints."""

    def __init__(
        self,
        algorithm: Algorithm,
        evaluate: Callable[[Any], Evaluation],
        cadence: Cadence,
        run: RunFolder,
        trackers: tuple[Tracker, ...],
        start: float,
        iteration: int = 0,
        keeper: Keeper | None = None,
    ):
        """`start` is the monotonic clock when the run began [s], `iteration` where it goes on."""
        self._algorithm, self._evaluate, self._cadence = algorithm, evaluate, cadence
        self._run, self._trackers, self._start = run, trackers, start
        self._pending: list[Any] = []
        self._keeper = keeper
        self._last = (time.monotonic(), iteration)
        self.trouble = ""
        """Why the run has to end, as its algorithm reads it from the last row."""

    def after(
        self, iteration: int, running: Running, metrics: Any, stopping: bool, evaluate: bool = False
    ) -> None:
        """Metrics stay on the device until they are logged: fetching them waits for it.

        Args:
            iteration: the one that has just ended.
            running: the training state.
            metrics: the iteration's.
            stopping: whether it was the last one for now; then a checkpoint is saved.
            evaluate: whether to evaluate, due or not.
        """
        if self._keeper is not None:
            self._keeper.record(running.state)
        every = self._cadence
        self._pending.append(metrics)
        evaluating = evaluate or every.evaluates(iteration)
        if iteration % every.log == 0 or evaluating or stopping:
            self._log(iteration, running, evaluating)
        if every.saves(iteration) or stopping:
            self.save(iteration, running.state)

    def save(self, iteration: int, state: Any) -> None:
        """Saves a checkpoint, and what was collected until then; a second time does nothing."""
        checkpoint.save(self._run.checkpoints, iteration, state)
        if self._keeper is not None:
            self._keeper.flush()

    def _log(self, iteration: int, running: Running, evaluating: bool) -> None:
        env_steps = self._algorithm.env_steps
        row: dict[str, Any] = {"iteration": iteration, "env_steps": env_steps(iteration)}
        row |= summarize(jax.device_get(self._pending))
        before, then = self._last
        now = time.monotonic()
        steps = env_steps(iteration) - env_steps(then)
        row["perf/env_steps_per_s"] = steps / (now - before)
        if steps and "collect/diverged" in row:
            row["collect/invalid"] = row["collect/diverged"] / steps
        self.trouble = self._algorithm.trouble(row)
        self._pending, self._last = [], (now, iteration)
        if evaluating:
            row |= evaluated(jax.device_get(self._evaluate(running.state)))
            self._last = (time.monotonic(), iteration)
        row["minutes"] = (time.monotonic() - self._start) / 60
        for tracker in self._trackers:
            tracker.log(row)


def evaluated(result: Evaluation) -> dict[str, float]:
    """An evaluation as the record keeps it."""
    row = {
        "eval/return": float(result.episode_return.mean()),
        "eval/return_std": float(result.episode_return.std()),
        "eval/length": float(result.length.mean()),
    }
    if result.lost:
        row["eval/diverged"] = result.lost / len(result.length)
    return row if result.success is None else {**row, "eval/success": float(result.success.mean())}


def summarize(pending: list[dict[str, np.ndarray]]) -> dict[str, float | None]:
    """One row from the metrics of several iterations: means, and for episodes sums over sums."""
    stacked = {k: np.array([m[k] for m in pending], float) for k in pending[0]}
    row: dict[str, float | None] = {}
    for name, values in stacked.items():
        counted = name.endswith(("/episodes", "/diverged", "_sum"))
        row[name] = float(values.sum() if counted else values.mean())
    episodes = row.get("collect/episodes") or 0.0
    for name in ("return", "length", "success"):
        total = row.pop(f"collect/{name}_sum", None)
        if total is not None and episodes:
            row[f"collect/{name}"] = total / episodes
    return row


@contextmanager
def interruptible() -> Iterator[list[int]]:
    """Ctrl-C, or SIGTERM, ends the loop after the current iteration; a second one the process."""
    seen: list[int] = []

    def handler(number: int, frame: FrameType | None) -> None:
        seen.append(number)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)

    try:
        before = {n: signal.signal(n, handler) for n in (signal.SIGINT, signal.SIGTERM)}
    except ValueError:  # not the main thread: nobody presses Ctrl-C here
        yield seen
        return
    try:
        yield seen
    finally:
        for number, old in before.items():
            signal.signal(number, old)
