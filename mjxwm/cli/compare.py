"""`mjxwm plot`, `mjxwm score` and `mjxwm compare`: several runs side by side."""

import dataclasses
from pathlib import Path

import tyro

from mjxwm import ConfigError
from mjxwm.cli.options import parse, write


@dataclasses.dataclass(frozen=True)
class _Plot:
    runs: tyro.conf.Positional[tuple[Path, ...]]
    """Run folders."""
    out: Path = Path("curves.png")
    """The PNG file."""
    title: str = ""
    """Title of the figure."""
    json: Path | None = None
    """File for the result: the final evaluation of each run."""


@dataclasses.dataclass(frozen=True)
class _Score:
    runs: tyro.conf.Positional[tuple[Path, ...]]
    """Run folders."""
    reference: tuple[Path, ...] = ()
    """Run folders of PPO, whose mean end return on a task is the unit; by default those among the
    runs."""
    json: Path | None = None
    """File for the result: scores and aggregates."""


def plot(args: list[str]) -> int:
    """Draws the learning curves of runs."""
    from mjxwm.reports import plot
    from mjxwm.runs import folders, record

    options = parse(_Plot, args, "plot")
    names = [path.name for path in options.runs]
    found = {  # two runs of one name in different folders are two curves
        path.name if names.count(path.name) == 1 else str(path): folders.find(path).metrics
        for path in options.runs
    }
    if not found:
        raise ConfigError("plot needs at least one run folder")
    for path in found.values():
        if not path.is_file():
            raise ConfigError(f"{path} does not exist: nothing was logged in this run yet")
        if not record.read(path):
            raise ConfigError(f"{path} has no row: there is nothing to draw")
    write({name: record.evaluations(p)[-1:] for name, p in found.items()}, options.json)
    print(plot.learning_curve(found, options.out, options.title))
    return 0


def score(args: list[str]) -> int:
    """Prints runs' returns in units of PPO's."""
    from mjxwm.reports import scores
    from mjxwm.runs import folders

    options = parse(_Score, args, "score")
    if not options.runs:
        raise ConfigError("score needs at least one run folder")
    ends, references = (
        scores.distinguish([scores.read(folders.find(path)) for path in paths])
        for paths in (options.runs, options.reference)
    )
    scored = scores.score(ends, references)
    aggregates = scores.aggregate(scored)
    print(scores.table(scored, aggregates))
    rows = [{**s.end._asdict(), "reference": s.reference, "score": s.score} for s in scored]
    write({"scores": rows, "aggregates": [a._asdict() for a in aggregates]}, options.json)
    return 0


def compare(args: list[str]) -> int:
    """Trains several algorithms on one task under equal conditions and draws their curves."""
    from mjxwm.reports import comparison, plot

    @dataclasses.dataclass(frozen=True)
    class Options:
        config: tyro.conf.OmitArgPrefixes[comparison.Config] = comparison.Config()
        folder: Path = Path("runs/compare")
        """Where the runs are kept; one that is there already is not repeated."""
        out: Path = Path("comparison.png")
        """The PNG file."""
        json: Path | None = None
        """File for the result."""

    options = parse(Options, args, "compare")
    done = comparison.run(options.config, options.folder)
    rows = comparison.summarize(done)
    print(comparison.table(rows))
    write([row._asdict() for row in rows], options.json)
    print(plot.comparison(comparison.curves(done), options.out, options.config.task))
    return 0
