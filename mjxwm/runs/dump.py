"""What led to a stop of the guard, in the folder `dump` of a run; `mjxwm replay` reads it.

Iterations repeat bitwise, so that no state needs to be kept but one before: the newest checkpoint,
whose files are linked and not copied, or the first state, which the seed gives.
"""

import dataclasses
import json
import os
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mjxwm import ConfigError
from mjxwm.runs import checksums, folders, json_rows, presets, start
from mjxwm.runs.build import Trainer
from mjxwm.runs.config import Config
from mjxwm.runs.folders import RunFolder


class Event(NamedTuple):
    """What the guard stopped a run for."""

    what: str
    """What was not finite, in words."""
    began: int
    """The iteration at which the process began whose event this is; 0, or where it resumed."""
    checkpoint: int | None
    """The iteration of the checkpoint before it; None for the first state."""
    first: int
    """The first iteration that was not sound."""
    stopped: int
    """The iteration that was one too many."""
    stage: str
    """What was first not finite in iteration `first`; one of `mjxwm.maths.finite.STAGES`."""
    metrics: dict[int, dict[str, Any]]
    """Metrics of the latest iterations, `first` among them, by iteration."""


def write(run: RunFolder, trainer: Trainer, index: int, event: Event) -> None:
    """Keeps an event, in the place of an earlier one.

    Args:
        run: the run.
        trainer: what is trained.
        index: which of its seeds the run is of; 0 for a seed that is alone.
        event: the event.
    """
    partial = run.path / "dump.partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    seed = (trainer.seeds or [trainer.config.seed])[index]
    config = dataclasses.replace(start.with_folders(trainer), seed=seed)
    presets.save_yaml(config, partial / "config.yaml")
    if event.checkpoint is not None:
        name = str(event.checkpoint)
        shutil.copytree(
            run.checkpoints / name, partial / "checkpoints" / name, copy_function=_linked
        )
    rows = {
        str(n): {name: float(x) for name, x in metrics.items()}
        for n, metrics in event.metrics.items()
    }
    values = event._asdict() | {"metrics": {n: json_rows.plain(row) for n, row in rows.items()}}
    text = json.dumps(values, indent=1, allow_nan=False) + "\n"
    checksums.replace(partial / "event.json", text)
    checksums.sync(partial / "config.yaml")
    shutil.rmtree(run.dump, ignore_errors=True)
    os.replace(partial, run.dump)


def _linked(source: str, target: str) -> None:
    # A link takes no room, and outlives the run's own checkpoint.
    try:
        os.link(source, target)
    except OSError:  # a file system without links
        shutil.copy2(source, target)


_DAMAGE = (ValueError, TypeError, KeyError, AttributeError, RecursionError, OverflowError)
"""What a file raises that is no event's."""


def read(run: RunFolder) -> tuple[Config, Event]:
    """The configuration that an event happened with, and the event.

    Raises:
        ConfigError: there is none, or it cannot be read.
    """
    path = run.dump / "event.json"
    if not path.is_file():
        raise ConfigError(f"{run.path} has no dump: its guard has stopped nothing")
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        metrics = {int(n): json_rows.numbers(row) for n, row in values["metrics"].items()}
        event = Event(**values | {"metrics": metrics})
        _check(event)
    except _DAMAGE as error:
        raise ConfigError(f"{path} is damaged: {error}") from error
    return presets.load_yaml(Config, run.dump / "config.yaml"), event


def _check(event: Event) -> None:
    """Raises TypeError, KeyError or OverflowError where a field is of another kind or size."""
    for iteration in (event.began, event.first, event.stopped, event.checkpoint or 0):
        if isinstance(iteration, bool) or not isinstance(iteration, int):
            raise TypeError(f"{iteration!r} is no iteration")
    for number in (x for row in event.metrics.values() for x in row.values()):
        if isinstance(number, bool) or not isinstance(number, int | float):
            raise TypeError(f"{number!r} is no number")
        float(number)
    if not (isinstance(event.what, str) and isinstance(event.stage, str)):
        raise TypeError("what and stage are words")
    event.metrics[event.first]


def same(one: dict[str, float], other: dict[str, float]) -> bool:
    """Whether two iterations have the same metrics, bit by bit."""
    if one.keys() != other.keys():
        return False
    return all(np.array_equal(one[k], other[k], equal_nan=True) for k in one)


def checkpoints(run: RunFolder) -> Path:
    """The folder of the checkpoint in a run's dump."""
    return folders.RunFolder(run.dump).checkpoints
