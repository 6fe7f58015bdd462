"""`mjxwm study`."""

import dataclasses
from pathlib import Path

import tyro

from mjxwm.cli.arguments.options import parse, write
from mjxwm.runs import output, progress


@dataclasses.dataclass(frozen=True)
class _Study:
    study: tyro.conf.Positional[str]
    """Name of a shipped study, or the path of a YAML file of your own."""
    folder: Path = Path("runs/studies")
    """Where studies are kept, each in a folder with the name of its file."""
    jobs: int | None = None
    """Cells at once; by default the file's number, or one for each GPU or every two cores."""
    dry_run: bool = False
    """Say what is left to do and what it takes, and run nothing."""
    report: bool = False
    """Draw the page of what is there, also while the study runs, and run nothing."""
    again: bool = False
    """Try failed cells again."""
    json: Path | None = None
    """File for the result: the study's numbers."""
    figure: Path | None = None
    """File for its curves, as PNG, SVG or PDF; of several worlds each has a file of its own, named
    after it: curves-hopper.png for curves.png."""


def study(args: list[str]) -> int:
    """Runs what is not done of a study, and writes its page."""
    options = parse(_Study, args, "study")
    with progress.loading():
        import jax

        from mjxwm.runs import folders
        from mjxwm.studies import pictures
        from mjxwm.studies import study as studies

    jax.config.update("jax_platforms", "cpu")  # a GPU's memory is for the cells
    place = studies.open_study(options.study, options.folder, options.jobs)

    def show() -> None:
        numbers = studies.draw(place)
        print(folders.quoted(place.page))
        write(numbers, options.json)
        if options.figure is not None:
            drawn = [folders.quoted(path) for path in pictures.draw(numbers, options.figure)]
            print("\n".join(drawn) or "no figure: no run that is done was evaluated")

    if options.report:
        show()
        return 0
    for line in studies.cost_lines(place):
        print(line, flush=True) if options.dry_run else output.say(line)
    if options.dry_run:
        return 0
    status = studies.run(place, options.again)
    show()
    return status
