"""What a command is doing, said on standard error once it is silent for a moment.

Commands name the parts of their work that may take long, with `step`. A part that is over within
a second is not mentioned. On a terminal one line counts its seconds and is removed at its end;
elsewhere a line names it, and more lines follow in growing distances.
"""

import contextlib
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from mjxwm.runs import output

PATIENCE = 1.0
"""Time for which nothing is said [s]."""


class _Watched:
    """Whether this process is a command of its own, whose steps are said."""

    on = False
    inside = False
    """Whether a step is under way: those within it are not said."""
    named = ""
    """The step that was named last: one in two parts is named once."""


def watch() -> None:
    """Has steps said from here on, in a process that is a command of its own."""
    _Watched.on = True


@contextmanager
def step(what: str, patience: float = PATIENCE) -> Iterator[None]:
    """Says what is being done until it ends, if that takes longer than `patience` [s].

    Of steps within steps the outer one is said. Nothing is said with `--quiet`, nor where Python
    calls what the commands call.

    Args:
        what: the work, in words: a line of its own.
        patience: time for which nothing is said.
    """
    if not _Watched.on or _Watched.inside or output.is_quiet():
        yield
        return
    _Watched.inside = True
    over = threading.Event()
    thread = threading.Thread(target=_say, args=(what, patience, over), daemon=True)
    thread.start()
    try:
        yield
    finally:
        _Watched.inside = False
        over.set()
        thread.join()


def loading() -> AbstractContextManager[None]:
    """`step` of the imports of a command, which is not long: it is the first thing to be said."""
    return step("loads    JAX, MuJoCo and what is made with them", patience=0.5)


def _say(what: str, patience: float, over: threading.Event) -> None:
    began = time.monotonic()
    if over.wait(patience):
        return
    with contextlib.suppress(OSError, ValueError):  # a stream that was closed
        _count(what, began, over) if sys.stderr.isatty() else _name(what, began, over)


def _count(what: str, began: float, over: threading.Event) -> None:
    """One line of a terminal, until it is over."""
    while True:
        _write(f"\r\x1b[K{what}: {time.monotonic() - began:.0f} s")
        if over.wait(1.0):
            return _write("\r\x1b[K")


def _name(what: str, began: float, over: threading.Event) -> None:
    """Lines of a log: at first, then after 10, 30, 90, ... seconds."""
    if what != _Watched.named:
        _write(f"{what}\n")
    _Watched.named = what
    pause = 10.0
    while not over.wait(began + pause - time.monotonic()):
        _write(f"{what}: {pause:.0f} s so far\n")
        pause *= 3


def _write(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()
