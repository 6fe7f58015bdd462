"""What a study asks of a cell, of whatever kind it is, and the files of those that are no runs."""

import json
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

from mjxwm.runs import checksums, json_rows

Word = Literal["done", "running", "stopped", "failed", "changed", "waiting"]
"""How a cell stands: `stopped` ones go on when the study is started again, `failed` ones with
`--again`, and `changed` ones, which were configured otherwise, are refused."""


class Standing(NamedTuple):
    """How a cell stands."""

    word: Word
    why: str = ""
    """Why it failed, or how its configuration differs from the study's."""


class Cost(NamedTuple):
    """What a cell still takes, as far as that is known before it runs."""

    env_steps: int = 0
    minutes: float | None = None
    """Wall-clock time at most; None if nothing limits it."""
    size: int = 0
    """Disk that its result takes [bytes]."""
    peak: int = 0
    """Disk that it takes while it runs [bytes]."""


class Cell(Protocol):
    """A part of a study's work, in a process of its own.

    A kind of cell is a class with these; `training.TrainCell` and `gradients.GradientCell` are.
    """

    @property
    def kind(self) -> str:
        """Name of the kind."""
        ...

    @property
    def name(self) -> str:
        """Its name, which is that of its files; no other cell has it."""
        ...

    @property
    def task(self) -> str:
        """Name of the task."""
        ...

    @property
    def algorithm(self) -> str:
        """Name of the algorithm in the study."""
        ...

    @property
    def variant(self) -> str:
        """Name of the variant; empty where the study has no variants."""
        ...

    @property
    def seed(self) -> int:
        """Its seed, or the first of several."""
        ...

    @property
    def needs(self) -> tuple[str, ...]:
        """Names of the cells that are done before it begins."""
        ...

    def standing(self) -> Standing:
        """How it stands by its files alone: done, changed, stopped where it has begun, or waiting.

        It is done where a whole result of this configuration is there.
        """
        ...

    def cost(self) -> Cost:
        """What it takes from now on."""
        ...

    def command(self) -> list[str]:
        """Arguments of `mjxwm` that begin it or go on with it. What they write counts once it is
        whole."""
        ...

    def finish(self) -> None:
        """Called once its process has ended with status 0."""
        ...

    def busy(self) -> bool:
        """Whether a process of before still writes its files, as one that saves its run."""
        ...


class ResultFile(NamedTuple):
    """The result of a cell that is no run: `NAME.json`, with the configuration that it is of.

    The process writes its numbers to `partial`; `keep` makes the result of it, whole or not at all.
    """

    path: Path

    @property
    def partial(self) -> Path:
        """Where the process writes to."""
        return self.path.with_suffix(".partial")

    def keep(self, config: dict[str, Any]) -> None:
        """Puts what the process has written into its place, beside the configuration.

        Where that has happened already nothing is done.

        Raises:
            OSError, ValueError: it is not there, is no JSON, or the disk is full.
        """
        kept = None if self.partial.is_file() else self.read()
        if kept is not None and kept["config"] == config:
            return
        numbers = json.loads(self.partial.read_text(encoding="utf-8"))
        whole = {"config": config, "result": numbers}
        checksums.replace(self.path, json.dumps(json_rows.plain(whole), indent=1) + "\n")
        self.partial.unlink(missing_ok=True)

    def read(self) -> dict[str, Any] | None:
        """Its `config` and `result`; None if there is no result, or none that can be read."""
        try:
            values = json.loads(self.path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return values if isinstance(values, dict) and "config" in values else None
