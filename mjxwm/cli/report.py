"""`mjxwm report`."""

import dataclasses
from pathlib import Path

import tyro

from mjxwm import ConfigError
from mjxwm.cli.arguments.options import parse, write
from mjxwm.runs import progress


@dataclasses.dataclass(frozen=True)
class _Report:
    runs: tyro.conf.Positional[tuple[Path, ...]]
    """Run folders: one has a page of its own, several are compared."""
    html: Path | None = None
    """The file; by default report.html in the run's folder, and comparison.html here for several
    runs."""
    measure: bool = True
    """Measure how far model and critics see, where the run's folder does not say it yet: that takes
    half a minute, for episodes of the run's policy."""
    title: str = ""
    """Title of the page of several runs; by default their tasks."""
    json: Path | None = None
    """File for the result: where the page is."""


def report(args: list[str]) -> int:
    """Writes the page about a run, or one that compares several."""
    with progress.loading():
        from mjxwm.runs import folders

    options = parse(_Report, args, "report")
    runs = [folders.of_any_kind(path) for path in options.runs]
    if not runs:
        raise ConfigError("report needs at least one run folder")
    target = _page(runs, options)
    write({"runs": [str(run.path) for run in runs], "report": str(target)}, options.json)
    print(folders.quoted(target))
    return 0


def _page(runs: list, options: _Report) -> Path:
    from mjxwm.reports import one_run, outcome, several_runs
    from mjxwm.reports.one_run import foresight
    from mjxwm.runs import folders

    if len(runs) == 1:
        trained = folders.kind(runs[0]) == "training" and folders.learned(runs[0].path)
        if options.measure and trained and not foresight.read(runs[0]):
            with progress.step("looks    how far model and critics see"):
                outcome.look_ahead(runs[0])
        target = one_run.write(runs[0], options.html)
        if target is None:
            path = runs[0].path
            raise ConfigError(f"{path} has nothing to report yet: nothing was learned in it")
        return target
    paths = [run.path.resolve() for run in runs]
    for run, path in zip(runs, paths, strict=True):
        if paths.count(path) > 1:
            raise ConfigError(f"run {run.path} is given twice")
    target = options.html or Path("comparison.html")
    return several_runs.write(several_runs.grouped(runs), target, options.title)
