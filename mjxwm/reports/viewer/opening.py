"""What is to be looked at, by its name: a run, a policy's folder, or a task."""

import dataclasses
from pathlib import Path
from typing import Any, NamedTuple

import jax
from mjxwm_envs import Source
from mjxwm_envs.fields import nearest

from mjxwm import ConfigError
from mjxwm.reports.viewer.policies import UNTRAINED, OfRun, OfTask, Policies
from mjxwm.reports.viewer.simulation import Simulation
from mjxwm.runs import build, folders
from mjxwm.runs.config import Config, check
from mjxwm.runs.policy_files import NAME
from mjxwm.types import Agent


class Opened(NamedTuple):
    """An environment and the policies that may act in it."""

    env: Source
    agent: Agent
    policies: Policies


def of_target(target: str, engine: str | None, task_fields: dict[str, Any]) -> Opened:
    """A run, a policy or a task.

    Args:
        target: a run's folder, a policy's, or a task's name.
        engine: the engine; by default native, or the only one of a foreign task.
        task_fields: values for fields of the task other than it was trained with.

    Raises:
        ConfigError: it is something else, or the policy does not fit the task.
    """
    path = Path(target)
    if _is_run(path):
        run = OfRun(path)
        config = _on_engine(run.config, engine, task_fields)
        env = build.make_env(config)
        return Opened(env, run.agent(env.spec), run)
    config = _on_engine(Config(task=target), engine, task_fields)
    try:
        env = build.make_env(config)
    except ConfigError as error:
        if "is unknown" not in str(error):
            raise
        if path.exists() or "/" in target:
            folders.find(path)  # which says what it is, and which runs are near it
        raise ConfigError(f"{target} is neither a run's folder nor a task: {error}") from error
    task = OfTask(target)
    return Opened(env, task.agent(env.spec), task)


def _is_run(path: Path) -> bool:
    files = ("config.yaml", NAME, f"last/{NAME}", f"best/{NAME}", "policy")
    return any((path / name).exists() for name in files)


def _on_engine(config: Config, engine: str | None, task_fields: dict[str, Any]) -> Config:
    foreign = "/" in config.task and ":" not in config.task
    config = build.on_engine(config, engine or (None if foreign else "native"))
    config = dataclasses.replace(config, task_fields={**config.task_fields, **task_fields})
    check(config)
    return config


def start(
    opened: Opened, choice: str | None, worlds: int, seed: int
) -> tuple[Simulation, str, str]:
    """The worlds under the policy of this name.

    Args:
        opened: what is looked at.
        choice: the policy's name; by default the first.
        worlds: number of worlds.
        seed: of the start states.

    Returns:
        The worlds, the policy's name, and the policy in words.

    Raises:
        ConfigError: there is no policy of this name.
    """
    names = opened.policies.names()
    name = names[0] if choice is None else choice
    if name not in names:
        raise ConfigError(
            f"policy {name!r} is unknown{nearest(name, names)}. There are: {', '.join(names)}"
        )
    if name == UNTRAINED:
        arrays, about = opened.agent.init(jax.random.key(seed)), "random networks"
    else:
        arrays, about = opened.policies.load(name)
    simulation = Simulation(opened.env, opened.agent, arrays, worlds, seed)
    simulation.step()  # compiles it
    simulation.restart()
    return simulation, name, about
