"""Runs the cells of a study that are not done, as many at once as the machine has parts."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from mjxwm.runs import exits, keeping, stops
from mjxwm.studies import standing as standings
from mjxwm.studies.cells import Cell, Standing
from mjxwm.studies.journal import Ended, Journal
from mjxwm.studies.machine import Slot
from mjxwm.studies.workers import Worker

_PAUSE = 0.2
"""Time between two looks at the processes [s]."""
_LOOK = 2.0
"""Time between two looks at cells that processes of before still save [s]."""
_LEAST = 64 * 2**20
"""Bytes that are free, or no cell begins: what it writes at its end would be lost."""


class Runner:
    """The processes of a study."""

    def __init__(
        self,
        cells: Sequence[Cell],
        journal: Journal,
        folder: Path,
        slots: Sequence[Slot],
        again: bool = False,
        draw: Callable[[], None] = lambda: None,
        say: Callable[[str], None] = print,
    ):
        """Nothing runs yet.

        Args:
            cells: of the study, in the order in which they are to run.
            journal: the attempts so far.
            folder: where the study is kept; it is locked by this process.
            slots: parts of the machine, one for each process.
            again: whether failed cells are tried again.
            draw: draws the page, after each cell.
            say: prints a line.
        """
        self._cells, self._journal, self._folder, self._slots = cells, journal, folder, slots
        self._again, self._draw, self._say = again, draw, say
        self._workers: list[Worker] = []
        self._tried: set[str] = set()
        self._full = False
        self._now: dict[str, Standing] = {}
        self._looked = 0.0

    def run(self) -> int:
        """Runs until nothing is left that can run, or a signal comes; returns the exit status.

        A signal is handed on to the processes, which save their runs, and are waited for. Where
        this process is killed, they notice and do the same.
        """
        with stops.interruptible() as signals:
            self._look()
            for name in self._others():
                self._say(f"waits    a process of before still saves {name}")
            while not signals:
                ended = self._reap()
                if ended or (self._others() and time.monotonic() - self._looked > _LOOK):
                    self._look()
                self._begin()
                if ended:
                    self._draw()
                if not (self._workers or self._others()):
                    break
                time.sleep(_PAUSE)
            for worker in self._workers:
                worker.stop()
            while self._workers:
                self._reap()
                time.sleep(_PAUSE)
        self._draw()
        if signals:
            return exits.of_signal(signals[0])
        return self._status()

    def _look(self) -> None:
        """Looks how all cells stand; their files are read, which takes a moment."""
        names = [worker.cell.name for worker in self._workers]
        self._now = standings.of_all(self._cells, self._journal, names, self._now)
        self._looked = time.monotonic()
        for cell in self._cells:
            if self._now[cell.name].word == "done" and self._journal.open(cell.name):
                self._end(cell, self._finished(cell), 0.0)  # it came to its end without its study

    def _others(self) -> list[str]:
        """Names of cells that processes of before still save, and that go on afterwards."""
        workers = {worker.cell.name for worker in self._workers}
        running = [name for name, one in self._now.items() if one.word == "running"]
        return [name for name in running if name not in workers]

    def _status(self) -> int:
        """That of the first cell that is not done."""
        if self._full:
            return exits.UNWRITTEN
        self._look()
        for name in (name for name, one in self._now.items() if one.word != "done"):
            ended = self._journal.ended(name)
            if ended is not None and ended.status:
                return ended.status
        return exits.DONE

    def _reap(self) -> bool:
        """Takes note of the processes that have ended; whether there were any."""
        over = [(worker, end) for worker in self._workers if (end := worker.ended())]
        for worker, end in over:
            self._workers.remove(worker)
            ended = end if end.status else self._finished(worker.cell)
            self._end(worker.cell, ended, round(worker.seconds, 1))
        return bool(over)

    def _end(self, cell: Cell, ended: Ended, seconds: float) -> None:
        fields = {"status": ended.status, "message": ended.message, "seconds": seconds}
        self._note(cell, "ended", **fields)
        word = "failed" if ended.failed else "stopped" if ended.status else "done"
        reason = f": {ended.message}" if ended.message else ""
        self._say(f"{word:8} {cell.name} after {seconds / 60:.1f} minutes{reason}")

    def _finished(self, cell: Cell) -> Ended:
        """How a cell ends whose process has ended with status 0: its result may be missing."""
        try:
            cell.finish()
        except OSError as error:
            return Ended(exits.UNWRITTEN, f"its result cannot be kept: {error}")
        except ValueError as error:
            return Ended(exits.FAILED, f"its result cannot be read: {error}")
        if cell.standing().word != "done":
            return Ended(exits.FAILED, "its process ended with status 0 and left no whole result")
        return Ended(exits.DONE, "")

    def _begin(self) -> None:
        """Begins cells where parts of the machine are free."""
        taken = [worker.slot for worker in self._workers]
        free = [slot for slot in self._slots if slot not in taken]
        for number, cell in enumerate(self._cells, 1):
            if not free or self._full:
                break
            if not self._may_begin(cell):
                continue
            fresh = self._now[cell.name].word == "waiting"
            if keeping.lacks_room(self._folder, _LEAST + fresh * cell.cost().peak):
                self._stop_beginning(f"{self._folder}: the disk is full")
                break
            try:
                worker = Worker(cell, free.pop(0), self._folder / "logs" / f"{cell.name}.log")
            except OSError as error:
                self._stop_beginning(f"{cell.name} cannot begin: {error}")
                break
            self._tried.add(cell.name)
            self._workers.append(worker)
            self._now[cell.name] = Standing("running")
            self._note(cell, "began", process=worker.number)
            self._say(f"begins   {cell.name} ({number} of {len(self._cells)})")

    def _stop_beginning(self, why: str) -> None:
        self._full = True
        self._say(f"stopped  {why}; nothing more begins, and what runs is waited for")

    def _may_begin(self, cell: Cell) -> bool:
        words = ("waiting", "stopped", *(("failed",) if self._again else ()))
        if cell.name in self._tried or self._now[cell.name].word not in words:
            return False
        return all(self._now[name].word == "done" for name in cell.needs)

    def _note(self, cell: Cell, event: str, **values: object) -> None:
        try:
            self._journal.add(cell.name, event, **values)
        except OSError as error:
            self._say(f"WARNING  the journal of the study is not written: {error.strerror}")
