"""Ctrl-C and SIGTERM: the iteration that runs is ended, and the run saved."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def interruptible() -> Iterator[list[int]]:
    """Collects signals instead of stopping at once; a second one ends the process.

    Yields:
        The signals so far, by number: empty until Ctrl-C or SIGTERM.
    """
    signals: list[int] = []

    def handler(number: int, frame: FrameType | None) -> None:
        signals.append(number)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)

    try:
        before = {n: signal.signal(n, handler) for n in (signal.SIGINT, signal.SIGTERM)}
    except ValueError:  # not the main thread: nobody presses Ctrl-C here
        yield signals
        return
    try:
        yield signals
    finally:
        for number, old in before.items():
            signal.signal(number, old)
