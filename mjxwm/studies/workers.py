"""A cell's process: begun in its part of the machine, asked to stop, and ended with its study."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from mjxwm.runs import exits
from mjxwm.studies.cells import Cell
from mjxwm.studies.journal import Ended
from mjxwm.studies.machine import Slot

CHILD = (sys.executable, "-m", "mjxwm.studies.child")
"""What a cell's arguments are handed to."""
_TAIL = 64 * 1024
"""Bytes at the end of a log that are looked at for what was said last."""


class Worker:
    """The process of a cell."""

    def __init__(self, cell: Cell, slot: Slot, log: Path):
        """Begins it. It is in a session of its own: Ctrl-C in a terminal is the study's alone.

        Args:
            cell: whose process it is.
            slot: its part of the machine.
            log: the file to which its output is added.

        Raises:
            OSError: it cannot begin, or its files cannot be written.
        """
        self.cell, self.slot, self.log = cell, slot, log
        self.began = time.monotonic()
        log.parent.mkdir(parents=True, exist_ok=True)
        cores = ",".join(map(str, slot.cores))
        command = [*CHILD, cores, *cell.command()]
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,  # its end tells the process that the study is gone
                stdout=output,
                stderr=subprocess.STDOUT,
                env=os.environ | slot.environ,
                start_new_session=True,
            )

    @property
    def number(self) -> int:
        """The process's number."""
        return self._process.pid

    @property
    def seconds(self) -> float:
        """Time since it began."""
        return time.monotonic() - self.began

    def ended(self) -> Ended | None:
        """How it ended; None while it runs."""
        code = self._process.poll()
        if code is None:
            return None
        status = exits.of_signal(-code) if code < 0 else code
        return Ended(status, "" if status == exits.DONE else _reason(status, self.log))

    def stop(self) -> None:
        """Asks it to save what it has learned, and to end."""
        self._process.terminate()


def _reason(status: int, log: Path) -> str:
    """Why a process ended, in words: its own last ones, or the signal's name."""
    if status == exits.of_signal(signal.SIGKILL):
        return "killed (SIGKILL), as by a system whose memory is full"
    if status > exits.of_signal(0):
        number = status - exits.of_signal(0)
        names = {one.value: one.name for one in signal.Signals}
        return f"ended by {names.get(number, f'signal {number}')}"
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - _TAIL))
            lines = file.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return ""
    lines = [line.strip() for line in lines if line.strip()]
    told = [line for line in lines if line.startswith(("error: ", "stopped: "))]
    return (told or lines or [""])[-1][:500]
