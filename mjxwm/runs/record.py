"""The record of a run, `metrics.jsonl`, a row a line (`json_rows`); its line on the console."""

import errno
import itertools
import os
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Protocol, TextIO

from rich.console import Console
from rich.live import Live
from rich.text import Text

from mjxwm.runs import checksums, json_rows, symptoms


class Tracker(Protocol):
    """Takes one row of scalars at a time."""

    def log(self, row: dict[str, Any]) -> None:
        """Records a row; `iteration` and `env_steps` are among its keys."""
        ...


class JsonLines:
    """Appends rows to a JSON-lines file, the record that every viewer reads."""

    def __init__(self, path: Path, resume_at: int | None = None):
        """On resuming, rows after iteration `resume_at` are dropped: they will come again."""
        if resume_at is not None and path.is_file():
            _cut(path, resume_at)
        self._path = path
        self._waiting = b""
        """Rows that could not be written yet."""

    def log(self, row: dict[str, Any]) -> None:
        """See `Tracker`.

        Raises:
            OSError: it cannot be written; it is with the next row, if that can be.
        """
        self.add(row)
        self.flush()

    def add(self, row: dict[str, Any]) -> None:
        """Takes a row to be written by `flush`."""
        self._waiting += json_rows.encode(row)

    def flush(self) -> None:
        """Writes the rows that wait; all of them, or none.

        Raises:
            OSError: they cannot be written.
        """
        with self._path.open("ab", buffering=0) as file:
            end = file.tell()
            try:
                written = os.write(file.fileno(), self._waiting)
                if written < len(self._waiting):  # the disk is full now
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self._path))
            except OSError:
                file.truncate(end)
                raise
        self._waiting = b""


class _Line(NamedTuple):
    """A line of a record, as it lies on disk."""

    number: int
    text: bytes
    row: dict[str, Any] | None
    """The row; None if the line holds none, see `json_rows.decode`."""


def read(path: Path) -> list[dict[str, Any]]:
    """The rows of a record, in the order of their iterations.

    If several rows have the same iteration, as two processes would write them, the last one counts.
    Lines that are not rows are left out, and a note says so; but not of a last line without an
    end, which a running process is writing or a crash has cut.
    """
    lines = _lines(path)
    for line in lines[:-1]:
        if line.row is None:
            _say_left_out(path, line)
    rows = {line.row["iteration"]: line.row for line in lines if line.row is not None}
    return [rows[iteration] for iteration in sorted(rows)]


def evaluations(path: Path, *names: str) -> list[dict[str, Any]]:
    """The rows of a record that hold an evaluation, its env steps and the metrics `names`.

    The list is empty if there is no such file.
    """
    names = ("eval/return", "env_steps", *names)
    rows = read(path) if path.is_file() else []
    return [row for row in rows if all(_is_number(row.get(name)) for name in names)]


def minutes(path: Path, iteration: int) -> float:
    """Minutes that a run had taken by an iteration; 0 if its record does not have them."""
    rows = read(path) if path.is_file() else []
    values: list[Any] = [row.get("minutes") for row in rows if row["iteration"] <= iteration]
    return next((float(value) for value in reversed(values) if _is_number(value)), 0.0)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _lines(path: Path) -> list[_Line]:
    # Split as bytes: text may hold other ends of lines within a JSON string. The last part is what
    # follows the last end, mostly nothing.
    parts = path.read_bytes().split(b"\n")
    lines, summed = [], False
    for number, part in enumerate(parts, 1):
        summed = summed or json_rows.has_sum(part)
        if part.strip() or number == len(parts):
            # Once rows have sums, one without was written by nobody, or its sum was hit.
            whole = json_rows.has_sum(part) or not summed
            lines.append(_Line(number, part, json_rows.decode(part) if whole else None))
    return lines


def _cut(path: Path, resume_at: int) -> None:
    """Drops the rows after an iteration and the lines that are not rows.

    The new file replaces the old one at once: a process that is killed meanwhile leaves one of
    the two.
    """
    kept, iterations = [], []
    for line in _lines(path):
        if line.row is None:
            if line.text.strip():
                _say_left_out(path, line)
        elif line.row["iteration"] <= resume_at:
            kept.append(line.text + b"\n")
            iterations.append(line.row["iteration"])
    _say_missing(path, iterations, resume_at)
    path = path.resolve()  # a link goes on pointing there
    with checksums.replacing(path) as partial:
        partial.write_bytes(b"".join(kept))


