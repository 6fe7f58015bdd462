"""Others' models and data, brought into our folders."""

import dataclasses
import itertools
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from mjxwm import ConfigError, interop
from mjxwm.algos import tdmpc2
from mjxwm.algos.multitask import model as models
from mjxwm.algos.multitask.config import Config
from mjxwm.algos.multitask.model import Card
from mjxwm.algos.multitask.tasks import TASK_SETS, sizes, task_set
from mjxwm.data import TaskInfo, Writer, sources
from mjxwm.runs import folders, locks, pretrained
from mjxwm.runs.build import make_env
from mjxwm.runs.config import Config as TrainConfig
from mjxwm.runs.folders import RunFolder


def checkpoint(
    file: Path,
    tasks: str,
    data: str,
    name: str | None,
    folder: Path,
    action_repeat: int | None = None,
) -> tuple[RunFolder, dict[str, int]]:
    """Makes a model's run of a checkpoint of TD-MPC2's or PWM's.

    Args:
        file: the checkpoint.
        tasks: name of the task set that it was made for, or of its single task.
        data: folder of the data set that policies are to be extracted with, if there is one.
        name: name of the run.
        folder: where runs are kept.
        action_repeat: control steps per action; by default 2, TD-MPC2's protocol, or that of the
            task's suite.

    Returns:
        The run and the parameters by component.

    Raises:
        ConfigError: the file is no such checkpoint, or of other tasks.
    """
    try:
        task_infos = TASK_SETS[tasks] if tasks in TASK_SETS else (_task(tasks, action_repeat),)
        task_infos = _repeated(task_infos, action_repeat)
        imported = interop.read_checkpoint(file, len(task_infos))
    except ValueError as error:
        raise ConfigError(str(error)) from error
    expected = sizes(task_infos)
    if (imported.obs_size, imported.action_size) != expected:
        raise ConfigError(
            f"{file}: a model of {imported.obs_size} observations and {imported.action_size} "
            f"actions; {tasks} has {expected[0]} and {expected[1]}"
        )
    _check_masks(file, imported, task_infos)
    preset = dataclasses.replace(Config(), tasks=tasks, data=data)
    source = str(Path(data).resolve()) if data else ""
    card = Card(
        task_infos, imported.config, source, preset, imported.obs_size, imported.action_size
    )
    # Whatever the file holds, embeddings are in the unit ball, as its own look-ups have them.
    networks = tdmpc2.networks.project(imported.networks)
    learner = tdmpc2.updates.init(models.optimizers(preset.pretrain), networks)
    learner = learner._replace(target=jax.tree.map(jnp.asarray, imported.target))
    run = folders.create(folder, name, file.stem)
    pretrained.save(run, card, learner)
    locks.release(run.path)
    return run, tdmpc2.networks.parameters(networks)


def _repeated(tasks: tuple[TaskInfo, ...], action_repeat: int | None) -> tuple[TaskInfo, ...]:
    """The tasks with the action repeat that is given, as they are where none is."""
    if action_repeat is None:
        return tasks
    if action_repeat < 1:
        raise ValueError(f"action_repeat={action_repeat} is out of range; it must be at least 1")
    return tuple(dataclasses.replace(task, action_repeat=action_repeat) for task in tasks)


def _check_masks(file: Path, imported: interop.Imported, task_infos: tuple[TaskInfo, ...]) -> None:
    """Refuses tasks that have other actions than the file's own masks say."""
    if imported.action_masks is None:
        return
    for number, (task, mask) in enumerate(zip(task_infos, imported.action_masks, strict=True)):
        if not np.array_equal(mask, np.arange(len(mask)) < task.action_size):
            raise ConfigError(
                f"{file}: its task {number} has the actions {np.flatnonzero(mask).tolist()}, and "
                f"{task.name} has {task.action_size}; is it of another set of tasks?"
            )


def _task(name: str, action_repeat: int | None) -> TaskInfo:
    """A task of any set, or any that our worlds know."""
    protocol = None if name.startswith(("mw-", "myo-")) else 2
    repeat = protocol if action_repeat is None else action_repeat
    try:
        spec = make_env(TrainConfig(task=name, action_repeat=repeat)).spec
    except ConfigError as error:
        sets = ", ".join(TASK_SETS)
        raise ValueError(f"{name!r} is neither a task set ({sets}) nor a task: {error}") from error
    return dataclasses.replace(TaskInfo.of(spec), name=name)


def chunks(
    files: tuple[Path, ...],
    tasks: str,
    folder: Path,
    say: Callable[[str], None],
    action_repeat: int | None = None,
) -> dict[str, int]:
    """Adds chunks of TD-MPC2's data to a data set, task by task, without their padding.

    Returns:
        Rows by task.

    Raises:
        ConfigError: a file is no such chunk, holds another set's tasks, or is in the set already.
    """
    rows: dict[str, int] = {}
    try:
        task_infos = _repeated(task_set(tasks), action_repeat)
        added_sources = sources(folder)
        for file in files:  # all of them first: nothing is written where one is bad
            if str(file.resolve()) in added_sources:
                raise ValueError(f"{file} is in {folder} already")
            interop.check_chunk(file, task_infos)
        for file in files:
            parts = itertools.groupby(interop.read_chunk(file, task_infos), lambda part: part[0])
            for number, blocks in parts:
                task = task_infos[number]
                with Writer(folder, task, source=str(file.resolve())) as writer:
                    for _, block in blocks:
                        writer.add(block)
                        rows[task.name] = rows.get(task.name, 0) + len(block.reward)
            say(f"{file}: {len(rows)} tasks so far")
    except ValueError as error:
        raise ConfigError(str(error)) from error
    return rows
