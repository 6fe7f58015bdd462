"""The loop that learns a model of many tasks from a data set."""

import dataclasses
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
from mjxwm_envs import seeds

from mjxwm import ConfigError, data
from mjxwm.algos.multitask import model as models
from mjxwm.algos.multitask import pretrain
from mjxwm.algos.multitask.config import Config, validate
from mjxwm.algos.multitask.model import Card
from mjxwm.algos.multitask.tasks import sizes, task_set
from mjxwm.algos.tdmpc2 import Learner
from mjxwm.maths import ranges
from mjxwm.models import nets
from mjxwm.runs import checkpoint, folders, presets, pretrained, record
from mjxwm.runs.between import interruptible, summarize
from mjxwm.runs.folders import RunFolder
from mjxwm.runs.record import ConsoleLine, JsonLines, Tracker


class Result(NamedTuple):
    """What a pre-training came to."""

    run: RunFolder
    updates: int
    finished: bool
    seconds: float
    """Of this process's part, compilation included."""


def card(preset: Config) -> Card:
    """The model that a preset asks for, of the tasks that its data set must have.

    Raises:
        ConfigError: a setting out of range, an unknown task set, data that are none or lack a task.
    """
    try:
        ranges.sound(preset)
        validate(preset.pretrain)
        if preset.tasks == "all":
            tasks = data.open_data(Path(preset.data)).tasks
        else:
            tasks = task_set(preset.tasks)
        made = models.card_of(preset, tasks, str(Path(preset.data).resolve()))
        jax.eval_shape(lambda key: models.fresh(made, key), jax.random.key(0))
    except ValueError as error:
        raise ConfigError(str(error)) from error
    found, stream = _stream(made, 0)
    stream.close()  # what is wrong with the data is said before anything is made
    if not preset.pretrain.normalize:
        return made
    try:
        return dataclasses.replace(made, spreads=data.observation_moments(found))
    except ValueError as error:
        raise ConfigError(str(error)) from error


def new_run(made: Card, name: str | None, folder: Path) -> RunFolder:
    """Makes the run's folder with the model's card."""
    run = folders.create(folder, name, f"{made.preset.tasks}-model")
    presets.save_yaml(made, run.config)
    return run


