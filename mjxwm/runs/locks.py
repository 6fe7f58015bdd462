"""One process at a time on a run folder: a lock that ends with the process that holds it."""

import contextlib
import datetime
import errno
import json
import os
import socket
from pathlib import Path
from typing import IO

from mjxwm import ConfigError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

FILE = ".lock"
"""Name of the locked file in a run folder; what it says is who holds the lock."""
_BUSY = {errno.EWOULDBLOCK, errno.EACCES, errno.EAGAIN}

_held: dict[Path, IO[str]] = {}
"""The locked files of this process, by folder."""


def acquire(folder: Path, what: str = "run") -> None:
    """Locks a run folder for this process, until `release` or its end; twice is once.

    Where the file system knows no locks, a line says so and nothing is locked.

    Args:
        folder: the folder.
        what: what it is of, for errors.

    Raises:
        ConfigError: another process holds it, which is named; or the folder cannot be written to.
    """
    key = folder.resolve()
    if key in _held:
        return
    path = folder / FILE
    try:
        file = path.open("a+", encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{what} {folder} cannot be written to: {error.strerror}") from error
    try:
        if fcntl is None:
            raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _BUSY:
            holder = _holder(file)
            file.close()
            raise ConfigError(
                f"{what} {folder} is in use by {holder}. Wait for its end, or stop it: it saves "
                f"the {what} on Ctrl-C and on SIGTERM"
            ) from error
        print(
            f"note     {folder} cannot be locked ({error.strerror}): see to it that no other "
            "process trains it",
            flush=True,
        )
    if not _is(file, path):  # who held it has removed it meanwhile
        file.close()
        acquire(folder, what)
        return
    _held[key] = file
    _write(file)


def release(folder: Path) -> None:
    """Gives a folder's lock back, if this process holds it."""
    file = _held.pop(folder.resolve(), None)
    if file is None:
        return
    with contextlib.suppress(OSError):
        file.truncate(0)
    if fcntl is not None:
        with contextlib.suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_UN)  # a child may have the file, too
    file.close()


def holds(folder: Path) -> bool:
    """Whether this process has locked the folder."""
    return folder.resolve() in _held


def busy(folder: Path) -> bool:
    """Whether a process holds the folder's lock now, as while it trains the run."""
    if holds(folder):
        return True
    try:
        with (folder / FILE).open(encoding="utf-8") as file:
            if not file.read(1) or fcntl is None:  # whoever gives it back empties it
                return False
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno in _BUSY
    return False


def _is(file: IO[str], path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except OSError:
        return False


def _write(file: IO[str]) -> None:
    since = f"{datetime.datetime.now():%Y-%m-%d %H:%M:%S}"
    text = json.dumps({"process": os.getpid(), "host": socket.gethostname(), "since": since})
    with contextlib.suppress(OSError):  # a full disk: the lock holds all the same
        file.truncate(0)
        file.write(text + "\n")
        file.flush()


def _holder(file: IO[str]) -> str:
    """Who holds a lock, in words."""
    try:
        file.seek(0)
        who = json.loads(file.read())
        return f"process {who['process']} on {who['host']}, since {who['since']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"
