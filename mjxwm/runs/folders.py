"""Run folders: configuration, record, system, `policy/`, `resume/`, curve and video."""

import contextlib
import datetime
import functools
import itertools
import json
import os
import shlex
import shutil
from pathlib import Path
from typing import Literal, NamedTuple

from mjxwm import ConfigError
from mjxwm.runs import locks, manifests, presets, stops, system

_LONGEST = 200
"""Bytes of a run's name; file systems mostly take 255, and figures carry it as a label."""
_STARTED = {"config.yaml", "trained.yaml", "system.json", "metrics.jsonl", locks.FILE}
_STARTED |= {"trackers.json", "tensorboard", "wandb"}
"""Files of a run in which nothing was learned yet, and what its trackers make."""


class RunFolder(NamedTuple):
    """The files of one run."""

    path: Path

    @property
    def config(self) -> Path:
        """The resolved configuration."""
        return self.path / "config.yaml"

    @property
    def system(self) -> Path:
        """What the run ran on when it began."""
        return self.path / "system.json"

    @property
    def trained(self) -> Path:
        """The configuration that was trained with last: `config.yaml` may be edited since."""
        return self.path / "trained.yaml"

    @property
    def metrics(self) -> Path:
        """The record, one JSON object a line."""
        return self.path / "metrics.jsonl"

    @property
    def checkpoints(self) -> Path:
        """The folder of the checkpoints: `resume`, or `checkpoints` of a run of before."""
        earlier = self.path / manifests.EARLIER
        return earlier if earlier.is_dir() else self.path / "resume"

    @property
    def policy(self) -> Path:
        """The folder of the policies, `last` and `best`."""
        return self.path / "policy"

    @property
    def dump(self) -> Path:
        """What led to a stop of the guard, see `mjxwm.runs.dump`."""
        return self.path / "dump"

    @property
    def curve(self) -> Path:
        """The learning curve."""
        return self.path / "curve.png"

    @property
    def video(self) -> Path:
        """The policy at the end."""
        return self.path / "policy.mp4"


def check_name(name: str) -> None:
    """Raises ConfigError unless a run of this name has a folder of its own where runs are kept."""
    if name in ("", ".", "..") or not name.isprintable() or set(name) & set("/\\"):
        raise ConfigError(
            f"run={name!r} is no name; it must be printable, without / and \\. Where runs are kept "
            "is said with --folder"
        )
    if len(os.fsencode(name)) > _LONGEST:
        raise ConfigError(f"run={name[:20]!r}... is longer than {_LONGEST} bytes")


def name_of(*parts: object) -> str:
    """The name of a run made of these parts, such as a task's, which may have a / in it."""
    return "-".join(str(part).replace("/", "-").replace("\\", "-") for part in parts)


def quoted(argument: object) -> str:
    """A path or a name as a command that can be pasted has it."""
    text = str(argument)
    return shlex.quote(f"./{text}" if text.startswith("-") else text)


def default_name(preset: str) -> str:
    """The name of a run that is not given one: the preset's with the date and time."""
    return f"{Path(preset).stem}-{datetime.datetime.now():%Y%m%d-%H%M%S}"


def exists(path: Path) -> str:
    """What to say where a new run would have the folder of one that is there."""
    return (
        f"run {path} exists and is never overwritten. Continue it with "
        f"--resume {quoted(path)}, or give another name with --run"
    )


def create(folder: Path, name: str | None, preset: str) -> RunFolder:
    """Makes the folder of a new run, or takes over one in which nothing was learned; locks it.

    Args:
        folder: where runs are kept.
        name: the run's name, by default the preset's with the date and time.
        preset: the preset's name.

    Raises:
        ConfigError: the run exists (nothing is ever overwritten), or the name cannot be a folder.
    """
    if name is not None:
        check_name(name)
    path = folder / (default_name(preset) if name is None else name)
    run = RunFolder(path)
    try:
        path.mkdir(parents=True)
        locks.acquire(path)
    except FileExistsError as error:
        if learned(path) or locks.holds(path):
            raise ConfigError(exists(path)) from error
        locks.acquire(path)
        _take_over(run)
    stops.on_leaving(functools.partial(_discard, run))
    began = {**system.describe(), "preset": preset}
    run.system.write_text(json.dumps(began, indent=1) + "\n", encoding="utf-8")
    return run


def learned(path: Path) -> bool:
    """Whether a folder holds more than what a start makes: a checkpoint, or anything else."""
    if not path.is_dir():
        return path.exists()
    return not all(_of_a_start(entry) for entry in path.iterdir())


def _of_a_start(entry: Path) -> bool:
    if entry.is_dir() and entry.name not in _STARTED:
        return entry.name.startswith("policy") or all(map(_half_made, entry.iterdir()))
    return entry.name in _STARTED or _half_made(entry)


def _half_made(path: Path) -> bool:
    """Whether a process that was killed has left it."""
    return path.name.endswith(".partial") or ".orbax-checkpoint-tmp" in path.name


