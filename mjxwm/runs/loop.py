"""A run, from its environment to its last checkpoint.

The other modules of this room do the parts: `config` is the configuration, `build` makes
environment and algorithm of it, `folders`, `checkpoint` and `record` keep the run on disk,
`evaluate` runs episodes, and `together` says how the runs of several seeds are one program.
"""

import dataclasses
import time
from collections.abc import Sequence
from pathlib import Path
from signal import SIGTERM
from typing import Any

from mjxwm.runs import budgets, compilation, devices, folders, policies, presets
from mjxwm.runs.announce import announce, failure_text, raise_failure, say_failures
from mjxwm.runs.build import Trainer, build
from mjxwm.runs.config import Config
from mjxwm.runs.folders import RunFolder
from mjxwm.runs.guard import Guard, say_stopped
from mjxwm.runs.log import Log
from mjxwm.runs.recorder import recorder
from mjxwm.runs.result import End, Result, evaluated, results
from mjxwm.runs.saving import Saver
from mjxwm.runs.schedule import Schedule
from mjxwm.runs.start import first_state, new_run
from mjxwm.runs.stops import interruptible
from mjxwm.runs.using import folders_locked


def run(config: Config, preset: str, name: str | None, folder: Path) -> Result:
    """A new run: its environment and algorithm, its folder, and the training.

    Args:
        config: the configuration.
        preset: the preset's name, for that of the run.
        name: the run's name; by default the preset's with the date and time.
        folder: where runs are kept.

    Raises:
        ConfigError: the configuration is not sound, or the run exists; and as `train`.
    """
    trainer = build(config)
    return train(trainer, new_run(trainer, preset, name, folder))


def resume(run: RunFolder, **changes: Any) -> Result:
    """Goes on from a run's newest checkpoint, with fields changed, unless its budget is spent.

    Raises:
        ConfigError: there is no checkpoint; and as `train`.
    """
    if devices.leads():
        folders.say_edits(run)  # first: they may be why it cannot go on
    trainer = build(dataclasses.replace(presets.load_yaml(Config, run.config), **changes))
    return (budgets.over(trainer, [run]) or train_runs(trainer, [run], resume=True))[0]


def train(
    trainer: Trainer, run: RunFolder, resume: bool = False, stop_at: int | None = None
) -> Result:
    """Trains until the budget of env steps or `minutes` is spent, or a signal stops it.

    Args:
        trainer: of `build.build`.
        run: the run's folder.
        resume: go on from the newest checkpoint, bitwise as if it had never stopped.
        stop_at: an iteration to stop at before the end.

    Raises:
        ConfigError: there is nothing to resume, or a foreign world failed.
        GuardError: what is learned is no longer finite.
    """
    (result,) = train_runs(trainer, [run], resume, stop_at)
    return result


@folders_locked
def train_runs(
    trainer: Trainer,
    runs: Sequence[RunFolder],
    resume: bool = False,
    stop_at: int | None = None,
) -> list[Result]:
    """`train` for a run, or for the runs of several seeds that train in one program.

    A seed of several that the guard stops ends by itself, and the others go on.

    Args:
        trainer: of `build.build`.
        runs: the run's folder; with `trainer.seeds` the folder of each.
        resume: go on from the newest checkpoint that all have.
        stop_at: an iteration to stop at before the end.

    Raises:
        ConfigError, GuardError: as `train`; the latter only if no seed can go on.
    """
    began = time.monotonic()
    config, algorithm = trainer.config, trainer.algorithm
    restored = first_state(trainer, runs, resume) if resume else None
    announce(trainer, runs)
    trainer = compilation.side_by_side(trainer, resume)
    state, iteration, seconds = restored or first_state(trainer, runs, resume)
    last = min(algorithm.iterations, stop_at or algorithm.iterations)
    schedule = Schedule(algorithm.iterations, config.evaluations, config.checkpoints)
    compilation.wait(trainer)
    dataset_recorder = recorder(trainer, runs[0], state, resume)
    evaluations, out_of_time, stopped, failure = None, False, False, ""
    ended: dict[RunFolder, tuple[int, str]] = {}  # before the others: at which iteration, and why
    with (
        interruptible() as interrupted,
        Log(trainer, runs, began - seconds, iteration, resume) as log,
        algorithm.batches(iteration) as batches,
        Saver(runs, trainer.seeds, dataset_recorder) as saver,
    ):
        guard = Guard(trainer, runs, iteration, saver.wait)
        while iteration < last and not (out_of_time or stopped):
            state, metrics = trainer.programs.iterate(state, *next(batches))
            iteration += 1
            if dataset_recorder is not None:
                dataset_recorder.record(state)
            log.add(metrics)
            failure = failure_text(trainer, iteration == last, metrics)
            spent = time.monotonic() - began + seconds
            out_of_time = config.minutes is not None and spent > 60 * config.minutes
            out_of_time, stopped = devices.any_of(out_of_time, bool(interrupted))
            stopping = iteration == last or out_of_time or stopped or bool(failure)
            evaluating = trainer.evaluate and (out_of_time or schedule.evaluates(iteration))
            saving = stopping or schedule.saves(iteration)
            waiting = evaluating or saving or schedule.logs(iteration)
            troubles, fresh = guard.add(iteration, metrics, waiting), None
            if evaluating or stopping or troubles or schedule.logs(iteration):
                log.row(iteration)
                fresh = evaluated(trainer, state) if evaluating else None
                evaluations = fresh or evaluations
                log.write(fresh, ended)
            due = guard.due(runs if saving else (), stopping, state)
            if due:
                saver.save(due, iteration, state)
            if fresh or due:  # its checkpoint is begun by now
                policies.save(trainer, runs, state, iteration, fresh, {*ended, *guard.doubtful})
            if failure:
                raise_failure(failure, runs, saver.wait())
            ended |= {run: (iteration, trouble) for run, trouble in troubles.items()}
            say_stopped(troubles, iteration, others=len(ended) < len(runs))
    finished = out_of_time or iteration == algorithm.iterations
    say_failures(trainer.eval_env)
    signal = next(iter(interrupted), SIGTERM if stopped else None)  # maybe another process's
    end = End(iteration, finished, time.monotonic() - began, signal)
    return results(trainer, runs, end, evaluations, ended)
