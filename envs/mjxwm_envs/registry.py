"""Environments by name: shipped tasks, foreign suites, and whatever a user points at.

- `hopper`: one of `names()`, or registered with `register`
- `gymnasium/HalfCheetah-v5`, `playground/CheetahRun`, `metaworld/reach-v3`, `mw-reach`: foreign
- `my_package.my_module:Thing`: a task, a source or a factory of gymnasium environments of your own
"""

import contextlib
import dataclasses
import difflib
import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

from mjxwm_envs import engines, own
from mjxwm_envs.contract import check_task
from mjxwm_envs.core import Source, Task
from mjxwm_envs.env import Env, load_model
from mjxwm_envs.fields import checked
from mjxwm_envs.randomisation import Randomisation
from mjxwm_envs.tasks.dm_control import TASKS as DM_CONTROL
from mjxwm_envs.tasks.locomotion import TASKS as LOCOMOTION
from mjxwm_envs.tasks.myosuite import TASKS as MYOSUITE

SUITES: dict[str, dict[str, Callable[[], Any]]] = {
    "locomotion": LOCOMOTION,
    "dm_control": DM_CONTROL,
    "myosuite": MYOSUITE,
    "registered": {},
}
"""Tasks that are made by name alone, by suite."""

FOREIGN = {
    "gymnasium": "mjxwm_envs.adapters.gymnasium",
    "maniskill": "mjxwm_envs.adapters.maniskill",
    "metaworld": "mjxwm_envs.adapters.metaworld",
    "playground": "mjxwm_envs.adapters.playground",
}
"""Modules that make `suite/id`."""


def names(suite: str | None = None) -> tuple[str, ...]:
    """The names that `make` knows, of one suite or of all; foreign ones are `suite/id`.

    Raises:
        ValueError: there is no such suite.
    """
    if suite is not None and suite not in SUITES:
        raise ValueError(f"suite {suite!r} is unknown{nearest(suite, SUITES)}")
    suites = SUITES.values() if suite is None else [SUITES[suite]]
    return tuple(sorted(name for tasks in suites for name in tasks))


def register(name: str, task: Any) -> None:
    """Adds an environment of your own under `name`.

    Args:
        name: how `make` will know it: letters, digits, and - _ . between them.
        task: a `Task`, a `Source` such as `from_gymnasium` gives, a gymnasium `VectorEnv`; or what
            makes one of them or a `gymnasium.Env` when it is called without arguments: a class or
            a function.

    Raises:
        ValueError: the name is taken or not of that form, or it is another thing.
    """
    own.check_name(name, [*SUITES, *FOREIGN])
    if name in names():
        raise ValueError(f"task {name!r} exists already; choose another name")
    SUITES["registered"][name] = own.factory(name, task)


def make(
    name: str,
    engine: str = "auto",
    action_repeat: int | None = None,
    randomise: Randomisation | None = None,
    contacts_per_world: int | None = None,
    rows_per_world: int | None = None,
    **overrides: Any,
) -> Env:
    """An environment: one world, pure. Foreign ones are a `Source` with the same spec and worlds.

    Args:
        name: one of `names()`, `suite/id` of a foreign suite, or `module:attribute` of your own.
        engine: "native", "mjx", "warp", or "auto" for the fastest here.
        action_repeat: control steps per action; rewards add up. By default 1, or what a foreign
            suite's protocol has.
        randomise: how bodies differ from world to world and from episode to episode.
        contacts_per_world: room for contacts in a world of engine warp, where the exact bound takes
            too much memory; a world with more is reset and counted as not valid. `mjxwm envs check`
            says how many there are.
        rows_per_world: the same for rows of constraints.
        overrides: values for the task's own fields, such as `episode_length=200`.

    Raises:
        ValueError: an unknown task, engine or field (the message names the nearest), or a value
            out of range; `randomise` of a foreign environment.
    """
    if engine not in ("auto", *engines.NAMES):
        raise ValueError(
            f"engine {engine!r} is unknown{nearest(engine, engines.NAMES)}. "
            f"There are: auto, {', '.join(engines.NAMES)}"
        )
    if action_repeat is not None and not 1 <= action_repeat < 2**31:
        raise ValueError(
            f"action_repeat={action_repeat} is out of range; it must be at least 1 and below 2**31"
        )
    if name.startswith("mw-"):
        name = f"metaworld/{name}"
    suite, slash, env_id = name.partition("/")
    foreign = slash and ":" not in suite
    made = None if foreign else _made(name)
    if isinstance(made, Task):
        room = engines.Room(contacts_per_world, rows_per_world)
        env = _env(name, made, engine, action_repeat or 1, room, overrides)
        return dataclasses.replace(env, randomise=_or_none(randomise))
    if _or_none(randomise):
        raise ValueError(f"{name} is a foreign environment, whose bodies cannot be randomised here")
    if contacts_per_world is not None or rows_per_world is not None:
        raise ValueError(f"{name} is a foreign environment; contacts_per_world is for our tasks")
    if foreign:
        return cast(Env, _foreign(suite, env_id, engine, action_repeat, overrides))
    if engine not in ("auto", "native"):
        raise ValueError(f"{name} runs on the host; engine={engine!r} is not for it")
    return cast(Env, _source(name, made, action_repeat or 1, overrides))


def _or_none(randomise: Randomisation | None) -> Randomisation | None:
    return None if randomise == Randomisation() else randomise


