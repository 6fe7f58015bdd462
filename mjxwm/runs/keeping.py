"""What a run keeps on disk while it trains; where it cannot be written the run goes on."""

import errno
import logging
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import jax

from mjxwm.runs import devices, folders, locks
from mjxwm.runs.folders import RunFolder

_SPARE = 2**20
"""Bytes for the small files beside the arrays of a checkpoint."""


class _Kept:
    """A run folder in use."""

    def __init__(self, run: RunFolder):
        files = (path for path in (run.config, run.system) if path.is_file())
        self.started = {path: path.read_bytes() for path in files}
        """The files of its start, should the folder vanish."""
        self.unwritten: dict[str, str] = {}
        """What is not on disk, and why."""


_kept: dict[Path, _Kept] = {}
_making_again = threading.Lock()


def begin(run: RunFolder) -> None:
    """Locks a run's folder and removes what is half made in it, until `end`.

    Raises:
        ConfigError: another process trains it, or it cannot be written to.
    """
    locks.acquire(run.path)
    folders.clean(run.path)
    _kept[run.path] = _Kept(run)


def end(run: RunFolder) -> None:
    """Gives a run's folder back."""
    locks.release(run.path)
    _kept.pop(run.path, None)


def attempt(
    run: RunFolder,
    what: str,
    write: Callable[[], object],
    needed: int = 0,
    within: Path | None = None,
) -> bool:
    """Writes something of a run, or says why that cannot be; the run goes on.

    Two threads may do so at once, if one of them writes checkpoints alone.

    Args:
        run: whose it is.
        what: what is written, in words.
        write: writes it.
        needed: bytes that are free, or it is not even begun: half of it would take the room.
        within: where all of it is written, and nothing else meanwhile; by default anywhere in the
            run's folder but among its checkpoints.

    Returns:
        Whether it was written.
    """
    kept = _kept.get(run.path)
    unwritten = {} if kept is None else kept.unwritten
    try:
        with _quiet():
            if kept is not None:
                _make_again(run, kept)
            if _short(run.path, needed):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            try:
                write()
            except (OSError, ValueError):
                # Other processes that write a part of it would not try again.
                if kept is None or jax.process_count() > 1 or not _make_again(run, kept):
                    raise
                write()
    except (OSError, ValueError) as error:
        reason = _reason(error)
        if reason is None:
            raise
        if kept is not None:
            half = (run.path, run.checkpoints) if within is None else (within,)
            folders.clean(*half)  # half of a checkpoint takes room, too
        if what not in unwritten:
            _say(run, what, reason, goes_on=kept is not None)
        unwritten[what] = reason
        return False
    if unwritten.pop(what, None):
        print(f"note     {run.path}: {what} can be written again", flush=True)
    return True


class _Silence:
    """How many threads want orbax to print nothing, and whether it did before the first of them."""

    lock = threading.Lock()
    users = 0
    before = False


@contextmanager
def _quiet() -> Iterator[None]:
    """Until it ends, orbax prints nothing: it logs the traceback of each thread that fails."""
    logger = logging.getLogger("absl")
    with _Silence.lock:
        if not _Silence.users:
            _Silence.before, logger.disabled = logger.disabled, True
        _Silence.users += 1
    try:
        yield
    finally:
        with _Silence.lock:
            _Silence.users -= 1
            if not _Silence.users:
                logger.disabled = _Silence.before


def refuse(run: RunFolder, what: str, reason: str) -> None:
    """Says that something of a run that is due is not to be written; it counts as unwritten."""
    print(f"note     {run.path}: {what} NOT WRITTEN: {reason}", flush=True)
    if run.path in _kept:
        _kept[run.path].unwritten[what] = reason


def unwritten(run: RunFolder) -> tuple[str, ...]:
    """What could not be written of a run that trains, the last time that it was due."""
    return tuple(_kept[run.path].unwritten) if run.path in _kept else ()


def _make_again(run: RunFolder, kept: _Kept) -> bool:
    """Makes a folder again that has vanished, with the files of its start; whether it had."""
    with _making_again:
        if not kept.started or any(path.is_file() for path in kept.started):
            return False
        print(f"WARNING  {run.path} is gone and is made again, from here on", flush=True)
        locks.release(run.path)
        run.path.mkdir(parents=True, exist_ok=True)
        for path, content in kept.started.items():
            path.write_bytes(content)
        folders.keep_trained(run)
        locks.acquire(run.path)
        return True


def _reason(error: OSError | ValueError) -> str | None:
    """Why the system does not write; None for what is no matter of the system."""
    if isinstance(error, OSError):
        return error.strerror or (str(error).splitlines() or [type(error).__name__])[0]
    lines = str(error).splitlines()  # as the library that writes checkpoints says it
    return next((line for line in lines if "[os_error_code=" in line), None)


def _say(run: RunFolder, what: str, reason: str, goes_on: bool) -> None:
    left = free(run.path)
    room = "" if left is None else f"; {size(left)} are free"
    later = ". The run goes on, and it is tried again when the next is due" if goes_on else ""
    print(f"WARNING  {run.path}: {what} NOT WRITTEN: {reason}{room}{later}", flush=True)


def free(path: Path) -> int | None:
    """Bytes free where a folder is, or would be."""
    place = next((p for p in (path, *path.absolute().parents) if p.is_dir()), None)
    try:
        return None if place is None else shutil.disk_usage(place).free
    except OSError:
        return None


def lacks_room(path: Path, needed: int) -> bool:
    """Whether fewer bytes than these, and some for small files, are free where a folder is."""
    left = free(path) if needed else None
    return left is not None and left < needed + _SPARE


def _short(path: Path, needed: int) -> bool:
    """Whether any process of a run lacks room for what all of them write together, or none does."""
    return bool(needed) and devices.any_of(lacks_room(path, needed))[0]


def size(count: int) -> str:
    """A number of bytes, in words."""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"