def run(made: Card, folder: RunFolder, resume: bool = False, saves: int = 4) -> Result:
    """Learns until all updates are done, or Ctrl-C.

    Args:
        made: the model's card.
        folder: the run's folder.
        resume: go on from the newest checkpoint.
        saves: checkpoints on the way, beside the one at the end.

    Raises:
        ConfigError: there is nothing to resume, or the data are not there.
    """
    began = time.monotonic()
    settings = made.preset.pretrain
    if resume:
        folders.say_edits(folder)  # first: they may be why it cannot go on
    learner, iteration = _start(made, folder, resume)
    found, stream = _stream(made, iteration)
    folders.keep_trained(folder)
    _announce(made, folder, learner, found)
    # One compiled program; the learner's buffers are handed on from call to call.
    iterate = jax.jit(pretrain.make(made), donate_argnums=0)
    key = seeds.key(seeds.after(made.preset.seed, 1))
    total, each = settings.iterations, settings.updates_per_iteration

    def updates(iterations: int) -> int:
        return min(iterations * each, settings.updates)

    every = max(1, total // (saves + 1))
    with ConsoleLine(total) as console, interruptible() as interrupted, stream:
        trackers = (JsonLines(folder.metrics, iteration if resume else None), console)
        spent = record.minutes(folder.metrics, iteration)
        log = _Log(trackers, updates, max(1, total // 500), iteration, spent)
        while iteration < total and not interrupted:
            learner, metrics = iterate(learner, next(stream), jax.random.fold_in(key, iteration))
            iteration += 1
            log.after(iteration, metrics, iteration == total)
            if iteration % every == 0:
                pretrained.save(folder, learner, updates(iteration))
        pretrained.save(folder, learner, updates(iteration))
    return Result(folder, updates(iteration), iteration == total, time.monotonic() - began)


class _Log:
    """Metrics stay on the device until a row is due: fetching them waits for it."""

    def __init__(
        self,
        trackers: tuple[Tracker, ...],
        updates: Callable[[int], int],
        every: int,
        iteration: int,
        minutes: float,
    ):
        self._trackers, self._updates, self._every = trackers, updates, every
        self._pending: list[Any] = []
        self._last, self._done = time.monotonic(), updates(iteration)
        self._origin = self._last - 60 * minutes

    def after(self, iteration: int, metrics: Any, last: bool) -> None:
        """Takes an iteration's metrics."""
        self._pending.append(metrics)
        if iteration % self._every and not last:
            return
        row: dict[str, Any] = {"iteration": iteration, "env_steps": 0}
        updates = self._updates(iteration)
        row |= {"updates": updates, **summarize(jax.device_get(self._pending))}
        now = time.monotonic()
        row["perf/updates_per_s"] = (updates - self._done) / (now - self._last)
        row["minutes"] = (now - self._origin) / 60
        self._pending, self._last, self._done = [], now, updates
        for tracker in self._trackers:
            tracker.log(row)


def _stream(made: Card, iteration: int) -> tuple[data.DataSet, data.Stream]:
    settings = made.preset.pretrain
    obs_size, action_size = sizes(made.tasks)
    try:
        found = data.open_data(Path(made.source)).matching(made.tasks)
        seed = made.preset.seed + 1_000_003 * iteration  # another part of a run draws others
        return found, data.Stream(
            found,
            settings.updates_per_iteration,
            settings.batch,
            settings.horizon + 1,
            seed,
            obs_size,
            action_size,
            total=settings.updates - iteration * settings.updates_per_iteration,
        )
    except ValueError as error:
        raise ConfigError(str(error)) from error


def _start(made: Card, folder: RunFolder, resume: bool) -> tuple[Learner, int]:
    if not resume:
        return jax.jit(lambda key: models.fresh(made, key))(seeds.key(made.preset.seed)), 0
    updates = checkpoint.latest(folder.checkpoints)
    if updates is None:
        raise ConfigError(f"{folder.path} has no checkpoint: it cannot be resumed")
    abstract = jax.eval_shape(lambda key: models.fresh(made, key), jax.random.key(0))
    learner = checkpoint.restore(folder.checkpoints, abstract)
    return learner, iteration_of(made.preset, updates)


def iteration_of(preset: Config, updates: int) -> int:
    """The iteration after which so many updates are done; the last one may have fewer."""
    return -(-updates // preset.pretrain.updates_per_iteration)


def _announce(made: Card, folder: RunFolder, learner: Learner, found: data.DataSet) -> None:
    settings = made.preset.pretrain
    count = nets.num_parameters(learner.networks)
    print(f"run      {folder.path}")
    print(f"data     {found.path}: {found.rows:,} rows in {len(found.chunks)} chunks")
    print(f"tasks    {len(made.tasks)}: {', '.join(task.name for task in made.tasks)}")
    print(
        f"model    {settings.size}, {count:,} parameters; learner on {jax.devices()[0].device_kind}"
    )
    print(
        f"budget   {settings.updates:,} updates on {settings.batch} windows of "
        f"{settings.horizon} steps",
        flush=True,
    )
    for remark in remarks(made, found):
        print(f"note     {remark}", flush=True)


def remarks(made: Card, found: data.DataSet) -> list[str]:
    """What to say where the settings contradict the data."""
    settings, ending = made.preset.pretrain, ", ".join(data.tasks_with_terminations(found))
    if ending and not settings.continuation:
        return [
            f"continuation=0: the model learns no terminations, and the data have some, of "
            f"{ending}: policies will imagine that episodes go on after them. Take "
            "--continuation 1"
        ]
    if settings.continuation and not ending:
        return [f"continuation={settings.continuation:g}: nothing ends an episode of these data"]
    return []
