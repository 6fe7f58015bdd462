"""Metrics of iterations as rows: in the record, on the console."""

import time
from types import TracebackType
from typing import Any

import jax
import numpy as np

from mjxwm.runs import devices
from mjxwm.runs.build import Trainer
from mjxwm.runs.evaluate import Evaluation
from mjxwm.runs.folders import RunFolder
from mjxwm.runs.record import ConsoleLine, JsonLines, Tracker


class Log:
    """Collects the metrics of iterations and writes them as one row where one is due.

    Metrics stay on the device until then: fetching them waits for it.
    """

    def __init__(
        self,
        trainer: Trainer,
        run: RunFolder,
        origin: float,
        iteration: int,
        resume: bool,
        console: ConsoleLine | None = None,
    ):
        """Args:
        trainer: what is trained.
        run: the run's folder.
        origin: monotonic clock when the run began, earlier parts of it included [s].
        iteration: where this part begins.
        resume: whether rows of a record after `iteration` are dropped, since they come again.
        console: the line to show rows in, by default one on standard output.
        """
        self._algo, self._env_steps = trainer.config.algo, trainer.algorithm.env_steps
        self._console = console or ConsoleLine(trainer.algorithm.iterations)
        self._trackers: tuple[Tracker, ...] = ()
        if devices.leads():  # others do not even open the record: that would cut it
            record = JsonLines(run.metrics, iteration if resume else None)
            self._trackers = (record, self._console)
        self._origin = origin
        self._metrics: list[Any] = []
        self._row: dict[str, Any] = {}
        self._last = (time.monotonic(), iteration)

    def __enter__(self) -> "Log":
        """Starts the console's line."""
        self._console.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        """Leaves the console's last line standing."""
        self._console.__exit__(kind, error, tb)

    def add(self, metrics: Any) -> None:
        """Takes an iteration's metrics."""
        self._metrics.append(metrics)

    def row(self, iteration: int) -> None:
        """Puts a row together of the metrics since the last one; waits for the device."""
        row: dict[str, Any] = {"iteration": iteration, "env_steps": self._env_steps(iteration)}
        metrics = summarize(jax.device_get(self._metrics))
        before, first = self._last
        now = time.monotonic()
        steps = self._env_steps(iteration) - self._env_steps(first)
        if self._algo.env_steps:
            row |= metrics
            row["perf/env_steps_per_s"] = steps / (now - before)
        else:
            updates = self._algo.updates_after(iteration)
            row |= {"updates": updates, **metrics}
            count = updates - self._algo.updates_after(first)
            row["perf/updates_per_s"] = count / (now - before)
        if steps and "collect/diverged" in row:
            row["collect/invalid"] = row["collect/diverged"] / steps
        self._row, self._metrics, self._last = row, [], (now, iteration)

    def write(self, evaluation: Evaluation | None) -> str:
        """Writes the row, with an evaluation where there was one.

        Returns:
            Why the run has to end, as its algorithm reads it from the row; empty where it need not.
        """
        row = self._row
        trouble = self._algo.trouble(row)
        if evaluation is not None:
            row |= evaluation_row(evaluation)
            self._last = (time.monotonic(), row["iteration"])  # evaluations are no env steps
        row["minutes"] = (time.monotonic() - self._origin) / 60
        for tracker in self._trackers:
            tracker.log(row)
        return trouble


def evaluation_row(result: Evaluation) -> dict[str, float]:
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
