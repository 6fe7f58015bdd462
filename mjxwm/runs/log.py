"""Metrics of iterations as rows: in the record, on the console."""

import time
from collections.abc import Collection, Sequence
from types import TracebackType
from typing import Any

import jax
import numpy as np

from mjxwm.maths import finite
from mjxwm.runs import devices, keeping, symptoms
from mjxwm.runs.build import Trainer
from mjxwm.runs.console import ConsoleLine
from mjxwm.runs.evaluate import Evaluation
from mjxwm.runs.folders import RunFolder
from mjxwm.runs.record import JsonLines
from mjxwm.runs.together import each
from mjxwm.runs.trackers import Tracking, position


class Log:
    """Collects the metrics of iterations and writes them as one row where one is due.

    Metrics stay on the device until then: fetching them waits for it. Several seeds have a record
    each, and on the console a line of means.
    """

    def __init__(
        self,
        trainer: Trainer,
        runs: Sequence[RunFolder],
        origin: float,
        iteration: int,
        resume: bool,
        console: ConsoleLine | None = None,
    ):
        """Args:
        trainer: what is trained.
        runs: the folder of its run, or those of its seeds.
        origin: monotonic clock when the run began, earlier parts of it included [s].
        iteration: where this part begins.
        resume: whether rows of a record after `iteration` are dropped, since they come again.
        console: the line to show rows in, by default one on standard output.
        """
        self._algo, self._env_steps = trainer.config.algo, trainer.algorithm.env_steps
        self._console = console or ConsoleLine(trainer.algorithm.iterations)
        self._runs, self._seeds = runs, trainer.seeds
        self._records: dict[RunFolder, JsonLines] = {}
        self._tracking: Tracking | None = None
        if devices.leads():  # others do not even open the record: that would cut it
            resume_at = iteration if resume else None
            # First: it looks at which rows there are, before those that come again are dropped.
            self._tracking = Tracking(
                trainer.config.track, runs, self._position(iteration) if resume else None
            )
            self._records = {run: JsonLines(run.metrics, resume_at) for run in runs}
        self._usual = {run: symptoms.Usual() for run in runs}
        self._origin = origin
        self._metrics: list[Any] = []
        self._rows: dict[RunFolder, dict[str, Any]] = {}
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
        if self._tracking is not None:
            self._tracking.close()

    def _position(self, iteration: int) -> int:
        return position({"iteration": iteration, "env_steps": self._env_steps(iteration)})

    def add(self, metrics: Any) -> None:
        """Takes an iteration's metrics."""
        self._metrics.append(metrics)

    def row(self, iteration: int) -> None:
        """Puts a row together of the metrics since the last one; waits for the device."""
        metrics = jax.device_get(self._metrics)
        now = time.monotonic()
        for run, of_run in zip(self._runs, each(metrics, self._seeds), strict=True):
            self._rows[run] = self._row(iteration, summarize(of_run), now)
        self._metrics, self._last = [], (now, iteration)

    def _row(self, iteration: int, metrics: dict[str, Any], now: float) -> dict[str, Any]:
        row: dict[str, Any] = {"iteration": iteration, "env_steps": self._env_steps(iteration)}
        before, first = self._last
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
        return row

    def write(
        self, evaluations: Sequence[Evaluation] | None, ended: Collection[RunFolder] = ()
    ) -> None:
        """Writes the row of each run, with an evaluation of each where there was one.

        Args:
            evaluations: one for each run.
            ended: runs that ended before the others, and have no more rows.
        """
        if evaluations is not None:
            self._last = (time.monotonic(), self._last[1])  # evaluations are no env steps
        rows = {}
        for i, run in enumerate(self._runs):
            if run in ended:
                continue
            row = self._rows[run]
            if evaluations is not None:
                row |= evaluation_row(evaluations[i])
            row["minutes"] = (time.monotonic() - self._origin) / 60
            row |= self._usual[run].outliers(row)
            rows[run] = row
        self._track(rows)

    def _track(self, rows: dict[RunFolder, dict[str, Any]]) -> None:
        if not devices.leads():
            return
        for run, row in rows.items():
            record = self._records[run]
            record.add(row)
            keeping.attempt(run, "the record", record.flush)
            if self._tracking is not None:
                self._tracking.log(run, row)
        if self._seeds is None:
            self._console.log(*rows.values())
        else:
            named = dict(zip(self._runs, self._seeds, strict=True))
            self._console.log_means({f"seed {named[run]}": row for run, row in rows.items()})


def evaluation_row(result: Evaluation) -> dict[str, float]:
    """An evaluation as the record keeps it."""
    row = {
        "eval/return": result.mean_return,
        "eval/return_std": float(result.episode_return.std()),
        "eval/length": float(result.length.mean()),
    }
    if result.lost:
        row["eval/diverged"] = result.lost / len(result.length)
    if result.ended is not None:
        row["eval/ended"] = float(result.ended.mean())
    row |= {f"eval/{name}": float(x.mean()) for name, x in result.measures.items()}
    return row if result.success is None else {**row, "eval/success": float(result.success.mean())}


def summarize(pending: list[dict[str, np.ndarray]]) -> dict[str, float | None]:
    """One row from the metrics of several iterations: means, and for episodes sums over sums.

    What is counted is summed; what is for the host alone is left out.
    """
    names = [name for name in pending[0] if name not in (finite.FIRST, finite.UNSOUND)]
    stacked = {k: np.array([m[k] for m in pending], float) for k in names}
    row: dict[str, float | None] = {}
    for name, values in stacked.items():
        counted = name.endswith(("/episodes", "/diverged", "_sum")) or name in finite.COUNTED
        row[name] = float(values.sum() if counted else values.mean())
    episodes = row.get("collect/episodes") or 0.0
    for name in ("return", "length", "success"):
        total = row.pop(f"collect/{name}_sum", None)
        if total is not None and episodes:
            row[f"collect/{name}"] = total / episodes
    return row
