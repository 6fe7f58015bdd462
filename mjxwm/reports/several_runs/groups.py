"""Runs that differ in their seed alone, as one group with a name."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from mjxwm.reports.one_run import material
from mjxwm.reports.one_run.configuration import flat, shown
from mjxwm.reports.one_run.material import Material
from mjxwm.runs.folders import RunFolder

_SAME = {"seed", "devices", "task_folder", "data", "video", "checkpoints"}
"""Fields in which runs of a group may differ: they change no learning, but for the seed."""
_MOST = 3
"""Fields that a group's name has at most."""


class Group(NamedTuple):
    """Runs of one configuration."""

    name: str
    runs: list[Material]
    colour: int = 0
    """Number of its colour in all figures and tables."""

    @property
    def task(self) -> str:
        """Their task."""
        return self.runs[0].task


def named(groups: Mapping[str, Sequence[RunFolder]]) -> list[Group]:
    """Groups that have names already."""
    return [
        Group(name, [material.read(run) for run in runs], colour)
        for colour, (name, runs) in enumerate(groups.items())
    ]


def grouped(runs: Sequence[RunFolder]) -> list[Group]:
    """Runs by their configuration, in the order in which they are given.

    A group is called what the names of its runs begin with, where that tells groups apart; else by
    the fields in which its configuration differs from others'.
    """
    by_config: dict[str, list[Material]] = {}
    for run in runs:
        one = material.read(run)
        by_config.setdefault(json.dumps(_learning(one), sort_keys=True, default=str), []).append(
            one
        )
    members = list(by_config.values())
    names = [_common(group) for group in members]
    if len(set(names)) < len(names) or not all(names):
        names = _by_fields(members)
    pairs = zip(_distinct(names), members, strict=True)
    return [Group(name, group, colour) for colour, (name, group) in enumerate(pairs)]


def differences(groups: Sequence[Group]) -> dict[str, list[str]]:
    """Fields in which groups differ, and the value of each group."""
    configs = [_learning(group.runs[0]) for group in groups]
    return {
        name: [shown(config.get(name, "(not set)")) for config in configs]
        for name in dict.fromkeys(name for config in configs for name in config)
        if len({json.dumps(config.get(name), default=str) for config in configs}) > 1
    }


def _learning(one: Material) -> dict[str, Any]:
    return {name: value for name, value in flat(one.config).items() if name not in _SAME}


def _common(group: Sequence[Material]) -> str:
    """What the names of all runs of a group begin with, without a seed's number."""
    names = [one.run.path.name for one in group]
    if len(names) == 1:
        return names[0]
    first, last = min(names), max(names)  # what these two share, all do
    same = next((i for i, letter in enumerate(first) if last[i : i + 1] != letter), len(first))
    return re.sub(r"[-_ ]*(seed)?[-_ ]*\d*[-_ ]*$", "", first[:same])


def _by_fields(members: Sequence[Sequence[Material]]) -> list[str]:
    fields = differences([Group("", list(group)) for group in members])
    names = []
    for i, group in enumerate(members):
        parts = [f"{name.rpartition('.')[2]} {values[i]}" for name, values in fields.items()]
        more = f" and {len(parts) - _MOST} more" if len(parts) > _MOST else ""
        names.append(", ".join(parts[:_MOST]) + more or group[0].run.path.name)
    return names


def _distinct(names: Sequence[str]) -> list[str]:
    return [
        name if names.count(name) == 1 else f"{name} ({names[: i + 1].count(name)})"
        for i, name in enumerate(names)
    ]
