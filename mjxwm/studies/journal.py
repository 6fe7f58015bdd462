"""What became of each attempt at a cell: a line when its process begins, one when it ends."""

import datetime
import json
import os
from pathlib import Path
from typing import Any, NamedTuple

from mjxwm.runs import exits


class Ended(NamedTuple):
    """How a cell's newest attempt ended."""

    status: int
    """Exit status of its process, of `exits`; 128 + n after signal n."""
    message: str
    """The last thing that it said."""

    @property
    def failed(self) -> bool:
        """Whether the same again would fail again: no signal ended it, and no full disk."""
        return self.status not in (exits.DONE, exits.UNWRITTEN) and self.status <= exits.of_signal(
            0
        )


class Journal:
    """The attempts of a study, in a file to which lines are appended."""

    def __init__(self, path: Path):
        """The attempts in a file, which may not be there yet."""
        self._path = path
        self.rows: list[dict[str, Any]] = _read(path)
        """Rows with `cell` and `event`: began, with `process`; or ended, with `status`, `message`
        and `seconds`."""

    def add(self, cell: str, event: str, **values: Any) -> None:
        """Writes a row; it holds for this process even where it cannot be written.

        Raises:
            OSError: it cannot be written.
        """
        now = f"{datetime.datetime.now():%Y-%m-%d %H:%M:%S}"
        row = {"cell": cell, "event": event, "at": now, **values}
        self.rows.append(row)
        with self._path.open("ab", buffering=0) as file:
            # A line that a crash has cut is ended first, so that it takes no other with it.
            cut = file.tell() and not _ends_whole(self._path)
            os.write(file.fileno(), b"\n" * cut + json.dumps(row).encode() + b"\n")

    def ended(self, cell: str) -> Ended | None:
        """How the newest attempt at a cell ended; None if it never did, or was cut short itself."""
        rows = [row for row in self.rows if row["cell"] == cell]
        if not rows or rows[-1]["event"] != "ended":
            return None
        return Ended(int(rows[-1].get("status", 1)), str(rows[-1].get("message", "")))

    def open(self, cell: str) -> bool:
        """Whether the newest attempt at a cell has no end: it runs, or its study was killed."""
        rows = [row for row in self.rows if row["cell"] == cell]
        return bool(rows) and rows[-1]["event"] == "began"

    def attempts(self, cell: str) -> int:
        """How often a process of a cell has begun."""
        return sum(row["cell"] == cell and row["event"] == "began" for row in self.rows)


def _read(path: Path) -> list[dict[str, Any]]:
    rows = []
    for line in path.read_bytes().splitlines() if path.is_file() else []:
        try:
            row = json.loads(line)
        except ValueError:  # cut by a crash
            continue
        if isinstance(row, dict) and {"cell", "event"} <= row.keys():
            rows.append(row)
    return rows


def _ends_whole(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"
