"""Ctrl-C, SIGTERM and SIGHUP: a run in training is saved first, everything else ends at once.

Python runs the handler of a signal in the main thread and between two of its own instructions,
while XLA compiles for minutes without any. On the command line a thread answers signals instead.
"""

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from mjxwm.runs import exits, output

SIGNALS = tuple(getattr(signal, n) for n in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, n))
"""The signals that stop a process: Ctrl-C, what schedulers send, and a terminal that is closed."""
_ONE = 1.0
"""Signals within this time are one [s]: a shell that ends sends SIGHUP, and so does the system."""
_PATIENCE = 1.0
"""Time that what is left to do may take when a process leaves at once [s]."""


class Stopped(Exception):  # noqa: N818  no error
    """A signal has stopped a training run, which is saved, amidst a larger work."""

    def __init__(self, number: int, text: str):
        """`number` is the signal's; `text` says how to go on."""
        super().__init__(text)
        self.status = exits.of_signal(number)


class _Process:
    """What is known of the signals of this process."""

    watched = False
    """Whether a thread answers them."""
    first: int | None = None
    """The first that came to a run in training."""
    since = 0.0
    """When it came, on the monotonic clock [s]."""
    listeners: tuple[list[int], ...] = ()
    """Where runs in training take them, the innermost last."""
    removals: tuple[Callable[[], None], ...] = ()
    """What removes things that are half made."""


def watch() -> None:
    """Has signals answered by a thread, also while the main thread is in a compiler.

    Outside of `interruptible` a signal ends the process at once, with the status that shells
    expect. Signals that are ignored, as under `nohup`, stay so. To be called in the main thread.
    """
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    threading.Thread(target=_answer, args=(reader,), daemon=True, name="signals").start()
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _left_to_the_thread)
    if hasattr(os, "register_at_fork"):
        # A child has the pipe, too: what ends the child would end its parent.
        os.register_at_fork(after_in_child=_forget)
    _Process.watched = True


def _left_to_the_thread(number: int, frame: FrameType | None) -> None:
    """The handler that a signal needs so that Python writes its number into the pipe."""


def _forget() -> None:
    signal.set_wakeup_fd(-1)
    for number in SIGNALS:
        if signal.getsignal(number) is _left_to_the_thread:
            signal.signal(number, signal.SIG_DFL)
    _Process.watched, _Process.listeners, _Process.removals = False, (), ()


def _answer(reader: int) -> None:
    while True:
        for number in os.read(reader, 64):
            if number in SIGNALS:
                _arrived(number)


def _arrived(number: int) -> None:
    now = time.monotonic()
    if _Process.listeners and not _Process.listeners[-1]:
        _Process.listeners[-1].append(number)
        _Process.first, _Process.since = number, now
        _say(f"{_name(number)}: the run is saved after this iteration; a second one leaves at once")
    elif _Process.first is None or now - _Process.since > _ONE:
        leave(number)


def leave(number: int) -> NoReturn:
    """Ends the process at once, with the status of a signal; no compiler is waited for."""
    if not _Process.first:
        _say("interrupted" if number == signal.SIGINT else f"interrupted by {_name(number)}")
    end(exits.of_signal(number))


def end(status: int) -> NoReturn:
    """Ends the process at once. What is half made is removed, and what is printed is shown.

    Python would wait for the threads that compile, or be torn down under them.
    """

    def last() -> None:
        for remove in reversed(_Process.removals):
            with contextlib.suppress(Exception):
                remove()
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(Exception):
                if stream.isatty():
                    stream.write("\x1b[?25h")  # a live line hides the cursor
                stream.flush()

    # In a thread: another one may hold the stream, and wait for who reads it.
    thread = threading.Thread(target=last, daemon=True)
    thread.start()
    thread.join(_PATIENCE)
    os._exit(status)


def received() -> int | None:
    """The signal that has stopped a training of this process, if one has."""
    return _Process.first


def refuse_more(number: int | None, text: str) -> None:
    """Ends a work of several trainings after one that a signal has stopped.

    Args:
        number: the signal; None if there was none.
        text: how to go on.

    Raises:
        Stopped: there was one.
    """
    if number is not None:
        raise Stopped(number, text)


def on_leaving(remove: Callable[[], None]) -> None:
    """Has something that may be half made removed by `remove` if a signal ends the process."""
    _Process.removals = (*_Process.removals, remove)


@contextmanager
def interruptible() -> Iterator[list[int]]:
    """Collects signals instead of stopping at once; a second one ends the process.

    Output that cannot be written, to a terminal that was closed or a full disk, is dropped.

    Yields:
        The signals so far, by number: empty until there is one.
    """
    signals: list[int] = []
    with output.lasting(), _watched(signals) if _Process.watched else _handled(signals):
        yield signals


@contextmanager
def at_once() -> Iterator[None]:
    """Within `interruptible`, until it ends, a signal leaves at once: nothing new is learned."""
    listeners, _Process.listeners = _Process.listeners, ()
    try:
        yield
    finally:
        _Process.listeners = listeners


@contextmanager
def _watched(signals: list[int]) -> Iterator[None]:
    _Process.listeners = (*_Process.listeners, signals)
    try:
        yield
    finally:
        _Process.listeners = _Process.listeners[:-1]


@contextmanager
def _handled(signals: list[int]) -> Iterator[None]:
    """Handlers of Python's own, as in a notebook: the second signal goes to whoever was there."""
    before, since = {}, 0.0

    def put_back() -> None:
        for number, old in before.items():
            signal.signal(number, old or signal.SIG_DFL)

    def handler(number: int, frame: FrameType | None) -> None:
        nonlocal since
        if not signals:
            signals.append(number)
            since = time.monotonic()
        elif time.monotonic() - since > _ONE:
            put_back()
            signal.raise_signal(number)

    try:
        before.update({number: signal.signal(number, handler) for number in SIGNALS})
    except ValueError:  # not the main thread: nobody presses Ctrl-C here
        yield
        return
    try:
        yield
    finally:
        put_back()


def _name(number: int) -> str:
    return "Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name


def _say(text: str) -> None:
    """Writes a line past Python's own buffers, which another thread may hold."""
    with contextlib.suppress(OSError):
        os.write(2, f"\n{text}\n".encode())
