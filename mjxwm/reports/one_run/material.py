"""What a run's folder says, read for its report; what cannot be read is left out."""

import contextlib
import json
import math
from typing import Any, Literal, NamedTuple

from mjxwm import ConfigError
from mjxwm.runs import dump, locks, policy_files, presets, record
from mjxwm.runs.config import Config
from mjxwm.runs.folders import RunFolder
from mjxwm.runs.policy_files import Header


class State(NamedTuple):
    """How a run stands."""

    word: str
    kind: Literal["good", "bad", "plain"]
    text: str = ""
    """Why it stopped, where that is known."""


class Material(NamedTuple):
    """What a report of a run is made of."""

    run: RunFolder
    config: dict[str, Any]
    """Plain values of `config.yaml`, so that runs of earlier versions can be read, too."""
    rows: list[dict[str, Any]]
    """The record."""
    system: dict[str, Any]
    """What it ran on; empty if that is not kept."""
    best: Header | None
    """All about its best policy."""
    state: State

    @property
    def algorithm(self) -> str:
        """Name of what learned."""
        return str(self.config.get("algorithm", "pretrain" if "tasks" in self.config else "pwm"))

    @property
    def task(self) -> str:
        """Name of the task; of a model of many tasks, how many they are."""
        if self.algorithm == "pretrain":
            tasks = self.config.get("tasks") or (self.config.get("algo") or {}).get("tasks") or ()
            return f"{len(tasks)} tasks"
        return str(self.config.get("task", ""))

    @property
    def evaluations(self) -> list[dict[str, Any]]:
        """The rows with an evaluation whose return is a number."""
        return [row for row in self.rows if number(row.get("eval/return")) is not None]

    @property
    def x(self) -> tuple[str, str]:
        """What figures are drawn against: a name in the rows, and in words."""
        if any(row.get("env_steps") for row in self.rows):
            return "env_steps", "env steps, all worlds"
        if any("updates" in row for row in self.rows):
            return "updates", "updates"
        return "iteration", "iterations"


def read(run: RunFolder) -> Material:
    """Reads a run's folder.

    Raises:
        ConfigError: its configuration cannot be read.
    """
    config = presets.read_yaml(run.config)
    rows = record.read(run.metrics) if run.metrics.is_file() else []
    config = config if isinstance(config, dict) else {}
    return Material(run, config, rows, _system(run), policy_files.best(run.path), _state(run, rows))


def number(value: Any) -> float | None:
    """A finite number of a row; None for all else."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def series(rows: list[dict[str, Any]], x: str, y: str) -> tuple[list[float], list[float]]:
    """Where a metric has a value or is not finite: its places, and values with NaN for these."""
    places, values = [], []
    for row in rows:
        if y in row and row[y] is not None and (at := number(row.get(x))) is not None:
            value = number(row[y])
            places.append(at)
            values.append(math.nan if value is None else value)
    return places, values


def _system(run: RunFolder) -> dict[str, Any]:
    with contextlib.suppress(OSError, ValueError):
        values = json.loads(run.system.read_text(encoding="utf-8"))
        return values if isinstance(values, dict) else {}
    return {}


def _state(run: RunFolder, rows: list[dict[str, Any]]) -> State:
    if not rows:
        return State("nothing was learned yet", "plain")
    iteration = rows[-1]["iteration"]
    with contextlib.suppress(ConfigError):
        _, event = dump.read(run)
        if event.stopped >= iteration:
            return State("stopped by the guard", "bad", f"{event.what}; stage {event.stage!r}")
    if locks.busy(run.path):
        return State("in training", "plain", f"iteration {iteration:,} is its newest row")
    try:
        config = presets.load_yaml(Config, run.config)
    except ConfigError:  # of an earlier version, or a model that was imported
        return State(f"ended at iteration {iteration:,}", "plain")
    late = config.minutes is not None and rows[-1].get("minutes", 0) >= config.minutes
    if iteration >= config.algo.iterations or (late and "eval/return" in rows[-1]):
        return State("finished", "good")
    of = f"stopped at iteration {iteration:,} of {config.algo.iterations:,}"
    return State(of, "plain", "It can go on: see the commands below.")
