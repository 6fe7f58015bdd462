"""`mjxwm plot`."""

import dataclasses
from pathlib import Path

import tyro

from mjxwm import ConfigError
from mjxwm.cli.arguments.options import parse, write
from mjxwm.runs import progress


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


def plot(args: list[str]) -> int:
    """Draws the learning curves of runs."""
    options = parse(_Plot, args, "plot")
    with progress.loading():
        from mjxwm.reports import plot
        from mjxwm.runs import folders, record
    names = [path.name for path in options.runs]
    metrics_of = {  # two runs of one name in different folders are two curves
        path.name if names.count(path.name) == 1 else str(path): folders.find(path).metrics
        for path in options.runs
    }
    if not metrics_of:
        raise ConfigError("plot needs at least one run folder")
    for path in metrics_of.values():
        if not path.is_file():
            raise ConfigError(f"{path} does not exist: nothing was logged in this run yet")
        if not record.read(path):
            raise ConfigError(f"{path} has no row: there is nothing to draw")
    write({name: record.evaluations(p)[-1:] for name, p in metrics_of.items()}, options.json)
    print(plot.learning_curve(metrics_of, options.out, options.title))
    return 0
