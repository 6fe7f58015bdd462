"""Places that a command writes to, tried before its work: hours are not lost to a wrong path."""

import dataclasses
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mjxwm import ConfigError

VIDEOS = (".mp4", ".mov", ".mkv", ".avi", ".gif")
_FIGURES = (".png", ".pdf", ".svg", ".jpg", ".jpeg", ".webp")
_SUFFIXES = {"video": VIDEOS, "out": _FIGURES, "figure": _FIGURES}
"""What the encoder and matplotlib know."""


def check(options: Any, folder_fields: tuple[str, ...] = ("folder",)) -> None:
    """Tries the places that a command's options name; nothing is left there.

    Args:
        options: a dataclass, whose fields may be dataclasses.
        folder_fields: the fields that are folders to write to.

    Raises:
        ConfigError: one cannot be written to, or the run's name is no name of a folder.
    """
    from mjxwm.runs import folders

    for name, value in _fields(options):
        refusal = ""
        if name in ("json", "html", "out", "figure") and isinstance(value, Path):
            refusal = refused(name, value)
        elif name in folder_fields and isinstance(value, str | Path | tuple):
            places = value if isinstance(value, tuple) else (value,)
            refusal = next(filter(None, (_refused_folder(name, Path(x)) for x in places)), "")
        elif name == "run" and isinstance(value, str):
            folders.check_name(value)
        if refusal:
            raise ConfigError(refusal)


def refused(name: str, path: Path, suffixes: tuple[str, ...] | None = None) -> str:
    """What is wrong with the path of a file to write; nothing where nothing is.

    Args:
        name: of the option.
        path: of the file.
        suffixes: what it may have, empty for any; by default those of figures and videos for
            options of such names.
    """
    suffixes = _SUFFIXES.get(name, ()) if suffixes is None else suffixes
    try:
        if path.is_dir():
            return f"--{name} {path} is a folder; give the path of a file"
        if suffixes and path.suffix.lower() not in suffixes:
            return f"--{name} {path} has another suffix than {', '.join(suffixes)}"
        if not path.exists():
            return _refused_folder(name, path.parent, path)
        if path.is_file():  # a device or a pipe is left alone
            path.open("ab").close()
    except OSError as error:
        return f"--{name} {path} cannot be written: {error.strerror}"
    return ""


def _refused_folder(name: str, folder: Path, whole: Path | None = None) -> str:
    """What is wrong with a folder to write to, which is there or will be made."""
    whole = whole or folder
    try:
        existing = next(place for place in (folder, *folder.absolute().parents) if place.exists())
        if not existing.is_dir():
            return f"--{name} {whole} cannot be written: {existing} is a file, not a folder"
        with tempfile.TemporaryFile(dir=existing):
            return ""
    except OSError as error:
        return f"--{name} {whole} cannot be written: {error.strerror}"


def _fields(options: Any) -> Iterator[tuple[str, Any]]:
    for field in dataclasses.fields(options):
        value = getattr(options, field.name)
        if dataclasses.is_dataclass(value):
            yield from _fields(value)
        else:
            yield field.name, value
