"""What takes long to make, on disk: below $XDG_CACHE_HOME/mjxwm, or ~/.cache/mjxwm.

A file is its content and then the content's SHA-256. It is only ever a saving of time: where it
cannot be read, is damaged or cannot be written, the thing is made anew.
"""

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")
_DIGEST = 32  # bytes


def folder(kind: str) -> Path:
    """Where things of a kind are."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "mjxwm" / kind


def key(*parts: str | bytes) -> str:
    """A short name for `parts`, different whenever one of them is."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update((part.encode() if isinstance(part, str) else part) + b"\0")
    return digest.hexdigest()[:16]


def load_or_make(
    path: Path,
    make: Callable[[], T],
    to_bytes: Callable[[T], bytes],
    from_bytes: Callable[[bytes], T],
) -> T:
    """What is stored at `path`, or else what `make` returns, stored if that is possible."""
    with contextlib.suppress(OSError, ValueError, RuntimeError):
        return from_bytes(_read(path))
    made = make()
    with contextlib.suppress(OSError, RuntimeError):
        _write(path, to_bytes(made))
    return made


def _read(path: Path) -> bytes:
    stored = path.read_bytes()
    content = stored[:-_DIGEST]
    if hashlib.sha256(content).digest() != stored[-_DIGEST:]:
        raise ValueError(f"{path} is damaged")
    return content


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # Another process may be storing the same: each writes a file of its own, the last one stays.
    handle, own = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.write(hashlib.sha256(content).digest())
        os.chmod(own, 0o644)  # others may share the folder
        os.replace(own, path)
    except BaseException:
        Path(own).unlink(missing_ok=True)
        raise
