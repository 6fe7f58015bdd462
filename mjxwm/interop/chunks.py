"""TD-MPC2's data: chunks of its 30 and its 80 tasks, as rows of our data sets.

A chunk is a TensorDict [N, T]: obs [N, T, o], action [N, T, a], reward [N, T] and task [N, T], with
T = 501 for the 30 tasks and 101 for the 80. Row t holds the observation, and the action and reward
that *led* to it: those of row 0 are not numbers. Here an action stands with the observation that it
was taken in. The 80 tasks' rows of dm_control are fifths of episodes: where one stops, nothing has
ended. No row has a termination.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from mjxwm.data import Rows, TaskInfo
from mjxwm.interop.files import array, load, mappings

_BLOCK = 2_000
"""Sequences read at a time: the file may be larger than memory."""
_LAST = 2 | 4
"""Flags of a sequence's last row: nothing was done in it, and another sequence follows."""


def read_chunk(path: Path, tasks: tuple[TaskInfo, ...]) -> Iterator[tuple[int, Rows]]:
    """The rows of a chunk that `check_chunk` passed, task by task, without their padding.

    Args:
        path: the file.
        tasks: the set that it is of.

    Yields:
        A task's number and some of its sequences.

    Raises:
        ValueError: it is no such chunk, or of another set.
    """
    arrays = _arrays(path, load(path))
    task = arrays["task"][:, 0].astype(int)
    for number in np.unique(task):
        places = np.flatnonzero(task == number)
        for start in range(0, len(places), _BLOCK):
            block = places[start : start + _BLOCK]
            yield int(number), _rows(arrays, block, tasks[number])


def check_chunk(path: Path, tasks: tuple[TaskInfo, ...]) -> None:
    """Reads all of a chunk once.

    Raises:
        ValueError: it is no such chunk, or of another set.
    """
    _check(path, _arrays(path, load(path)), tasks)


def _arrays(path: Path, loaded: Any) -> dict[str, np.ndarray]:
    names = ("obs", "action", "reward", "task")
    for mapping in mappings(loaded):
        if all(hasattr(mapping.get(name), "numpy") for name in names):
            return {name: array(path, name, mapping[name]) for name in names}
    raise ValueError(f"{path}: not a chunk of TD-MPC2's data, which has tensors {', '.join(names)}")


def _check(path: Path, arrays: dict[str, np.ndarray], tasks: tuple[TaskInfo, ...]) -> None:
    obs_size = max(task.obs_size for task in tasks)
    action_size = max(task.action_size for task in tasks)
    count, length = arrays["reward"].shape[:2]
    expected = {
        "obs": (count, length, obs_size),
        "action": (count, length, action_size),
        "reward": (count, length),
        "task": (count, length),
    }
    for name, shape in expected.items():
        array = arrays[name]
        if array.shape != shape:
            raise ValueError(
                f"{path}: {name} has the shape {array.shape}; {shape} was expected of a chunk of "
                f"{len(tasks)} tasks"
            )
        kind = "iu" if name == "task" else "f"
        if array.dtype.kind not in kind:
            kind_words = "whole numbers" if name == "task" else "floating-point numbers"
            raise ValueError(f"{path}: {name} is of {array.dtype}; {kind_words} were expected")
    if length < 2:
        raise ValueError(f"{path}: sequences of {length} rows hold no step")
    task = arrays["task"][:, 0].astype(int)
    if (arrays["task"] != task[:, None]).any():
        raise ValueError(f"{path}: the task changes within a sequence")
    if task.min(initial=0) < 0 or task.max(initial=0) >= len(tasks):
        raise ValueError(
            f"{path}: task {task.max()} is not of a set of {len(tasks)}; is it a chunk of another?"
        )
    for start in range(0, count, _BLOCK):
        block = slice(start, start + _BLOCK)
        for name in ("obs", "action", "reward"):
            # Nothing led to the first observation.
            part = arrays[name][block] if name == "obs" else arrays[name][block, 1:]
            if not np.isfinite(part).all():
                raise ValueError(f"{path}: {name} holds numbers that are not finite")


def _rows(arrays: dict[str, np.ndarray], places: np.ndarray, task: TaskInfo) -> Rows:
    obs = arrays["obs"][places, :, : task.obs_size].astype(np.float32)
    action = np.zeros((*obs.shape[:2], task.action_size), np.float32)
    action[:, :-1] = arrays["action"][places, 1:, : task.action_size]
    reward = np.zeros(obs.shape[:2], np.float32)
    reward[:, :-1] = arrays["reward"][places, 1:]
    flags = np.zeros(obs.shape[:2], np.uint8)
    flags[:, -1] = _LAST
    return Rows(
        obs.reshape(-1, task.obs_size),
        action.reshape(-1, task.action_size),
        reward.reshape(-1),
        flags.reshape(-1),
    )