def _say_missing(path: Path, iterations: list[int], resume_at: int) -> None:
    """Says that a record was cut short, where its rows end long before the iteration to go on from.

    Rows are written evenly, so that no distance is larger than those before.
    """
    if len(iterations) < 3:
        return
    largest = max(later - first for first, later in itertools.pairwise(iterations))
    if resume_at - iterations[-1] > 2 * largest:
        ends = f"ends at iteration {iterations[-1]}, the checkpoint is of {resume_at}"
        print(f"note     {path} {ends}: the rows between are lost", flush=True)


def _say_left_out(path: Path, line: _Line) -> None:
    start = line.text[:40].decode("utf-8", "backslashreplace")
    what = f"line {line.number} is no row, or was changed, and is left out"
    print(f"note     {path}: {what}: {start!r}", flush=True)


class ConsoleLine:
    """One live line on a terminal; plain lines, at most one in `every` seconds, elsewhere."""

    def __init__(self, iterations: int, every: float = 10.0, file: TextIO | None = None):
        """`iterations` is the run's total, for the time left."""
        self._console = Console(file=file or sys.stdout, highlight=False, soft_wrap=True)
        self._live = Live(console=self._console, auto_refresh=False, transient=False)
        self._iterations, self._every = iterations, every
        self._last, self._eval = -every, None
        self._origin: tuple[float, int] | None = None
        self._symptoms: dict[str, float] = {}
        """Symptoms in the rows since the last line, with their severity."""

    def __enter__(self) -> "ConsoleLine":
        """Starts the live line where there is a terminal."""
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        """Leaves the last line standing."""
        self._live.stop()

    def log(self, row: dict[str, Any]) -> None:
        """See `Tracker`."""
        self._show(row, symptoms.symptoms(row))

    def log_means(self, rows: dict[str, dict[str, Any]]) -> None:
        """Shows one row for those of several runs by name: means, and symptoms with the name."""
        self._show(means(rows.values()), symptoms.of_each(rows))

    def _show(self, row: dict[str, Any], new: dict[str, float]) -> None:
        now = time.monotonic()
        self._eval = row.get("eval/return", self._eval)
        self._symptoms = symptoms.worse(self._symptoms, new)
        text = "  ".join([self._line(row, now), *symptoms.words(self._symptoms)])
        if self._console.is_terminal:
            self._live.update(Text(text), refresh=True)
            self._symptoms = {}
        elif "eval/return" in row or now - self._last >= self._every:
            self._last = now
            self._console.print(text)
            self._symptoms = {}

    def _line(self, row: dict[str, Any], now: float) -> str:
        iteration = row["iteration"]
        self._origin = self._origin or (now, iteration)
        start, first = self._origin
        done = iteration - first
        left = (now - start) / done * (self._iterations - iteration) if done else None
        # What a row does not have is left out; what it has is shown, NaN too.
        parts = [
            f"iteration {iteration}/{self._iterations}",
            _part("env steps {:,}", row["env_steps"] or None),
            _part("{:,.0f} steps/s", row.get("perf/env_steps_per_s") or None),
            _part("{:,.1f} updates/s", row.get("perf/updates_per_s")),
            _part("return {:.1f}", row.get("collect/return")),
            _part("evaluated {:.1f}", self._eval),
            _part("model loss {:.4f}", row.get("model/loss")),
            _part("{} left", _clock(left)),
        ]
        return "  ".join(part for part in parts if part)


def means(rows: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Means of the numbers that all of several rows have; whole ones that agree stay whole."""
    first, *others = rows
    row: dict[str, Any] = {}
    for name, value in first.items():
        values = [value, *(other.get(name) for other in others)]
        if all(v == value for v in values):
            row[name] = value
        elif all(map(_is_number, values)):
            row[name] = sum(values) / len(values)
    return row


def _part(form: str, value: Any) -> str:
    return "" if value is None else form.format(value).replace("nan", "NaN")


def _clock(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    minutes, seconds = divmod(int(seconds), 60)
    return (
        f"{minutes // 60}:{minutes % 60:02d}:{seconds:02d}"
        if minutes >= 60
        else f"{minutes}:{seconds:02d}"
    )
