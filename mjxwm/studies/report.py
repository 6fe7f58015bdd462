"""The page and the JSON of a study, drawn of what its folder holds, also while it runs."""

import datetime
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mjxwm import __version__
from mjxwm.reports.pages import page
from mjxwm.reports.pages.page import Html
from mjxwm.runs import checksums, json_rows
from mjxwm.studies import figures, results, tables
from mjxwm.studies.cells import Cell, Standing
from mjxwm.studies.config import Config

PAGE, NUMBERS = "study.html", "study.json"
"""Names of the files in a study's folder."""


def write(
    study: Config, cells: Sequence[Cell], standings: Mapping[str, Standing], folder: Path
) -> dict[str, Any]:
    """Writes both in place of earlier ones, and returns the numbers.

    Raises:
        OSError: they cannot be written.
    """
    numbers = results.document(study, cells, standings, folder)
    plain = json_rows.plain(numbers)
    checksums.replace(folder / NUMBERS, json.dumps(plain, indent=1, allow_nan=False) + "\n")
    checksums.replace(folder / PAGE, render(numbers))
    return numbers


def render(numbers: dict[str, Any]) -> str:
    """The page of a study's numbers."""
    runs, total = numbers["runs"], sum(numbers["cells"].values())
    done = numbers["cells"].get("done", 0)
    methods = list(dict.fromkeys(run["method"] for run in runs))
    colours = {name: i for i, name in enumerate(methods)}
    troubled = [*runs, *numbers["gradients"]]
    sections = [
        ("failures", "What failed or was stopped", tables.failures(troubled)),
        ("over-all", "Over all worlds", _over_all(numbers, methods, colours)),
        *_worlds(numbers, methods, colours),
        ("gradients", "Gradients", tables.gradients(numbers["gradients"])),
        ("runs", "Runs", [tables.runs(runs)]),
    ]
    sections = [section for section in sections if any(section[2])]
    words = ", ".join(f"{count} {word}" for word, count in numbers["cells"].items())
    badge = ("complete", "good") if done == total else (f"{done} of {total} done", "plain")
    now = f"{datetime.datetime.now():%Y-%m-%d %H:%M}"
    footer = Html(f"<footer>Written {now} by mjxwm {__version__}.</footer>")
    body = [
        page.header(numbers["title"], *badge, about=f"{total} cells: {words}"),
        page.paragraph(numbers["question"]) if numbers["question"] else Html(""),
        page.contents((name, words) for name, words, _ in sections),
        *(page.section(*section) for section in sections),
        figures.of_clock(footer),
    ]
    return page.document(numbers["title"], body)


def _over_all(
    numbers: dict[str, Any], methods: Sequence[str], colours: dict[str, int]
) -> list[Html]:
    if numbers["statistics"]:
        return [page.missing("IQM and probability of improvement", numbers["statistics"])]
    worlds = dict.fromkeys(run["world"] for run in numbers["runs"])
    name = "all" if len(worlds) > 1 else next(iter(worlds), "")
    rows = [row for row in numbers["improvement"] if row["world"] == name]
    parts = tables.over_worlds(numbers["over_worlds"], colours)
    if rows:
        text = (
            "How likely a run of a row's method returns more than one of a column's, with 95 % "
            "intervals over seeds:"
        )
        parts += [page.paragraph(text), tables.improvement(rows, methods)]
    if numbers["over_worlds"]:
        parts.append(figures.profiles(numbers["over_worlds"], colours))
    if parts:
        parts.append(page.paragraph(_STATISTICS, "note"))
    return parts


_STATISTICS = (
    "Interquartile means (IQM), probabilities and profiles are rliable's (Agarwal et al. 2021), "
    "with 2,000 bootstrap draws stratified by world. A run that failed counts with its last "
    "evaluation; one that failed before any is left out and named above."
)


def _worlds(
    numbers: dict[str, Any], methods: Sequence[str], colours: dict[str, int]
) -> list[tuple[str, str, list[Html]]]:
    """A section for each world."""
    sections = []
    worlds = list(dict.fromkeys(run["world"] for run in numbers["runs"]))
    for i, world in enumerate(worlds):
        runs = [run for run in numbers["runs"] if run["world"] == world]
        rows = [row for row in numbers["by_world"] if row["world"] == world]
        parts = [
            *tables.results(rows, colours, numbers["units"][world]),
            page.grid(figures.curves(runs, colours)),
        ]
        better = [row for row in numbers["improvement"] if row["world"] == world]
        if better and len(worlds) > 1:
            table = tables.improvement(better, methods)
            parts.append(page.details("Probabilities of improvement here", [table]))
        sections.append((f"world-{i}", world, parts))
    return sections