def nearest(name: str, known: Any) -> str:
    """The words "; did you mean ...?" where something known is near `name`, else nothing."""
    close = difflib.get_close_matches(name, list(known), n=3)
    return f"; did you mean {' or '.join(repr(c) for c in close)}?" if close else ""


def _env(
    name: str,
    task: Task,
    engine: str,
    action_repeat: int,
    room: engines.Room,
    overrides: dict[str, Any],
) -> Env:
    fields = [f.name for f in dataclasses.fields(task)]
    values = {}
    for field, value in overrides.items():
        if field not in fields:
            raise ValueError(
                f"task {name!r} has no field {field!r}{nearest(field, fields)}. "
                f"It has: {', '.join(fields)}"
            )
        values[field] = checked(field, value, getattr(task, field))
    task = dataclasses.replace(task, **values)
    try:
        model = load_model(task)
        n_substeps = round(task.ctrl_dt / task.sim_dt)
        made = engines.make(engine, model, n_substeps, tuple(task.derived), room)
        check_task(task, made)
    except ValueError as error:
        if name in SUITES["registered"] or ":" in name:  # of a user's own
            raise ValueError(f"task {name!r}: {error}") from error
        raise
    return Env(name, task, made, action_repeat)


def _foreign(
    suite: str, env_id: str, engine: str, action_repeat: int | None, overrides: dict[str, Any]
) -> Source:
    if suite not in FOREIGN:
        raise ValueError(
            f"suite {suite!r} is unknown{nearest(suite, FOREIGN)}. There are: {', '.join(FOREIGN)}"
        )
    if suite == "playground":
        overrides = {"engine": engine, **overrides}
    elif engine not in ("auto", "native"):
        raise ValueError(f"{suite}/{env_id} runs on the host; engine={engine!r} is not for it")
    if "episode_length" in overrides:
        overrides["episode_length"] = checked("episode_length", overrides["episode_length"], 1)
    if action_repeat is not None:
        overrides["action_repeat"] = action_repeat
    try:
        return importlib.import_module(FOREIGN[suite]).make(env_id, **overrides)
    except TypeError as error:  # an option that it does not have, or of another kind
        raise ValueError(f"{suite}/{env_id}: {error}") from error


def _factory(name: str) -> Callable[[], Any]:
    for tasks in SUITES.values():
        if name in tasks:
            return tasks[name]
    if ":" in name:
        return _imported(*name.rsplit(":", 1))
    raise ValueError(
        f"task {name!r} is unknown{nearest(name, names())}. `mjxwm envs` lists all; foreign ones "
        f"are {', '.join(f'{suite}/...' for suite in FOREIGN)}, your own module:attribute"
    )


def _made(name: str) -> Any:
    factory = _factory(name)
    try:
        return factory()
    except ValueError:
        raise
    except Exception as error:  # whatever a user's own code may raise
        raise ValueError(f"{name} cannot be made: {type(error).__name__}: {error}") from error


@contextlib.contextmanager
def beside(folder: str | None) -> Iterator[None]:
    """Within, modules of tasks of the user's own are looked for in this folder first."""
    before = list(_folders)
    _folders[:] = [folder] if folder else []
    try:
        yield
    finally:
        _folders[:] = before


_folders: list[str] = []


def folder_of(name: str) -> str | None:
    """The folder that the module of a task of the user's own was imported from.

    None for other tasks, and for a module that is installed and so found from everywhere.
    """
    root = sys.modules.get(name.rsplit(":", 1)[0].split(".")[0]) if ":" in name else None
    file = getattr(root, "__file__", None)
    if file is None:
        return None
    folder = Path(file).resolve().parents[1 if hasattr(root, "__path__") else 0]
    return None if {"site-packages", "dist-packages"} & set(folder.parts) else str(folder)


def _imported(module: str, attribute: str) -> Callable[[], Any]:
    path = list(sys.path)
    sys.path[:0] = [*_folders, str(Path.cwd())]  # here, as `python -m` has it
    try:
        task = getattr(importlib.import_module(module), attribute)
    except ModuleNotFoundError as error:
        raise ValueError(_not_found(module, attribute, error.name or "")) from error
    except (ImportError, AttributeError) as error:
        raise ValueError(f"{module}:{attribute}: {error}") from error
    except Exception as error:  # whatever a module of the user's own may raise
        what = f"{type(error).__name__}: {error}"
        raise ValueError(f"{module}:{attribute} cannot be imported: {what}") from error
    finally:
        sys.path[:] = path
    return own.factory(f"{module}:{attribute}", task)


def _not_found(module: str, attribute: str, missing: str) -> str:
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


def _source(name: str, made: Any, action_repeat: int, overrides: dict[str, Any]) -> Source:
    if hasattr(made, "spec") and hasattr(made, "worlds"):
        if action_repeat != 1 or overrides:
            raise ValueError(f"{name} is made as it is: no action_repeat, no fields")
        return made
    if not hasattr(made, "observation_space"):
        raise ValueError(
            f"{name} makes a {type(made).__name__}; it must be an envs.Task, a gymnasium.Env or "
            "VectorEnv, or a source that envs.from_gymnasium made"
        )
    from mjxwm_envs.adapters.gymnasium import from_gymnasium

    # A factory of environments is called for each world; a VectorEnv is taken as it is.
    if "episode_length" in overrides:
        overrides["episode_length"] = checked("episode_length", overrides["episode_length"], 1)
    source = made if hasattr(made, "num_envs") else _factory(name)
    if source is not made:
        made.close()
    return from_gymnasium(source, name, action_repeat=action_repeat, **overrides)
