"""`mjxwm report`."""

import dataclasses
from pathlib import Path

import tyro

from mjxwm.cli.arguments.options import parse, write


@dataclasses.dataclass(frozen=True)
class _Report:
    run: tyro.conf.Positional[Path]
    """The run folder."""
    html: Path | None = None
    """The file; by default report.html in the run's folder."""
    json: Path | None = None
    """File for the result: where the page is."""


def report(args: list[str]) -> int:
    """Writes the page about a run."""
    from mjxwm import ConfigError
    from mjxwm.reports import one_run
    from mjxwm.runs import folders

    options = parse(_Report, args, "report")
    run = folders.of_any_kind(options.run)
    target = one_run.write(run, options.html)
    if target is None:
        raise ConfigError(f"{run.path} has nothing to report yet: nothing was learned in it")
    write({"run": str(run.path), "report": str(target)}, options.json)
    print(folders.quoted(target))
    return 0
