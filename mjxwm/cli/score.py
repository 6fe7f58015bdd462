"""`mjxwm score`."""

import dataclasses
from pathlib import Path
from typing import Any

import tyro

from mjxwm import ConfigError
from mjxwm.cli.arguments.options import parse, write
from mjxwm.runs import progress


@dataclasses.dataclass(frozen=True)
class _Score:
    runs: tyro.conf.Positional[tuple[Path, ...]]
    """Run folders."""
    reference: tuple[Path, ...] = ()
    """Run folders of PPO, whose mean end return on a task is the unit; by default those among the
    runs."""
    json: Path | None = None
    """File for the result: scores and aggregates."""


def score(args: list[str]) -> int:
    """Prints runs' returns in units of PPO's."""
    options = parse(_Score, args, "score")
    with progress.loading():
        from mjxwm.reports import scores
        from mjxwm.runs import folders
    if not options.runs:
        raise ConfigError("score needs at least one run folder")
    ends, references = (
        scores.distinguish([scores.read(folders.find(path)) for path in paths])
        for paths in (options.runs, options.reference)
    )
    scored = scores.score(ends, references)
    aggregates = scores.aggregate(scored)
    print(scores.table(scored, aggregates))
    rows = [{**_plain(s.end), "reference": s.reference, "score": s.score} for s in scored]
    write({"scores": rows, "aggregates": [a._asdict() for a in aggregates]}, options.json)
    return 0


def _plain(end: Any) -> dict[str, Any]:
    """A run's result as JSON has it, where the configuration has been called settings."""
    return {"settings" if k == "config" else k: v for k, v in end._asdict().items()}
