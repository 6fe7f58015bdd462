"""What is printed: how much of it, and that it must not end a run that trains.

A terminal may be closed (EIO), whatever reads a pipe may end, as `tee` does by the same Ctrl-C
(EPIPE), and the disk with the log may be full (ENOSPC). The record has all that the lines say.
"""

import contextlib
import errno
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


class _Level:
    """How much this process prints."""

    quiet = False


def be_quiet(quiet: bool = True) -> None:
    """Whether `say` says nothing from here on: `--quiet`."""
    _Level.quiet = quiet


def is_quiet() -> bool:
    """Whether results, notes and warnings are all that is printed."""
    return _Level.quiet


def say(text: str, end: str = "\n") -> None:
    """Prints what is no result, no note and no warning: what a command is made of and how it goes.

    Args:
        text: the line.
        end: what follows it; "" where the line goes on.
    """
    if not _Level.quiet:
        print(text, end=end, flush=True)


_FOR_GOOD = {errno.EPIPE, errno.EIO, errno.EBADF, errno.ENXIO}


class _Lasting:
    """A text stream that goes on after what could not be written."""

    def __init__(self, stream: Any):
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Writes, or drops, a text."""
        self._try(lambda: self._stream.write(text))
        return len(text)

    def flush(self) -> None:
        """Hands on what waits, or keeps it waiting where the disk is full."""
        self._try(self._stream.flush)

    def _try(self, call: Callable[[], Any]) -> None:
        try:
            call()
        except OSError as error:
            if error.errno in _FOR_GOOD:
                discard(self._stream)


@contextmanager
def lasting() -> Iterator[None]:
    """Until it ends, what cannot be printed is dropped."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (_Lasting(stream) for stream in before)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


def discard(stream: Any) -> None:
    """Sends all that a stream writes from here on, and what waits in it, to nowhere."""
    with contextlib.suppress(OSError, ValueError):  # a stream that is no file
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
