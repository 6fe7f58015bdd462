"""A cache on disk of things that take long to compute: $XDG_CACHE_HOME/mjxwm or ~/.cache/mjxwm.

A file is the content followed by its SHA-256. If a file cannot be read, is damaged or cannot be
written, the content is computed anew.
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
    """The folder for contents of a kind. A relative $XDG_CACHE_HOME does not count, as its
    specification says."""
    try:
        named = os.environ.get("XDG_CACHE_HOME", "")
        base = named if os.path.isabs(named) else Path.home() / ".cache"
    except RuntimeError:  # this user has no home
        base = tempfile.gettempdir()
    return Path(base) / "mjxwm" / kind


def key(*parts: str | bytes) -> str:
    """A short hash of `parts`, for file names."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update((part.encode() if isinstance(part, str) else part) + b"\0")
    return digest.hexdigest()[:16]


def load_or_make(
    path: Path,
    make: Callable[[], T],
    to_bytes: Callable[[T], bytes],
    from_bytes: Callable[[bytes], T],
    lasts: Callable[[T], bool] = lambda content: True,
) -> T:
    """The content stored at `path`; else the result of `make`, which is then stored.

    Args:
        path: the file.
        make: computes the content.
        to_bytes: serialises it.
        from_bytes: the inverse of `to_bytes`; may raise ValueError for invalid bytes.
        lasts: whether a content that was made is to be stored.
    """
    with contextlib.suppress(OSError, ValueError, RuntimeError):
        return from_bytes(_read(path))
    content = make()
    if not lasts(content):
        return content
    with contextlib.suppress(OSError, RuntimeError):
        _write(path, to_bytes(content))
    return content


def _read(path: Path) -> bytes:
    stored = path.read_bytes()
    content = stored[:-_DIGEST]
    if hashlib.sha256(content).digest() != stored[-_DIGEST:]:
        raise ValueError(f"{path} is damaged")
    return content


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # Other processes may store the same: each writes a temporary file, and the last one stays.
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.write(hashlib.sha256(content).digest())
        os.chmod(temporary, 0o644)  # others may share the folder
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
