"""Environments of a user's own, as they are registered or named by `module:attribute`."""

import inspect
import re
from collections.abc import Callable, Iterable
from typing import Any

from mjxwm_envs.core import Task

_NAME = re.compile(r"\w([\w.-]*\w)?")
_FORMS = (
    "it must be an envs.Task, a source that envs.from_gymnasium gives, a gymnasium VectorEnv, or a "
    "class or function that makes one of them or a gymnasium.Env"
)


def check_name(name: Any, suites: Iterable[str]) -> None:
    """Refuses a name that a command line, a file's name or a suite would make something else of.

    Raises:
        ValueError: it is one.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ValueError(
            f"{name!r} is no name for a task: letters, digits, and - _ . between them are"
        )
    if name in suites or name.startswith("mw-"):
        raise ValueError(f"{name!r} stands for a suite's tasks already; choose another name")


def factory(name: str, task: Any) -> Callable[[], Any]:
    """What makes the environment that `task` is or stands for.

    Raises:
        ValueError: it is another thing, or cannot be made without arguments.
    """
    kind = type(task).__name__
    if isinstance(task, type):
        if not (_steps(task) or _is_source(task) or issubclass(task, Task)):
            raise ValueError(f"{name} is the class {task.__name__}; {_FORMS}")
    elif isinstance(task, Task) or _is_source(task) or (_steps(task) and hasattr(task, "num_envs")):
        return lambda: task
    elif _steps(task):
        raise ValueError(
            f"{name} is one {kind}, and each world needs its own: give its class, or a function "
            "that makes one"
        )
    elif not callable(task):
        raise ValueError(f"{name} is {task!r}, of type {kind}; {_FORMS}")
    needed = _needed(task)
    if needed:
        raise ValueError(
            f"{name} cannot be made without arguments: it needs {', '.join(needed)}; give an "
            "envs.Task that is made already, or a function without arguments"
        )
    return task


def _is_source(thing: Any) -> bool:
    return hasattr(thing, "worlds")


def _steps(thing: Any) -> bool:
    return hasattr(thing, "reset") and hasattr(thing, "step")


def _needed(make: Callable[..., Any]) -> list[str]:
    """Arguments that have to be given."""
    try:
        parameters = inspect.signature(make).parameters.values()
    except (TypeError, ValueError):  # of what is written in C there is nothing to see
        return []
    given = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [p.name for p in parameters if p.default is p.empty and p.kind not in given]
