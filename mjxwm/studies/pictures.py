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

    Runs that are done, and those that failed, whose last evaluation stands for what would follow.

    Args:
        numbers: of `results.document`.
        target: the file; of several worlds each has one of its own, named after it.

    Returns:
        The files, one for each world that has such a run.
    """
    colours = {
        name: i for i, name in enumerate(dict.fromkeys(r["method"] for r in numbers["runs"]))
    }
    runs = [r for r in numbers["runs"] if r["state"] in ("done", "failed") and r["curve"]["return"]]
    worlds = list(dict.fromkeys(run["world"] for run in runs))
    drawn = []
    for world in worlds:
        in_world = [run for run in runs if run["world"] == world]
        ends = {axis: max(run["curve"][axis][-1] for run in in_world) for axis in _AXES}
        groups: dict[str, list[dict[str, Any]]] = {}
        for run in in_world:
            groups.setdefault(run["method"], []).append(_curve(run, ends))
        path = target
        if len(worlds) > 1:
            path = target.with_name(f"{target.stem}-{_file_name(world)}{target.suffix}")
        drawn.append(plot.comparison(groups, path, world, colours=colours))
    return drawn


def _curve(run: Mapping[str, Any], ends: Mapping[str, float]) -> dict[str, Any]:
    """Returns and where they were; of a run that failed up to where the others end."""
    longer = run["state"] == "failed"
    curve = {
        words: np.array([*run["curve"][axis], *([ends[axis]] if longer else [])], float)
        for axis, words in _AXES.items()
    }
    returns = run["curve"]["return"]
    return {**curve, "return": np.array([*returns, *(returns[-1:] if longer else [])])}


def _file_name(world: str) -> str:
    """A world's name within that of a file: `hopper, 5ms` is another one than `hopper-5ms`."""
    return "".join(x if x.isalnum() or x in "._" else "-" for x in world)
