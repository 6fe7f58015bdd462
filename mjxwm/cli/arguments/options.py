"""What the commands share: options from dataclasses, results as JSON."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tyro

from mjxwm.cli.arguments import outputs, short_help
from mjxwm.maths import ranges


class _Reading(Exception):  # noqa: N818  no error
    """Carries the dataclass of a command's options to whoever wants it, and not its values."""


class _Mode:
    """Whether `parse` reads arguments or tells the dataclass that they would be read into."""

    telling = False


def of(command: Callable[[list[str]], int], args: list[str]) -> Any:
    """The dataclass that a command reads its arguments into; the command is not run.

    Args:
        command: its function.
        args: what it needs to know before it reads options, such as a preset.
    """
    _Mode.telling = True
    try:
        command(args)
    except _Reading as told:
        return told.args[0]
    finally:
        _Mode.telling = False
    raise AssertionError(f"{command.__name__} reads no options")


def parse(
    cls: Any,
    args: list[str],
    prog: str,
    folders: tuple[str, ...] = ("folder",),
    few: tuple[str, ...] = (),
    **kwargs: Any,
) -> Any:
    """Reads `args` into the dataclass `cls`; a mistake ends the process with status 2.

    Args:
        cls: the dataclass.
        args: the command's arguments.
        prog: the command, without mjxwm.
        folders: fields that are folders to write to.
        few: fields that `--help` shows, where `--help-all` shows all; by default both do.
        kwargs: for tyro.

    Raises:
        ConfigError: a number that nothing can be computed with; or a place that it names, as a file
            or as one of `folders`, cannot be written to.
    """
    if _Mode.telling:
        raise _Reading(cls)
    if few and {"-h", "--help"} & set(args):
        short_help.show(cls, few, prog, kwargs.get("description", ""))
    args = ["--help" if a == "--help-all" else a for a in args]
    options = tyro.cli(cls, args=args, prog=f"mjxwm {prog}", **kwargs)
    ranges.sound(options)
    outputs.check(options, folders)
    return options


def write(result: Any, target: Path | None) -> None:
    """Writes a result as JSON, if `target` is a path; NaN as a string, as records have it."""
    if target is None:
        return
    from mjxwm.runs import json_rows

    text = json.dumps(json_rows.plain(result), indent=1, allow_nan=False) + "\n"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
    except OSError:  # a disk that is full by now: what was worked for is not lost
        print(text)
        raise
