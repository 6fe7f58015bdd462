"""`mjxwm pool`: the cells of a gradient study together."""

import dataclasses
from pathlib import Path

import tyro

from mjxwm import ConfigError
from mjxwm.cli.arguments.options import parse, write
from mjxwm.runs import progress


@dataclasses.dataclass(frozen=True)
class _Pool:
    cells: tyro.conf.Positional[tuple[Path, ...]]
    """Files that `mjxwm gradients --json` wrote, one for each task, stiffness, stage, seed and way
    in which the model was trained."""
    batch: int = 64
    """Samples of the means whose squared errors are compared."""
    figure: Path = Path("gradients.png")
    """The figure."""
    json: Path | None = None
    """File for its numbers."""


def pool(args: list[str]) -> int:
    """Prints tables and findings over seeds, and draws the figure."""
    options = parse(_Pool, args, "pool")
    with progress.loading():
        from mjxwm.gradients import results
        from mjxwm.gradients.pooled import analysis, cells, figure, text
    if not options.cells:
        raise ConfigError("pool needs at least one file of `mjxwm gradients --json`")
    if options.batch < 1:
        raise ConfigError(f"batch={options.batch} is out of range; it must be at least 1")
    whole = analysis.analyse(cells.read(options.cells), options.batch)
    findings = text.paragraph(whole)
    write({"findings": findings, **results.plain(whole)}, options.json)
    figure.drawing(whole, options.figure)
    print(text.tables(whole))
    print()
    print(findings)
    print(options.figure)
    return 0
