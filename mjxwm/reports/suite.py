"""A model's policies on all its tasks, in normalised scores."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp

from mjxwm import ConfigError
from mjxwm.algos import tdmpc2
from mjxwm.algos.multitask import Model
from mjxwm.algos.multitask.tasks import task_set
from mjxwm.data import TaskInfo
from mjxwm.maths import ranges
from mjxwm.reports import outcome
from mjxwm.runs import action_repeats, checkpoint, folders, policy_files, presets
from mjxwm.runs.build import make_env
from mjxwm.runs.config import Config as TrainConfig
from mjxwm.runs.evaluate import Evaluation, evaluate, evaluate_with_memory
from mjxwm.runs.folders import RunFolder
from mjxwm.runs.pretrained import load
from mjxwm.runs.start import eval_key


class Row(NamedTuple):
    """One task's result."""

    task: str
    score: float | None
    """0 to 100: a hundredth of what dm_control's tasks give at most is 10 of return; Meta-World's
    is the share of episodes solved. None if there is no score."""
    returns: list[float]
    success: float | None
    missing: str = ""
    """Why there is no score, and what to do about it."""


@dataclasses.dataclass(frozen=True)
class Config:
    """What is evaluated."""

    suite: str
    """Name of a task set, or tasks separated by commas."""
    model: Path
    """Run folder of the model."""
    who: Literal["policies", "prior", "planner"] = "policies"
    """The extracted policies among the runs beside the model's; the model's own policy; or its
    planner."""
    episodes: int = 10
    """Episodes per task."""
    seed: int = 0
    """Seed of the start states."""
    action_repeat: int | None = None
    """Control steps per action for prior and planner; by default what the model's data say."""
    engine: str = "auto"
    """Engine of the worlds of prior and planner; a policy's are those of its run."""


def run(config: Config, say: Callable[[str], None]) -> list[Row]:
    """Evaluates task by task; what cannot be evaluated has the reason in its row.

    Raises:
        ConfigError: there is no such suite or model, or the model knows none of its tasks.
    """
    ranges.sound(config)
    if config.episodes < 1:
        raise ConfigError(f"episodes={config.episodes} is out of range; it must be at least 1")
    try:
        model = load(config.model)
        model_tasks = {task.name: task for task in model.card.tasks}
        tasks = _tasks(config.suite, model_tasks)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    unknown = [task.name for task in tasks if task.name not in model_tasks]
    if unknown:
        raise ConfigError(
            f"{config.model} does not know {', '.join(unknown)}; it knows "
            f"{', '.join(sorted(model_tasks))}"
        )
    policy_folders = extracted(config.model) if config.who == "policies" else {}
    rows = []
    for task in tasks:
        rows.append(_row(config, model, task, policy_folders))
        say(line(rows[-1]))
    return rows


def _tasks(suite: str, model_tasks: dict[str, TaskInfo]) -> tuple[TaskInfo, ...]:
    """The tasks of a set as the model knows them, your own among them where they are named."""
    names = [name for name in suite.split(",") if name]
    if names and all(name in model_tasks for name in names):
        return tuple(model_tasks[name] for name in names)
    return tuple(model_tasks.get(task.name, task) for task in task_set(suite))


def _row(
    config: Config, model: Model, task: TaskInfo, policy_folders: dict[str, list[Path]]
) -> Row:
    try:
        if config.who != "policies":
            return row(task.name, [_of_model(config, model, task)])
        if task.name not in policy_folders:
            command = (
                f"mjxwm extract {folders.quoted(task.name)} --model {folders.quoted(config.model)}"
            )
            return Row(task.name, None, [], None, f"no policy yet: {command}")
        policies = [RunFolder(path) for path in policy_folders[task.name]]
        learned = [each for each in policies if _learned(each)]
        if not learned:
            return Row(task.name, None, [], None, f"{policies[0].path} has no checkpoint")
        return row(
            task.name,
            [outcome.evaluate_run(each, config.episodes, config.seed)[1] for each in learned],
        )
    except ConfigError as error:  # a package or an engine that is missing
        return Row(task.name, None, [], None, str(error))


def _learned(run: RunFolder) -> bool:
    """Whether a run has come to a policy."""
    kept = policy_files.folder(run.path) is not None
    return kept or checkpoint.latest(run.checkpoints) is not None


def row(task: str, evaluations: list[Evaluation]) -> Row:
    """The row of a task's evaluations, one per policy."""
    returns = [float(x) for e in evaluations for x in e.episode_return]
    solved = [float(x) for e in evaluations if e.success is not None for x in e.success]
    success = sum(solved) / len(solved) if solved else None
    mean = sum(returns) / len(returns)
    if not task.startswith("mw-"):
        return Row(task, mean / 10, returns, success)
    if success is None:
        return Row(task, None, returns, None, "no episode says whether it was solved")
    return Row(task, 100 * success, returns, success)


def extracted(model: Path) -> dict[str, list[Path]]:
    """The runs beside a model's that are policies extracted from it, by task."""
    policy_folders: dict[str, list[Path]] = {}
    for file in sorted(model.resolve().parent.glob("*/config.yaml")):
        try:
            config = presets.load_yaml(TrainConfig, file)
        except ConfigError:  # a run of another kind
            continue
        if config.algorithm == "extract" and Path(config.algo.model).resolve() == model.resolve():
            policy_folders.setdefault(config.task, []).append(file.parent)
    return policy_folders


def _of_model(config: Config, model: Model, task: TaskInfo) -> Evaluation:
    repeat = config.action_repeat
    if repeat is None:
        repeat, assumed = action_repeats.action_repeat(task)
        if assumed:
            print(f"note     {assumed}", flush=True)
    env = make_env(TrainConfig(task=task.name, engine=config.engine, action_repeat=repeat))
    world_task = TaskInfo.of(env.spec)
    if not world_task.fits(task):
        raise ConfigError(f"the model knows {task}; here it is {world_task}")
    planning = tdmpc2.Planning()

    def run(task_networks: tdmpc2.TaskNetworks, key: jax.Array) -> Evaluation:
        def act(obs: jax.Array) -> jax.Array:
            return task_networks.act(task_networks.model.encode(obs), None)[:, : task.action_size]

        def plan(plans: jax.Array, obs: jax.Array) -> tuple[jax.Array, jax.Array]:
            key = jax.random.key(0)  # the same noise in every step
            plans, action = tdmpc2.plan_worlds(planning, task_networks, plans, obs, key, False)
            return plans, action[:, : task.action_size]

        if config.who == "prior":
            return evaluate(env, act, key, config.episodes)
        no_plans = jnp.zeros((config.episodes, planning.plan_horizon, model.card.action_size))
        return evaluate_with_memory(env, plan, no_plans, key, config.episodes)

    key = eval_key(config.seed)
    return jax.device_get(jax.jit(run)(model.for_task(task.name), key))


def line(row: Row) -> str:
    """A row of the table."""
    if row.score is None:
        return f"| {row.task} | - | {row.missing} |"
    mean = sum(row.returns) / len(row.returns)
    solved = "" if row.success is None else f", solved {row.success:.0%}"
    return f"| {row.task} | {row.score:.1f} | return {mean:.1f} over {len(row.returns)}{solved} |"


def summary(rows: list[Row]) -> dict[str, Any]:
    """Mean score over the tasks that have one."""
    scores = [row.score for row in rows if row.score is not None]
    mean = sum(scores) / len(scores) if scores else None
    return {"score": mean, "tasks": len(scores), "missing": len(rows) - len(scores)}