def _take_over(run: RunFolder) -> None:
    if learned(run.path):  # since it was locked nothing changes any more
        locks.release(run.path)
        raise ConfigError(exists(run.path))
    rows = len(run.metrics.read_bytes().splitlines()) if run.metrics.is_file() else 0
    lost = f"; its {rows} rows of the record are dropped" if rows else ""
    print(f"note     {run.path} holds no checkpoint: the run begins anew there{lost}", flush=True)
    _empty(run)


def _discard(run: RunFolder) -> None:
    """Removes a run folder of this process in which nothing was learned, not even a row."""
    if locks.holds(run.path) and not learned(run.path) and not run.metrics.exists():
        _empty(run)
        (run.path / locks.FILE).unlink()
        with contextlib.suppress(OSError):  # policies that were put aside
            run.path.rmdir()


def _empty(run: RunFolder) -> None:
    """Removes all that a start makes, but for the lock; puts policies aside."""
    for entry in run.path.iterdir():
        if entry == run.policy and not all(map(_half_made, entry.iterdir())):
            names = (run.path / f"policy-before-{i}" for i in itertools.count(1))
            aside = next(path for path in names if not path.exists())
            entry.rename(aside)
            print(f"note     its policies of before are in {aside}", flush=True)
        elif entry.name != locks.FILE and not entry.name.startswith("policy-"):
            _remove(entry)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):  # a file system that can only be read by now
            path.unlink(missing_ok=True)


def clean(folder: Path, apart: Path | None = None) -> None:
    """Removes what was left half made in a run's folder, or in one of its parts, as far as it goes.

    Args:
        folder: the folder; what is in the folders in it is looked at, too. Nobody writes there.
        apart: one of these folders that is left as it is, as somebody may be writing there.
    """
    with contextlib.suppress(OSError):
        places = [folder, *(p for p in folder.iterdir() if p.is_dir() and p != apart)]
        for entry in filter(_half_made, [p for place in places for p in place.iterdir()]):
            _remove(entry)


def say_edits(run: RunFolder) -> None:
    """Prints which fields of a run's configuration were edited since it was trained last."""
    if run.trained.is_file():
        before, now = presets.read_yaml(run.trained), presets.read_yaml(run.config)
        for edit in presets.differences(before, now):
            print(f"note     edited since the run was last trained: {edit}", flush=True)


def keep_trained(run: RunFolder) -> None:
    """Keeps the configuration as it is now as the one that the run was trained with last."""
    shutil.copyfile(run.config, run.trained)


def find(path: Path) -> RunFolder:
    """The folder of an existing training run.

    Raises:
        ConfigError: it is something else; the message says what, and names runs near it.
    """
    run = of_any_kind(path)
    if kind(run) == "model":
        name = quoted(path)
        raise ConfigError(
            f"{path} is a model of many tasks, not a training run. Evaluate it with `mjxwm eval "
            f"--suite TASKS --model {name}`, make the policy of a task with `mjxwm extract TASK "
            f"--model {name}`, or go on with it with `mjxwm pretrain --resume {name}`"
        )
    return run


def of_any_kind(path: Path) -> RunFolder:
    """The folder of an existing training run or model of many tasks.

    Raises:
        ConfigError: it is something else; the message says what, and names runs near it.
    """
    run = RunFolder(path)
    if not run.config.is_file():
        raise ConfigError(f"{path} is not a run folder: {_instead(path)}")
    return run


def find_model(path: Path) -> RunFolder:
    """The folder of an existing model of many tasks.

    Raises:
        ConfigError: it is something else; the message says what, and names runs near it.
    """
    run = RunFolder(path)
    makers = "`mjxwm pretrain` and `mjxwm import` make them"
    if not run.config.is_file():
        raise ConfigError(f"{path} is not a model's run folder; {makers}. {_instead(path)}")
    if kind(run) == "training":
        name = quoted(path)
        raise ConfigError(
            f"{path} is a training run, not a model of many tasks; {makers}. Evaluate its policy "
            f"with `mjxwm eval {name}`, or go on with it with `mjxwm train --resume {name}`"
        )
    return run


def kind(run: RunFolder) -> Literal["training", "model", "unknown"]:
    """Whether a folder holds a training run or a model of many tasks, by its configuration."""
    values = presets.read_yaml(run.config)
    fields = set(values) if isinstance(values, dict) else set()
    if "algorithm" in fields and values["algorithm"] == "pretrain":
        return "model"
    if fields & {"task", "algorithm", "algo"}:
        return "training"
    return "model" if fields & {"tasks", "networks"} else "unknown"


def _instead(path: Path) -> str:
    """What a path is that is not a run folder, and which runs are near it."""
    if not path.exists():
        what = "it does not exist"
    elif not path.is_dir():
        what = "it is a file"
    elif (path / "dataset.json").is_file():
        what = "it is a data set"
    else:
        what = "it has no config.yaml"
        if within := _names(path):
            return f"{what}; runs in {path}: {within}"
    parent = path.parent if path.parent.is_dir() else Path("runs")
    runs = _names(parent)
    return f"{what}; runs in {parent}: {runs}" if runs else what


def _names(folder: Path) -> str:
    return ", ".join(sorted(path.parent.name for path in folder.glob("*/config.yaml")))
