"""A run's configuration: what differs from its preset first, then all of it."""

import contextlib
from typing import Any

from mjxwm import ConfigError
from mjxwm.reports.one_run.material import Material
from mjxwm.reports.pages import page
from mjxwm.reports.pages.page import Html
from mjxwm.runs import presets
from mjxwm.runs.config import Config

_WHERE = ("task_folder", "algorithm_folder", "data")
"""Fields that say where something is, not what is learned."""


def parts(material: Material) -> list[Html]:
    """A table of what differs from the preset, and the whole configuration, folded."""
    fields = flat(material.config)
    name, base = _preset(material)
    whole = page.details(
        f"All {len(fields)} fields",
        [page.table(("field", "value"), ((k, shown(v)) for k, v in fields.items()), "words")],
    )
    if base is None:
        why = "there is none of this algorithm to compare it with; all fields are below."
        return [page.missing("Preset", why), whole]
    rows = differences(base, fields)
    words = f"Preset {name}" if material.system.get("preset") else f"Nearest preset, {name}"
    if not rows:
        return [page.paragraph(f"{words}: nothing differs."), whole]
    count = f"{len(rows)} field{'s' * (len(rows) > 1)} differ" + "s" * (len(rows) == 1)
    head = ("field", f"preset {name}", "this run")
    return [page.paragraph(f"{words}: {count}."), page.table(head, rows, "words"), whole]


def flat(values: Any, name: str = "") -> dict[str, Any]:
    """Nested values by their dotted names."""
    if not isinstance(values, dict) or not values:
        return {name: values} if name else {}
    fields: dict[str, Any] = {}
    for key, value in values.items():
        fields |= flat(value, f"{name}.{key}" if name else str(key))
    return fields


def differences(one: dict[str, Any], other: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Fields in which two configurations differ, and the value of each."""
    return [
        (name, shown(one.get(name, "(not set)")), shown(other.get(name, "(not set)")))
        for name in dict.fromkeys([*one, *other])
        if one.get(name) != other.get(name) and name not in _WHERE
    ]


def shown(value: Any) -> str:
    """A value for people."""
    if isinstance(value, list | tuple):
        return ", ".join(map(shown, value)) or "(empty)"
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "(none)"}[value]
    if isinstance(value, dict) and not value:
        return "(empty)"
    return f"{value:,}" if isinstance(value, int) and abs(value) >= 10_000 else str(value)


def _preset(material: Material) -> tuple[str, dict[str, Any] | None]:
    """The preset that a run began with, or the one of its algorithm that is nearest to it."""
    fields, kept = flat(material.config), material.system.get("preset")
    names = [kept] if isinstance(kept, str) else presets.preset_names()
    candidates = {}
    for name in names:
        with contextlib.suppress(ConfigError, OSError):  # a user's file that is gone since
            preset = presets.load_preset(Config, name)
            if preset.algorithm == material.algorithm:
                candidates[name] = flat(presets.to_dict(preset))
    if not candidates:
        return "", None
    nearest = min(candidates, key=lambda name: len(differences(candidates[name], fields)))
    return nearest, candidates[nearest]
