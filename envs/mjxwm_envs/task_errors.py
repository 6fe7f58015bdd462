"""What a user's task does wrong, in one line: which function, which line, and the way out."""

import difflib
import inspect
import sysconfig
import traceback
from collections.abc import Callable
from typing import Any

import jax
import mujoco

from mjxwm_envs.task import Task

_FUNCTIONS = [name for name in vars(Task) if not name.startswith("_")]
_LIBRARIES = ("site-packages", sysconfig.get_paths()["stdlib"])


def check_names(task: Task) -> None:
    """Refuses a function whose name is nearly that of one of `Task`'s which the class leaves out.

    Raises:
        ValueError: there is one, such as `termintaed`; nothing would ever call it.
    """
    kinds = [k for k in type(task).__mro__ if issubclass(k, Task) and k is not Task]
    defined = {name: value for kind in kinds for name, value in vars(kind).items()}
    missing = [name for name in _FUNCTIONS if name not in defined]
    for name, value in defined.items():
        if name.startswith("_") or name in _FUNCTIONS or not inspect.isfunction(value):
            continue
        if close := difflib.get_close_matches(name, missing, n=1, cutoff=0.8):
            raise ValueError(
                f"{name}: {type(task).__name__} defines it, and envs.Task calls {close[0]}; if it "
                f"is not meant, name it otherwise, as _{name}"
            )


def check_signature(task: Task, what: str, count: int) -> None:
    """Refuses a function of a task that cannot be called with `count` arguments.

    Raises:
        ValueError: it cannot; the message has the arguments that it is called with.
    """
    try:
        signature = inspect.signature(getattr(task, what))
    except (AttributeError, TypeError, ValueError):  # none, or written in C
        return
    try:
        signature.bind(*range(count))
    except TypeError as error:
        names = list(inspect.signature(getattr(Task, what)).parameters)[1:]
        raise ValueError(
            f"{what}: takes {signature}; it is called as {what}({', '.join(names)})"
        ) from error


def called(task: Task, what: str, function: Callable[[], Any]) -> Any:
    """What a function of a user's task returns.

    Args:
        task: the task.
        what: the function's name, for the message.
        function: calls it.

    Raises:
        ValueError: it raised anything, which the message says in one line, with the file and line.
    """
    try:
        return function()
    except NotImplementedError as error:
        if str(error):
            raise ValueError(f"{what}: {_one_line(error)}") from error
        raise ValueError(f"{what}: {type(task).__name__} does not define it") from error
    except (Exception, SystemExit, GeneratorExit) as error:  # a user's task may raise anything
        raise ValueError(f"{what}: {_one_line(error)}{_advice(error)}{_place(error)}") from error


def _one_line(error: BaseException) -> str:
    """An error as one line: its type and message; of a `ValueError` the message only."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    message = " ".join(lines[:2]) if lines else ""
    if type(error) is ValueError and message:
        return message
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


def _advice(error: BaseException) -> str:
    """The way out of mistakes that are often made."""
    if isinstance(error, KeyError) and hasattr(mujoco.MjData, str(error.args[0])):
        return f"; physics.derived has the fields that the property derived names: ({error},)"
    if isinstance(error, jax.errors.TracerBoolConversionError):
        return "; if, and, or are for Python's numbers: take jnp.where, &, |"
    if isinstance(error, TypeError) and "'tuple'" in str(error):
        return "; physics.goal is an empty tuple where initial gives no goal=..."
    return ""


def _place(error: BaseException) -> str:
    """File and line of the task's code that failed; empty if no frame is in the user's code."""
    ours = str(__file__).removesuffix("task_errors.py")
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if not frame.filename.startswith((ours, "<")) and not any(
            place in frame.filename for place in _LIBRARIES
        ):
            return f" ({frame.filename}, line {frame.lineno})"
    return ""
