"""Other tools that show runs, over the rows of the record: `--track tensorboard wandb trackio`.

A tracker is not needed for anything, and is loaded where a run names it alone. One that fails is
left out from there on, in one line, and the run goes on; its record has all that it would show.
"""

import importlib
import importlib.util
import json
import secrets
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple, Protocol

from mjxwm import ConfigError
from mjxwm.runs import checksums, presets, record
from mjxwm.runs.folders import RunFolder
from mjxwm.runs.output import say

Name = Literal["tensorboard", "wandb", "trackio"]
"""The tools, by what they are called on the command line."""

_PACKAGES = {"tensorboard": "tensorboardX", "wandb": "wandb", "trackio": "trackio"}
"""The package that each takes, which the extra `track-NAME` installs."""


class Start(NamedTuple):
    """What a tracker is told when a run begins or goes on."""

    run: RunFolder
    config: dict[str, Any]
    """The run's configuration, as plain values."""
    id: str
    """The run's name with four letters that no other run has; the same after it was resumed."""
    group: str | None
    """What the runs of several seeds have in common; None for a run alone."""
    resumed_at: int | None
    """Where the run goes on, on the axis of `position`; None for a new run."""
    last: int
    """The iteration of the last row that it has had; rows up to it that come again are equal."""


class Tracker(Protocol):
    """A tool that is handed the rows of one run."""

    where: str
    """How to look at the run there: an address or a command."""

    def log(self, row: dict[str, float], position: int) -> None:
        """Takes the numbers of a row; returns at once, whatever the network does.

        Args:
            row: numbers by name, `iteration` and `env_steps` among them.
            position: where the row is on the axis, see `position`.
        """
        ...

    def close(self) -> None:
        """Hands on what waits; in a bounded time."""
        ...


def check(names: Sequence[str]) -> None:
    """Raises ConfigError for a tool whose package is not installed; nothing is imported."""
    for name in names:
        if importlib.util.find_spec(_PACKAGES[name]) is None:
            raise ConfigError(
                f"--track {name}: {_PACKAGES[name]} is not installed; run: "
                f"pip install 'mjxwm[track-{name}]'"
            )


class Tracking:
    """The trackers of the runs of a program."""

    def __init__(self, names: Sequence[str], runs: Sequence[RunFolder], resumed_at: int | None):
        """Starts them, each for every run.

        Args:
            names: the tools, of `Name`.
            runs: the run's folder, or those of its seeds.
            resumed_at: where runs go on, on the axis of `position`; None for new ones.
        """
        self._trackers: dict[tuple[str, RunFolder], Tracker] = {}
        for name in names:
            module = importlib.import_module(f"mjxwm.runs.trackers.to_{name}")
            for run in runs:
                start = _start(run, len(runs) > 1, resumed_at)
                tracker = self._attempt(name, run, lambda s=start, m=module: m.start(s))
                if tracker is not None:
                    self._trackers[name, run] = tracker
                    if run is runs[0]:
                        say(f"track    {name}: {tracker.where}")

    def log(self, run: RunFolder, row: dict[str, Any]) -> None:
        """Hands a row of a run to its trackers."""
        numbers = {name: float(x) for name, x in row.items() if record.is_number(x)}
        place = position(row)
        for (name, of), tracker in list(self._trackers.items()):
            if of == run:
                self._attempt(name, run, lambda t=tracker: t.log(numbers, place))

    def close(self) -> None:
        """Ends all of them."""
        for (name, run), tracker in list(self._trackers.items()):
            self._attempt(name, run, tracker.close)
        self._trackers = {}

    def _attempt(self, name: str, run: RunFolder, call: Callable[[], Any]) -> Any:
        """What a call of a tracker returns; where it fails, it is the last one, and None."""
        try:
            return call()
        except Exception as error:  # a tool that others write may raise anything
            self._trackers.pop((name, run), None)
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            print(f"WARNING  {run.path} goes on without {name}: {reason}", flush=True)
            return None


def position(row: dict[str, Any]) -> int:
    """Where a row is on the axis: its env steps, or its iteration where none are taken."""
    return int(row["env_steps"] or row["iteration"])


def _last(run: RunFolder) -> int:
    """The iteration of the last row that was written; -1 if there is none."""
    rows = record.read(run.metrics) if run.metrics.is_file() else []
    return rows[-1]["iteration"] if rows else -1


def _start(run: RunFolder, grouped: bool, resumed_at: int | None) -> Start:
    config = presets.read_yaml(run.config)
    group = run.path.name.rpartition("-seed")[0] if grouped else None
    last = -1 if resumed_at is None else _last(run)
    return Start(run, config, _id(run), group or None, resumed_at, last)


def _id(run: RunFolder) -> str:
    """The id of a run for its trackers, which is kept in its folder."""
    file = run.path / "trackers.json"
    try:
        return str(json.loads(file.read_text(encoding="utf-8"))["id"])
    except (OSError, ValueError, KeyError, TypeError):
        new = f"{run.path.name}-{secrets.token_hex(2)}"
        checksums.replace(file, json.dumps({"id": new}) + "\n")
        return new
