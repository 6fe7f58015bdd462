"""What users bring: environments, registered or imported; anything else as `module:attribute`."""

import contextlib
import importlib
import inspect
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from mjxwm_envs.fields import nearest
from mjxwm_envs.task import Task

_NAME = re.compile(r"\w([\w.-]*\w)?")
_FORMS = (
    "it must be an envs.Task, a source that envs.from_gymnasium gives, a gymnasium VectorEnv, or a "
    "class or function that makes one of them or a gymnasium.Env"
)


def check_name(name: Any, suites: Iterable[str]) -> None:
    """Refuses a name that could be misread: on a command line, as a file's name, as a suite.

    Raises:
        ValueError: it could be.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ValueError(
            f"{name!r} is no name for a task: letters, digits, and - _ . between them are"
        )
    if name in suites or name.startswith("mw-"):
        raise ValueError(f"{name!r} stands for a suite's tasks already; choose another name")


def factory(name: str, task: Any) -> Callable[[], Any]:
    """A function without arguments that returns the environment.

    Args:
        name: for error messages.
        task: a `Task`, `Source` or `VectorEnv`, or a class or function that makes one of these or
            a `gymnasium.Env`.

    Raises:
        ValueError: it is something else, or cannot be called without arguments.
    """
    kind = type(task).__name__
    if isinstance(task, type):
        if not (_has_steps(task) or is_source(task) or issubclass(task, Task)):
            raise ValueError(f"{name} is the class {task.__name__}; {_FORMS}")
    elif (
        isinstance(task, Task)
        or is_source(task)
        or (_has_steps(task) and hasattr(task, "num_envs"))
    ):
        return lambda: task
    elif _has_steps(task):
        raise ValueError(
            f"{name} is one {kind}, and each world needs its own: give its class, or a function "
            "that makes one"
        )
    elif not callable(task):
        raise ValueError(f"{name} is {task!r}, of type {kind}; {_FORMS}")
    arguments = _required_arguments(task)
    if arguments:
        raise ValueError(
            f"{name} cannot be made without arguments: it needs {', '.join(arguments)}; give an "
            "envs.Task that is made already, or a function without arguments"
        )
    return task


def is_source(candidate: Any) -> bool:
    """Whether it is a `Source`, or a class of sources."""
    return hasattr(candidate, "spec") and hasattr(candidate, "batch")


def imported_factory(module: str, attribute: str) -> Callable[[], Any]:
    """`factory` of `module:attribute`, see `imported`.

    Raises:
        ValueError: as `imported`; or it is no task.
    """
    return factory(f"{module}:{attribute}", imported(module, attribute))


def imported(module: str, attribute: str) -> Any:
    """What `module:attribute` stands for, also from the current folder, as `python -m` imports.

    Raises:
        ValueError: there is no such module or attribute, or it cannot be imported.
    """
    if module.endswith(".py") or "/" in module:
        name = module.removesuffix(".py").rpartition("/")[2]
        where = f" in the folder {module.rpartition('/')[0]}" if "/" in module else ""
        raise ValueError(
            f"{module}:{attribute}: a module is named as in Python, without folder and .py: "
            f"{name}:{attribute}{where}"
        )
    path = list(sys.path)
    sys.path[:0] = [*_first_folders, str(Path.cwd())]
    try:
        return _attribute(importlib.import_module(module), attribute)
    except ModuleNotFoundError as error:
        raise ValueError(_import_message(module, attribute, error.name or "")) from error
    except (ImportError, AttributeError) as error:
        raise ValueError(f"{module}:{attribute}: {error}") from error
    except (Exception, SystemExit, GeneratorExit) as error:  # whatever a user's module may raise
        what = f"{type(error).__name__}: {error}"
        raise ValueError(f"{module}:{attribute} cannot be imported: {what}") from error
    finally:
        sys.path[:] = path


def _attribute(module: Any, name: str) -> Any:
    if not hasattr(module, name):
        tasks = [key for key, value in vars(module).items() if _is_task_class(value)]
        listed = f". Its tasks are: {', '.join(tasks)}" if tasks else ""
        raise AttributeError(
            f"module {module.__name__!r} has no attribute {name!r}{nearest(name, tasks)}{listed}"
        )
    return getattr(module, name)


def _is_task_class(value: Any) -> bool:
    return isinstance(value, type) and issubclass(value, Task) and value is not Task


@contextlib.contextmanager
def search_first(folder: str | None) -> Iterator[None]:
    """Context in which the user's own modules are searched for in this folder first."""
    before = list(_first_folders)
    _first_folders[:] = [folder] if folder else []
    try:
        yield
    finally:
        _first_folders[:] = before


_first_folders: list[str] = []


def folder_of(name: str) -> str | None:
    """The folder that the module of `module:attribute` was imported from.

    None for other names, and for an installed module, which can be imported from everywhere.
    """
    root = sys.modules.get(name.rsplit(":", 1)[0].split(".")[0]) if ":" in name else None
    file = getattr(root, "__file__", None)
    if file is None:
        return None
    folder = Path(file).resolve().parents[1 if hasattr(root, "__path__") else 0]
    return None if {"site-packages", "dist-packages"} & set(folder.parts) else str(folder)


def _has_steps(candidate: Any) -> bool:
    return hasattr(candidate, "reset") and hasattr(candidate, "step")


def _required_arguments(make: Callable[..., Any]) -> list[str]:
    try:
        parameters = inspect.signature(make).parameters.values()
    except (TypeError, ValueError):  # functions written in C may have no signature
        return []
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [p.name for p in parameters if p.default is p.empty and p.kind not in variadic]


def _import_message(module: str, attribute: str, missing: str) -> str:
    if f"{module}.".startswith(f"{missing}."):
        return (
            f"{module}:{attribute}: No module named {missing!r}, neither in the current folder "
            f"({Path.cwd()}) nor installed; run the command in the folder of "
            f"{missing.split('.')[0]}, or put that folder on PYTHONPATH"
        )
    return (
        f"{module}:{attribute}: {module} imports the module {missing!r}, which is neither "
        "installed nor in the current folder"
    )
