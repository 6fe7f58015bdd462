"""What a run ran on, and what its time went into."""

from collections.abc import Mapping
from typing import Any

from mjxwm.reports.one_run.headline import duration
from mjxwm.reports.one_run.material import Material
from mjxwm.reports.pages import page
from mjxwm.reports.pages.page import Html

_ORDER = ("commit", "devices", "cpu", "cores", "platform", "python")


def parts(material: Material) -> list[Html]:
    """Versions and hardware at the run's begin."""
    system = material.system
    if not system:
        return [page.missing("Versions", "the run's folder has no system.json.")]
    rows = [(name, _words(system[name])) for name in _ORDER if system.get(name) is not None]
    packages = [(name, words) for name, words in (system.get("packages") or {}).items() if words]
    tables = [page.table(("as the run began", ""), rows, "words")]
    tables += [page.table(("package", "version"), packages, "words")] if packages else []
    return [page.grid(tables)]


def _words(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def bars(minutes: Mapping[str, float]) -> Html:
    """A bar of what a time went into, each part in its colour."""
    total = sum(minutes.values())
    if not total:
        return page.missing("Where the time went", "the record is too short to say.")
    parts = [(name, spent, i) for i, (name, spent) in enumerate(minutes.items()) if spent > 0]
    spans = "".join(
        f'<span class="c{i}" style="width:{100 * spent / total:.2f}%"></span>'
        for _, spent, i in parts
    )
    words = "".join(
        f'<li><i class="c{i}"></i>{name}: {duration(spent)} ({spent / total:.0%})</li>'
        for name, spent, i in parts
    )
    caption = page.caption(
        "Where the time went, by the times and rates of the record's rows.",
        "a long start of a short run (programs that are compiled are kept for the next one), or "
        "evaluations that take more than a fifth: fewer of them, or fewer episodes.",
    )
    return Html(
        f'<figure><h3>Where the time went</h3><ul class="legend">{words}</ul>'
        f'<div class="bars">{spans}</div>{caption}</figure>'
    )
