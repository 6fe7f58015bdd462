"""The record of a run, `metrics.jsonl`, a row a line (`json_rows`); `console` shows them."""

import errno
import itertools
import os
from pathlib import Path
from typing import Any, NamedTuple

from mjxwm.runs import checksums, json_rows


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
        """Writes a row; `iteration` and `env_steps` are among its keys.

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
    return [row for row in rows if all(is_number(row.get(name)) for name in names)]


def minutes(path: Path, iteration: int) -> float:
    """Minutes that a run had taken by an iteration; 0 if its record does not have them."""
    rows = read(path) if path.is_file() else []
    values: list[Any] = [row.get("minutes") for row in rows if row["iteration"] <= iteration]
    return next((float(value) for value in reversed(values) if is_number(value)), 0.0)


def is_number(value: Any) -> bool:
    """Whether a value of a row is a number."""
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
