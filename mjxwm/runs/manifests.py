"""Which files a checkpoint has, with their sums: written last, and checked before it is read."""

import errno
import json
from pathlib import Path
from typing import Any

from mjxwm.runs import checksums

NAME = "manifest.json"
EARLIER = "checkpoints"
"""The folder in which earlier versions kept a run's checkpoints, without manifests."""


def write(checkpoint: Path) -> None:
    """Writes the manifest of a checkpoint's folder, once all its files are on disk."""
    sums = {}
    for path in sorted(p for p in checkpoint.rglob("*") if p.is_file() and p.name != NAME):
        checksums.sync(path)
        name = path.relative_to(checkpoint).as_posix()
        sums[name] = {"bytes": path.stat().st_size, "sha256": checksums.sha256(path)}
    checksums.replace(checkpoint / NAME, _text(sums))


def _text(sums: dict[str, Any]) -> str:
    """A manifest, with a sum of its own."""
    values = {"format": 1, "files": sums, "sha256": checksums.text_sum(json.dumps(sums))}
    return json.dumps(values, indent=1) + "\n"


def finished(checkpoint: Path) -> bool:
    """Whether all of a checkpoint was written, which its manifest says."""
    return checkpoint.parent.name == EARLIER or (checkpoint / NAME).is_file()


def damage(checkpoint: Path) -> str:
    """What is wrong with a checkpoint's files; empty if they are as they were written.

    Raises:
        OSError: they cannot be read, but not for a disk that is damaged.
    """
    try:
        return _damage(checkpoint)
    except OSError as error:
        if error.errno != errno.EIO:
            raise
        return f"{error.filename or checkpoint} cannot be read: {error.strerror}"


def _damage(checkpoint: Path) -> str:
    manifest = checkpoint / NAME
    if not manifest.is_file():
        if finished(checkpoint):
            return _damage_of_earlier(checkpoint)
        return f"{manifest} is missing, so that it was not finished"
    try:
        text = manifest.read_bytes().decode()
        sums = json.loads(text)["files"]
        expected = {str(name): (int(x["bytes"]), str(x["sha256"])) for name, x in sums.items()}
        changed = text != _text(sums)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        changed, expected = True, {}
    if changed:
        return f"{manifest} is damaged"
    return next(filter(None, (_wrong(checkpoint / n, *x) for n, x in expected.items())), "")


def _wrong(path: Path, size: int, total: str) -> str:
    if not path.is_file():
        return f"{path} is missing"
    if path.stat().st_size != size:
        return f"{path} has {path.stat().st_size:,} bytes, {size:,} were written"
    if checksums.sha256(path) != total:
        return f"{path} is damaged: it has another SHA-256 than when it was written"
    return ""


def _damage_of_earlier(checkpoint: Path) -> str:
    """What can be seen to be wrong with a checkpoint that has no manifest."""
    state = checkpoint / "state"
    names = ("_METADATA", "_sharding")
    files = [checkpoint / "_CHECKPOINT_METADATA", *(state / name for name in names)]
    files += sorted(state.glob("array_metadatas/process_*"))
    databases = {state / "manifest.ocdbt", *state.glob("*/manifest.ocdbt")}
    for path in (*files, *sorted(databases)):
        if not path.is_file():
            return f"{path} is missing"
        if path in databases and not _has_its_length(path.read_bytes()):
            return f"{path} is damaged: it has another length than it says"
    for path in files:
        try:
            json.loads(path.read_bytes())
        except ValueError:
            return f"{path} is damaged: it is no JSON"
    return ""


def _has_its_length(manifest: bytes) -> bool:
    """Whether a manifest of tensorstore's has as many bytes as its header says."""
    return int.from_bytes(manifest[4:12], "little") == len(manifest)
