"""Learning curves of a study as picture files, for a paper or a README."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mjxwm.reports import plot

_AXES = {
    "env_steps": "env steps, all worlds",
    "minutes": "minutes, compilation included",
}


def draw(numbers: Mapping[str, Any], target: Path) -> list[Path]:
    """Draws mean returns over seeds, with 95 % bootstrap intervals, against env steps and minutes.

    Args:
        numbers: of `results.document`.
        target: the file; of several worlds each has one of its own, named after it.

    Returns:
        The files, one for each world in which a run was evaluated.
    """
    runs = [run for run in numbers["runs"] if run["curve"]["return"]]
    worlds = list(dict.fromkeys(run["world"] for run in runs))
    drawn = []
    for world in worlds:
        groups: dict[str, list[dict[str, Any]]] = {}
        for run in runs:
            if run["world"] == world:
                groups.setdefault(run["method"], []).append(_curve(run))
        path = target
        if len(worlds) > 1:
            path = target.with_name(f"{target.stem}-{_file_name(world)}{target.suffix}")
        drawn.append(plot.comparison(groups, path, world))
    return drawn


def _curve(run: Mapping[str, Any]) -> dict[str, Any]:
    axes = {words: np.asarray(run["curve"][axis], float) for axis, words in _AXES.items()}
    return {**axes, "return": np.asarray(run["curve"]["return"])}


def _file_name(world: str) -> str:
    """A world's name, such as `hopper, 5ms` or `dmc/walk`, within that of a file."""
    return "".join(x if x.isalnum() or x in "._" else "-" for x in world.replace(", ", "-"))
