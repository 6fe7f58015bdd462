"""The record of a run (`metrics.jsonl`) and its console line."""

import json
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, TextIO

from rich.console import Console
from rich.live import Live
from rich.text import Text


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
            rows = [row for row in read(path) if row["iteration"] <= resume_at]
            path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        self._path = path

    def log(self, row: dict[str, Any]) -> None:
        """See `Tracker`. Floats are kept to six digits."""
        short = {k: float(f"{v:.6g}") if isinstance(v, float) else v for k, v in row.items()}
        with self._path.open("a") as file:
            file.write(json.dumps(short) + "\n")


def read(path: Path) -> list[dict[str, Any]]:
    """The rows of a record. A last line cut short by a crash is left out."""
    rows = []
    for line in path.read_text().splitlines():
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return rows


class ConsoleLine:
    """One live line on a terminal; plain lines, at most one in `every` seconds, elsewhere."""

    def __init__(self, iterations: int, every: float = 10.0, file: TextIO | None = None):
        """`iterations` is the run's total, for the time left."""
        self._console = Console(file=file or sys.stdout, highlight=False, soft_wrap=True)
        self._live = Live(console=self._console, auto_refresh=False, transient=False)
        self._iterations, self._every = iterations, every
        self._last, self._eval = -every, float("nan")
        self._origin: tuple[float, int] | None = None

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
        now = time.monotonic()
        self._eval = row.get("eval/return", self._eval)
        text = self._line(row, now)
        if self._console.is_terminal:
            self._live.update(Text(text), refresh=True)
        elif "eval/return" in row or now - self._last >= self._every:
            self._last = now
            self._console.print(text)

    def _line(self, row: dict[str, Any], now: float) -> str:
        iteration = row["iteration"]
        self._origin = self._origin or (now, iteration)
        start, first = self._origin
        done = iteration - first
        left = (now - start) / done * (self._iterations - iteration) if done else float("nan")
        parts = [
            f"iteration {iteration}/{self._iterations}",
            f"env steps {row['env_steps'] or float('nan'):,}",
            f"{row.get('perf/env_steps_per_s') or float('nan'):,.0f} steps/s",
            f"{row.get('perf/updates_per_s', float('nan')):,.1f} updates/s",
            f"return {row.get('collect/return', float('nan')):.1f}",
            f"evaluated {self._eval:.1f}",
            f"model loss {row.get('model/loss', float('nan')):.4f}",
            f"{_clock(left)} left",
        ]
        return "  ".join(part for part in parts if "nan" not in part)


def _clock(seconds: float) -> str:
    if seconds != seconds:
        return "nan"
    minutes, seconds = divmod(int(seconds), 60)
    return (
        f"{minutes // 60}:{minutes % 60:02d}:{seconds:02d}"
        if minutes >= 60
        else f"{minutes}:{seconds:02d}"
    )
