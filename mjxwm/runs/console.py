"""The line on the console that shows how a run goes."""

import sys
import time
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Any, TextIO

from rich.console import Console
from rich.live import Live
from rich.text import Text

from mjxwm.runs import output, symptoms
from mjxwm.runs.record import is_number


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
        if self._console.is_terminal and not output.is_quiet():
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
        """Shows a row of the record."""
        self._show(row, symptoms.symptoms(row))

    def log_means(self, rows: dict[str, dict[str, Any]]) -> None:
        """Shows one row for those of several runs by name: means, and symptoms with the name."""
        self._show(means(rows.values()), symptoms.of_each(rows))

    def _show(self, row: dict[str, Any], new: dict[str, float]) -> None:
        if output.is_quiet():
            return
        now = time.monotonic()
        self._eval = row.get("eval/return", self._eval)
        self._symptoms = symptoms.worse(self._symptoms, new)
        parts = self._parts(row, now)
        parts += [(word, 2) for word in symptoms.words(self._symptoms)]
        if self._console.is_terminal:
            line = Text(fitting(parts, self._console.width), overflow="ellipsis", no_wrap=True)
            self._live.update(line, refresh=True)
            self._symptoms = {}
        elif "eval/return" in row or now - self._last >= self._every:
            self._last = now
            self._console.print("  ".join(text for text, _ in parts))
            self._symptoms = {}

    def _parts(self, row: dict[str, Any], now: float) -> list[tuple[str, int]]:
        """What the line says, in its order; each with its rank, of which 1 matters most."""
        iteration = row["iteration"]
        self._origin = self._origin or (now, iteration)
        start, first = self._origin
        done = iteration - first
        left = (now - start) / done * (self._iterations - iteration) if done else None
        # What a row does not have is left out; what it has is shown, NaN too.
        parts = [
            (f"iteration {iteration}/{self._iterations}", 1),
            (_part("env steps {:,}", row["env_steps"] or None), 5),
            (_part("{:,.0f} steps/s", row.get("perf/env_steps_per_s") or None), 6),
            (_part("{:,.1f} updates/s", row.get("perf/updates_per_s")), 7),
            (_part("return {:.1f}", row.get("collect/return")), 4),
            (_part("evaluated {:.1f}", self._eval), 1),
            (_part("model loss {:.4f}", row.get("model/loss")), 8),
            (_part("{} left", _clock(left)), 3),
        ]
        return [(text, rank) for text, rank in parts if text]


def fitting(parts: Sequence[tuple[str, int]], width: int) -> str:
    """The parts of a line that a terminal of this width has room for, whole, the others left out.

    Args:
        parts: texts with their ranks, of which 1 matters most and stays.
        width: columns.
    """
    while True:
        line = "  ".join(text for text, _ in parts)
        least = max(rank for _, rank in parts)
        if len(line) <= width or least == 1:
            return line
        last = max(i for i, (_, rank) in enumerate(parts) if rank == least)
        parts = [part for i, part in enumerate(parts) if i != last]


def means(rows: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Means of the numbers that all of several rows have; whole ones that agree stay whole."""
    first, *others = rows
    row: dict[str, Any] = {}
    for name, value in first.items():
        values = [value, *(other.get(name) for other in others)]
        if all(v == value for v in values):
            row[name] = value
        elif all(map(is_number, values)):
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
