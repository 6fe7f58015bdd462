"""Run folders: `config.yaml`, `system.json`, `metrics.jsonl`, `checkpoints/`, curve and video."""

import datetime
import json
import os
import shlex
from pathlib import Path
from typing import NamedTuple

from mjxwm import system
from mjxwm.config import ConfigError

_LONGEST = 200
"""Bytes of a run's name; file systems mostly take 255, and figures carry it as a label."""


class RunFolder(NamedTuple):
    """The files of one run."""

    path: Path

    @property
    def config(self) -> Path:
        """The resolved configuration."""
        return self.path / "config.yaml"

    @property
    def metrics(self) -> Path:
        """The record, one JSON object a line."""
        return self.path / "metrics.jsonl"

    @property
    def checkpoints(self) -> Path:
        """The folder of the checkpoints."""
        return self.path / "checkpoints"

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


def create(folder: Path, name: str | None, preset: str) -> RunFolder:
    """Makes the folder of a new run.

    Args:
        folder: where runs are kept.
        name: the run's name, by default the preset's with the date and time.
        preset: the preset's name.

    Raises:
        ConfigError: the run exists, for nothing is ever overwritten, or the name is none.
    """
    if name is not None:
        check_name(name)
    stamp = f"{datetime.datetime.now():%Y%m%d-%H%M%S}"
    path = folder / (f"{Path(preset).stem}-{stamp}" if name is None else name)
    try:
        path.mkdir(parents=True)
    except FileExistsError as error:
        raise ConfigError(
            f"run {path} exists and is never overwritten. Continue it with "
            f"--resume {quoted(path)}, or give another name with --run"
        ) from error
    run = RunFolder(path)
    (path / "system.json").write_text(
        json.dumps(system.describe(), indent=1) + "\n", encoding="utf-8"
    )
    return run


def find(path: Path) -> RunFolder:
    """An existing run folder.

    Raises:
        ConfigError: it is none; runs beside it are named.
    """
    run = RunFolder(path)
    if run.config.is_file():
        return run
    parent = path.parent if path.parent.is_dir() else Path("runs")
    there = sorted(p.parent.name for p in parent.glob("*/config.yaml"))
    known = f"; runs in {parent}: {', '.join(there)}" if there else ""
    raise ConfigError(f"{path} is not a run folder (it has no config.yaml){known}")
