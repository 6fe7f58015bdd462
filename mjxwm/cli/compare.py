"""`mjxwm compare`."""

import dataclasses
from pathlib import Path

import tyro

from mjxwm.cli.arguments.options import parse, write
from mjxwm.runs import progress


def compare(args: list[str]) -> int:
    """Trains several algorithms on one task under equal conditions and draws their curves."""
    with progress.loading():
        from mjxwm.reports import comparison, outcome, plot
        from mjxwm.runs.folders import quoted

    @dataclasses.dataclass(frozen=True)
    class Options:
        config: tyro.conf.OmitArgPrefixes[comparison.Config] = comparison.Config()
        folder: Path = Path("runs/compare")
        """Where the runs are kept; one that is there already is not repeated."""
        out: Path = Path("comparison.png")
        """The PNG file; the page about all runs is beside it, with the suffix .html."""
        json: Path | None = None
        """File for the result."""

    options = parse(Options, args, "compare")
    done = comparison.run(options.config, options.folder)
    rows = comparison.summarize(done)
    print(comparison.table(rows))
    write([row._asdict() for row in rows], options.json)
    task = options.config.task
    print(quoted(plot.comparison(comparison.curves(done), options.out, task)))
    for one in (one for runs in done.values() for one in runs):
        outcome.page(one.run)
    print(quoted(comparison.page(done, options.out.with_suffix(".html"), task)))
    return comparison.status(done)
