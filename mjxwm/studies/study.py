"""A study on this machine: its cells, its folder, and what commands do with them."""

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from mjxwm import ConfigError
from mjxwm.runs import locks, output, presets
from mjxwm.runs.folders import quoted
from mjxwm.studies import config as configs
from mjxwm.studies import cost, machine, plan, report
from mjxwm.studies import standing as standings
from mjxwm.studies.cells import Cell, Standing
from mjxwm.studies.config import Config
from mjxwm.studies.journal import Journal
from mjxwm.studies.machine import Slot
from mjxwm.studies.runner import Runner


class Study(NamedTuple):
    """A study that was read, and where it is kept."""

    config: Config
    folder: Path
    cells: list[Cell]
    slots: list[Slot]
    """Parts of the machine, one for each process at once."""

    @property
    def page(self) -> Path:
        """The file of its page."""
        return self.folder / report.PAGE

    @property
    def journal(self) -> Journal:
        """The attempts at its cells so far."""
        return Journal(self.folder / "journal.jsonl")


def open_study(name: str, folder: Path, jobs: int | None = None) -> Study:
    """Reads a study and plans it.

    Args:
        name: of a shipped study, or the path of a file.
        folder: where studies are kept.
        jobs: cells at once, in place of the file's number.

    Raises:
        ConfigError: the study, or a part of it, is not sound.
    """
    config = configs.load(name)
    place = folder / Path(name).stem
    if jobs is not None and jobs < 1:
        raise ConfigError(f"jobs={jobs} is out of range; it must be at least 1")
    return Study(config, place, plan.cells(config, place), machine.slots(jobs or config.jobs))


def _standings(study: Study) -> dict[str, Standing]:
    """How the cells stand; those of another process that runs the study too."""
    running: list[str] = []
    if study.folder.is_dir() and locks.busy(study.folder) and not locks.holds(study.folder):
        last = {row["cell"]: row["event"] for row in study.journal.rows}
        running = [name for name, event in last.items() if event == "began"]
    return standings.of_all(study.cells, study.journal, running)


def cost_lines(study: Study) -> Iterator[str]:
    """What the study is and what it still takes, as lines for people.

    Raises:
        ConfigError: after the lines, if cells were configured otherwise when they were begun.
    """
    config, now = study.config, _standings(study)
    yield f"study    {config.title}" + (f": {config.question}" if config.question else "")
    yield f"folder   {study.folder}"
    left = cost.left(study.cells, now, study.journal, study.folder)
    yield from cost.lines(left, len(study.slots), machine.describe(study.slots))
    standings.refuse_changed(now)


def draw(study: Study) -> dict[str, Any]:
    """Writes page and JSON of what is there, and returns the numbers.

    Raises:
        ConfigError: the study was never run here.
    """
    if not study.folder.is_dir():
        raise ConfigError(f"{study.folder} does not exist: nothing of the study was run there yet")
    return report.write(study.config, study.cells, _standings(study), study.folder)


def run(study: Study, again: bool = False) -> int:
    """Runs what is not done, and draws the page after each cell; returns the exit status.

    Args:
        study: the study.
        again: whether failed cells are tried again.

    Raises:
        ConfigError: another process runs it, or it cannot be written to.
    """
    try:
        study.folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{study.folder} cannot be made: {error.strerror}") from error
    locks.acquire(study.folder, "study")
    try:
        presets.save_yaml(study.config, study.folder / "study.yaml")
        cells, journal, folder, slots = study.cells, study.journal, study.folder, study.slots
        draw_again = functools.partial(_redraw, study)
        status = Runner(cells, journal, folder, slots, again, draw_again, output.say).run()
        if failed := [name for name, one in _standings(study).items() if one.word == "failed"]:
            print(f"failed   {len(failed)} cells, which --again tries again: {', '.join(failed)}")
        return status
    finally:
        locks.release(study.folder)


def _redraw(study: Study) -> None:
    try:
        draw(study)
    except OSError as error:
        print(f"WARNING  {quoted(study.page)} NOT WRITTEN: {error.strerror}", flush=True)
