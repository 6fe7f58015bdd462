"""The top and the foot of a run's page: what it is of, how it stands, its key numbers."""

import datetime
from collections.abc import Iterator

from mjxwm import __version__
from mjxwm.reports.one_run.material import Material, number
from mjxwm.reports.pages import page
from mjxwm.reports.pages.page import Html
from mjxwm.reports.pages.scales import number as written


def header(material: Material) -> Html:
    """Name, state, and what learned what on which engine."""
    config, state = material.config, material.state
    parts = [material.algorithm.upper(), material.task]
    if material.algorithm != "pretrain":
        seed = config.get("seed")
        parts += [f"engine {config.get('engine', 'auto')}", f"seed {seed}"]
    if state.text:
        parts.append(state.text)
    return page.header(material.run.path.name, state.word, state.kind, " · ".join(parts))


def cards(material: Material) -> Html:
    """Key numbers; those that the run does not have are left out."""
    return page.cards(_cards(material)) if material.rows else Html("")


def _cards(material: Material) -> Iterator[tuple[str, str, str]]:
    last, evaluations = material.rows[-1], material.evaluations
    if evaluations:
        row = evaluations[-1]
        spread = number(row.get("eval/return_std"))
        note = "" if spread is None else f"± {written(spread)} over episodes"
        yield "Return, last evaluation", exact(row["eval/return"]), note
        highest = max(evaluations, key=lambda row: row["eval/return"])
        where = f"at iteration {highest['iteration']:,}"
        yield "Best evaluation", exact(highest["eval/return"]), where
        if (success := number(row.get("eval/success"))) is not None:
            yield "Success", f"{success:.0%}", "of the last evaluation's episodes"
    if steps := last.get("env_steps"):
        yield "Env steps", written(steps, 4), f"{last['iteration']:,} iterations"
    elif "updates" in last:
        yield "Updates", written(last["updates"], 4), f"{last['iteration']:,} iterations"
    if (minutes := number(last.get("minutes"))) is not None:
        yield "Time", duration(minutes), "compilation included"
    for name, unit in (("env_steps", "env steps"), ("updates", "updates")):
        rates = [number(row.get(f"perf/{name}_per_s")) for row in material.rows]
        rates = sorted(rate for rate in rates if rate)
        if rates:
            yield "Throughput", written(rates[len(rates) // 2]), f"{unit} per second, median"


def exact(value: float) -> str:
    """A return for people."""
    return f"{value:,.1f}" if abs(value) < 1e5 else written(value, 4)


def duration(minutes: float) -> str:
    """A time for people."""
    if minutes < 2:
        return f"{60 * minutes:.0f} s"
    return f"{minutes:.1f} min" if minutes < 120 else f"{minutes / 60:.1f} h"


def footer(material: Material) -> Html:
    """When the page was written, and where it is explained."""
    now = f"{datetime.datetime.now():%Y-%m-%d %H:%M}"
    text = f"Written {now} by mjxwm {__version__} from {material.run.path.name}/metrics.jsonl."
    return Html(f"<footer>{page.escaped(text)}</footer>")
