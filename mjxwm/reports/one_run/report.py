"""The page of a run: key numbers, curve and video first, then what explains them."""

from collections.abc import Callable, Iterable
from pathlib import Path

from mjxwm.reports.one_run import (
    commands,
    configuration,
    figures,
    film,
    foresight_figures,
    headline,
    machine,
    panels,
    times,
)
from mjxwm.reports.one_run import symptoms as trouble
from mjxwm.reports.one_run.material import Material, read
from mjxwm.reports.one_run.panels import Panel
from mjxwm.reports.pages import page
from mjxwm.reports.pages.page import Html
from mjxwm.runs import checksums, folders
from mjxwm.runs.folders import RunFolder

FILE = "report.html"
"""The page's name in a run's folder."""


def write(run: RunFolder, target: Path | None = None) -> Path | None:
    """Writes the page of a run, in place of an earlier one.

    Args:
        run: the run.
        target: the file; by default `report.html` in the run's folder.

    Returns:
        The file; None if nothing was learned yet that it could be about.

    Raises:
        ConfigError: the run's configuration cannot be read.
        OSError: the file cannot be written.
    """
    if not folders.learned(run.path):  # a page would keep its folder from being begun anew
        return None
    target = target or run.path / FILE
    target.parent.mkdir(parents=True, exist_ok=True)
    checksums.replace(target, render(run))
    return target


def render(run: RunFolder) -> str:
    """The page of a run.

    Raises:
        ConfigError: its configuration cannot be read.
    """
    material = read(run)
    sections = [(name, title, make(material)) for name, title, make in _SECTIONS]
    sections = [(name, title, parts) for name, title, parts in sections if any(parts)]
    body = [
        headline.header(material),
        headline.cards(material),
        page.contents((name, title) for name, title, _ in sections),
        *(page.section(*section) for section in sections),
        headline.footer(material),
    ]
    return page.document(f"{run.path.name}: {material.task}", body)


def _policy(material: Material) -> list[Html]:
    curve, video = _curve(material, *material.x), film.part(material)
    if not curve and material.algorithm != "pretrain":
        curve = page.missing("Curve", "there is no evaluation yet, and no episode has ended.")
    if not video and material.evaluations:
        reason = "none was rendered; `mjxwm eval RUN --video FILE.mp4` makes one."
        return [page.grid([curve]), page.missing("Video", reason)]
    return [page.grid([curve, video])]


def _curve(material: Material, x: str, x_name: str) -> Html:
    return page.figure(
        f"Return against {x_name}",
        figures.curve(material, x, x_name),
        "Return of an episode: the mean over the evaluated episodes, and their spread around it.",
        "a line that falls and stays down, or evaluations far from the collected episodes: without "
        "its noise the policy does something else.",
        wide=True,
    )


def _panels(specs: Iterable[Panel]) -> Callable[[Material], list[Html]]:
    def parts(material: Material) -> list[Html]:
        return [page.grid(figures.panel(material, spec) for spec in specs)]

    return parts


def _model(material: Material) -> list[Html]:
    metrics = [figures.panel(material, spec) for spec in (*panels.MODEL, *panels.IMAGINATION)]
    drawn = [page.grid([*foresight_figures.figures(material), *metrics])]
    if material.algorithm in ("pwm", "tdmpc2", "pretrain", "extract"):
        return drawn
    return [page.missing("World model", f"{material.algorithm} learns none."), *drawn]


def _time(material: Material) -> list[Html]:
    clock = "minutes, compilation included"
    curve = _curve(material, "minutes", clock) if material.x[0] == "env_steps" else Html("")
    speed = [figures.panel(material, spec) for spec in panels.SPEED]
    return [page.grid([*speed, curve]), machine.bars(times.minutes(material.rows))]


def _rest(material: Material) -> list[Html]:
    rest = figures.others(material, panels.ALL)
    return [page.details(f"{len(rest)} more", [page.grid(rest)])] if rest else []


_SECTIONS: list[tuple[str, str, Callable[[Material], list[Html]]]] = [
    ("policy", "What it learned", _policy),
    ("symptoms", "Symptoms", trouble.parts),
    ("episodes", "Episodes and rewards", _panels(panels.EPISODES)),
    ("model", "World model: imagined against real", _model),
    ("learning", "Gradients, actions, critics", _panels(panels.LEARNING)),
    ("time", "Speed and time", _time),
    ("rest", "All other metrics", _rest),
    ("configuration", "Configuration", configuration.parts),
    ("machine", "Versions and hardware", machine.parts),
    ("commands", "Commands", commands.parts),
]
