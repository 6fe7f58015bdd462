"""Makes environments from their names."""

import dataclasses
import importlib
from collections.abc import Callable
from typing import Any

from mjxwm_envs import engines
from mjxwm_envs.contract import check_task
from mjxwm_envs.core import EnvSpec, Source
from mjxwm_envs.env import Env, as_env, load_model
from mjxwm_envs.fields import checked, nearest
from mjxwm_envs.randomisation import Randomisation
from mjxwm_envs.registry import user_tasks
from mjxwm_envs.registry.suites import FOREIGN, SUITES, names
from mjxwm_envs.task import Task


def register(name: str, task: Any) -> None:
    """Adds an environment of your own under `name`.

    Args:
        name: the name for `make`: letters, digits, and - _ . between them.
        task: a `Task`, a `Source` such as `from_gymnasium` returns, a gymnasium `VectorEnv`; or a
            class or function that returns one of these or a `gymnasium.Env` when it is called
            without arguments.

    Raises:
        ValueError: the name is taken or not of that form, or `task` is something else.
    """
    user_tasks.check_name(name, [*SUITES, *FOREIGN])
    if name in names():
        raise ValueError(f"task {name!r} exists already; choose another name")
    SUITES["registered"][name] = user_tasks.factory(name, task)


def make(
    name: str,
    engine: str = "auto",
    action_repeat: int | None = None,
    randomise: Randomisation | None = None,
    contacts_per_world: int | None = None,
    rows_per_world: int | None = None,
    **overrides: Any,
) -> Source:
    """An environment by name: an `Env` for our tasks, an adapter for foreign ones.

    Args:
        name: one of `names()`, `suite/id` of a foreign suite, or `module:attribute` of your own.
        engine: "native", "mjx", "warp", or "auto" for the fastest on this machine.
        action_repeat: control steps per action; rewards are summed. By default 1, or for a
            foreign suite what its benchmark protocol has.
        randomise: how bodies differ from world to world and from episode to episode.
        contacts_per_world: size of engine warp's contact buffer for each world, if the exact bound
            takes too much memory; a world with more contacts is reset and its step not valid.
            `mjxwm envs check` counts them.
        rows_per_world: the same for rows of constraints.
        overrides: values for the task's own fields, such as `episode_length=200`.

    Raises:
        ValueError: an unknown task, engine or field (the message names the nearest), or a value
            out of range; `randomise` of a foreign environment.
    """
    _check_options(engine, action_repeat)
    if name.startswith("mw-"):
        name = f"metaworld/{name}"
    suite, slash, env_id = name.partition("/")
    is_foreign = slash and (suite in FOREIGN or ":" not in name)
    task = None if is_foreign else _call_factory(name)
    randomise = None if randomise == Randomisation() else randomise
    if isinstance(task, Task):
        room = engines.RequestedSizes(contacts_per_world, rows_per_world)
        env = _env(name, task, engine, action_repeat or 1, room, overrides)
        return dataclasses.replace(env, randomise=randomise)
    if randomise:
        raise ValueError(f"{name} is a foreign environment, whose bodies cannot be randomised here")
    if contacts_per_world is not None or rows_per_world is not None:
        raise ValueError(f"{name} is a foreign environment; contacts_per_world is for our tasks")
    if is_foreign:
        return _foreign(suite, env_id, engine, action_repeat, overrides)
    if engine not in ("auto", "native"):
        raise ValueError(f"{name} runs on the host; engine={engine!r} is not for it")
    return _user_source(name, task, action_repeat or 1, overrides)


def make_task(name: str, engine: str = "auto", **options: Any) -> Env:
    """Like `make`, for callers that need the task or its engine: foreign environments are refused.

    Raises:
        ValueError: as `make`; or it is a foreign environment.
    """
    return as_env(make(name, engine, **options))


def _check_options(engine: str, action_repeat: int | None) -> None:
    if engine not in ("auto", *engines.NAMES):
        raise ValueError(
            f"engine {engine!r} is unknown{nearest(engine, engines.NAMES)}. "
            f"There are: auto, {', '.join(engines.NAMES)}"
        )
    if action_repeat is not None and not 1 <= action_repeat < 2**31:
        raise ValueError(
            f"action_repeat={action_repeat} is out of range; it must be at least 1 and below 2**31"
        )


def _env(
    name: str,
    task: Task,
    engine: str,
    action_repeat: int,
    room: engines.RequestedSizes,
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
        simulator = engines.make(engine, model, n_substeps, tuple(task.derived), room)
        check_task(task, simulator)
    except ValueError as error:
        if name in SUITES["registered"] or ":" in name:  # a user's own task
            raise ValueError(f"task {name!r}: {error}") from error
        raise
    return Env(name, task, simulator, action_repeat)


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
    except TypeError as error:  # an unknown option, or a value of a wrong type
        raise ValueError(f"{suite}/{env_id}: {error}") from error


def _factory(name: str) -> Callable[[], Any]:
    for tasks in SUITES.values():
        if name in tasks:
            return tasks[name]
    if ":" in name:
        return user_tasks.imported_factory(*name.rsplit(":", 1))
    raise ValueError(
        f"task {name!r} is unknown{nearest(name, names())}. `mjxwm envs` lists all; foreign ones "
        f"are {', '.join(f'{suite}/...' for suite in FOREIGN)}, one of your own is module:Class"
    )


def _call_factory(name: str) -> Any:
    factory = _factory(name)
    try:
        return factory()
    except ValueError:
        raise
    except (Exception, SystemExit, GeneratorExit) as error:  # whatever a user's code may raise
        raise ValueError(f"{name} cannot be made: {type(error).__name__}: {error}") from error


def _checked_source(name: str, source: Any) -> Source:
    """The source, after a look at its sizes."""
    try:
        spec = source.spec
    except (Exception, SystemExit, GeneratorExit) as error:  # whatever a user's code may raise
        raise ValueError(f"{name}: spec: {type(error).__name__}: {error}") from error
    if not isinstance(spec, EnvSpec):
        raise ValueError(f"{name}: spec is a {type(spec).__name__}, not an envs.EnvSpec")
    return source


def _user_source(name: str, env: Any, action_repeat: int, overrides: dict[str, Any]) -> Source:
    """A user's own environment that is no `Task`, as a `Source`."""
    if user_tasks.is_source(env):
        if action_repeat != 1 or overrides:
            raise ValueError(f"{name} is made as it is: no action_repeat, no fields")
        return _checked_source(name, env)
    if not hasattr(env, "observation_space"):
        raise ValueError(
            f"{name} makes a {type(env).__name__}; it must be an envs.Task, a gymnasium.Env or "
            "VectorEnv, or a source that envs.from_gymnasium made"
        )
    from mjxwm_envs.adapters.gymnasium import from_gymnasium

    if "episode_length" in overrides:
        overrides["episode_length"] = checked("episode_length", overrides["episode_length"], 1)
    # A factory of environments is called for each world; a VectorEnv has its worlds already.
    if hasattr(env, "num_envs"):
        return from_gymnasium(env, name, action_repeat=action_repeat, **overrides)
    env.close()
    return from_gymnasium(_factory(name), name, action_repeat=action_repeat, **overrides)
