"""The page of several runs: curves with intervals over seeds, tables, what differs."""

import datetime
from collections.abc import Sequence
from pathlib import Path

from mjxwm import __version__
from mjxwm.reports.one_run import panels
from mjxwm.reports.pages import page
from mjxwm.reports.pages.page import Html
from mjxwm.reports.several_runs import figures, tables
from mjxwm.reports.several_runs.groups import Group
from mjxwm.runs import checksums


def write(groups: Sequence[Group], target: Path, title: str = "") -> Path:
    """Writes the page, in place of an earlier one.

    Raises:
        OSError: the file cannot be written.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    checksums.replace(target, render(groups, target.parent, title))
    return target


def render(groups: Sequence[Group], folder: Path, title: str = "") -> str:
    """The page.

    Args:
        groups: the runs, by configuration.
        folder: where the page will be, for its links to the pages of the runs.
        title: of the page; by default the tasks.
    """
    tasks = list(dict.fromkeys(group.task for group in groups))
    count = sum(len(group.runs) for group in groups)
    title = title or ", ".join(tasks)
    several = "configurations" if len(groups) > 1 else "configuration"
    sections = [
        ("returns", "Returns", _returns(groups, tasks)),
        ("runs", "Runs", [tables.runs(groups, folder)]),
        ("differences", "Differences", tables.differences(groups)),
        ("learning", "What happened meanwhile", _metrics(groups, tasks)),
    ]
    sections = [section for section in sections if any(section[2])]
    now = f"{datetime.datetime.now():%Y-%m-%d %H:%M}"
    body = [
        page.header(f"{title}: {count} runs", about=f"{len(groups)} {several} · {now}"),
        page.contents((name, words) for name, words, _ in sections),
        *(page.section(*section) for section in sections),
        Html(f"<footer>Written {now} by mjxwm {__version__}.</footer>"),
    ]
    return page.document(title, body)


def _returns(groups: Sequence[Group], tasks: Sequence[str]) -> list[Html]:
    parts = [tables.results(groups)]
    for task in tasks:
        of_task = [group for group in groups if group.task == task]
        parts.append(page.grid(figures.returns(of_task, task if len(tasks) > 1 else "")))
    return parts


def _metrics(groups: Sequence[Group], tasks: Sequence[str]) -> list[Html]:
    parts = []
    for task in tasks:
        of_task = [group for group in groups if group.task == task]
        drawn = [figure for spec in panels.ALL for figure in figures.metrics(of_task, spec)]
        title = page.Html(f"<h3>{page.escaped(task)}</h3>") if len(tasks) > 1 and drawn else ""
        parts += [title, page.grid(drawn)]
    return [part for part in parts if part]
