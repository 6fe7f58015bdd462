"""Physics and tasks; knows nothing of learning and is usable on its own.

env = envs.make("hopper")
worlds = envs.BatchEnv(env, num_worlds=1024)
"""

import contextlib
import dataclasses
import difflib
import math
from collections.abc import Callable

from envs import engines
from envs.batch import BatchEnv, Step, Worlds
from envs.core import Env, EnvSpec, Initial, Physics, State, Task, load_model
from envs.dm_control import TASKS as DM_CONTROL
from envs.locomotion import TASKS as LOCOMOTION
from envs.myosuite import TASKS as MYOSUITE

__all__ = [
    "BatchEnv",
    "Env",
    "EnvSpec",
    "Initial",
    "Physics",
    "State",
    "Step",
    "Task",
    "Worlds",
    "make",
    "names",
    "register",
]

_TASKS: dict[str, Callable[[], Task]] = {
    **DM_CONTROL,
    **LOCOMOTION,
    **MYOSUITE,
}


def names() -> tuple[str, ...]:
    """The names that `make` knows."""
    return tuple(sorted(_TASKS))


def register(name: str, task: Callable[[], Task]) -> None:
    """Adds a task of your own under `name`.

    Raises:
        ValueError: the name is taken.
    """
    if name in _TASKS:
        raise ValueError(f"task {name!r} exists already; choose another name")
    _TASKS[name] = task


def make(name: str, engine: str = "auto", action_repeat: int = 1, **overrides: object) -> Env:
    """An environment: one world, pure.

    Args:
        name: one of `names()`.
        engine: "native", "mjx", "warp", or "auto" for the fastest here.
        action_repeat: control steps per action; rewards add up.
        overrides: values for the task's own fields, such as `episode_length=200`.

    Raises:
        ValueError: an unknown task, engine or field (the message names the nearest), or a value
            out of range.
    """
    if name not in _TASKS:
        raise ValueError(
            f"task {name!r} is unknown{nearest(name, names())}. There are: {', '.join(names())}"
        )
    if engine not in ("auto", *engines.NAMES):
        raise ValueError(
            f"engine {engine!r} is unknown{nearest(engine, engines.NAMES)}. "
            f"There are: auto, {', '.join(engines.NAMES)}"
        )
    if action_repeat < 1:
        raise ValueError(f"action_repeat={action_repeat} is out of range; it must be at least 1")
    task = _TASKS[name]()
    fields = [f.name for f in dataclasses.fields(task)]
    values = {}
    for field, value in overrides.items():
        if field not in fields:
            raise ValueError(
                f"task {name!r} has no field {field!r}{nearest(field, fields)}. "
                f"It has: {', '.join(fields)}"
            )
        values[field] = _checked(field, value, getattr(task, field))
    task = dataclasses.replace(task, **values)
    model = load_model(task)
    n_substeps = round(task.ctrl_dt / task.sim_dt)
    return Env(name, task, engines.make(engine, model, n_substeps, task.derived), action_repeat)


def _checked(field: str, value: object, default: object) -> object:
    """`value` as what the field's default is: a switch, a number, a whole number or a word."""
    kind = type(default)
    if isinstance(value, str) and kind in (int, float):
        # YAML reads 3e-2, without a point, as a word.
        with contextlib.suppress(ValueError):
            value = float(value)
    if kind in (bool, str):
        if not isinstance(value, kind):
            words = {bool: "true or false", str: "a word"}
            raise ValueError(f"{field}={value!r} is not {words[kind]}")
        return value
    if kind not in (int, float):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{field}={value!r} is not a finite number")
    if kind is int and value != int(value):
        raise ValueError(f"{field}={value} is not a whole number")
    if field in _POSITIVE and not value > 0:
        raise ValueError(f"{field}={value} is out of range; it must be above 0")
    if field == "noise" and value < 0:
        raise ValueError(f"noise={value} is out of range; it must be at least 0")
    return kind(value)


_POSITIVE = ("ctrl_dt", "sim_dt", "episode_length", "contact_time")


def nearest(name: str, known: object) -> str:
    """The words "; did you mean ...?" where something known is near `name`, else nothing."""
    close = difflib.get_close_matches(name, list(known), n=3)  # type: ignore[call-overload]
    return f"; did you mean {' or '.join(repr(c) for c in close)}?" if close else ""
