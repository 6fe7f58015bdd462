"""A run, from its environment to its last checkpoint.

The other modules of this room do the parts: `config` is the configuration, `build` makes
environment and algorithm of it, `folders`, `checkpoint` and `record` keep the run on disk,
`evaluate` runs episodes, and `together` says how the runs of several seeds are one program.
"""

import dataclasses
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax

from mjxwm import ConfigError
from mjxwm.runs import compilation, devices, folders, presets, together
from mjxwm.runs.announce import announce, failure_text, say_ended, say_failures
from mjxwm.runs.build import Trainer, build
from mjxwm.runs.config import Config
from mjxwm.runs.evaluate import Evaluation
from mjxwm.runs.folders import RunFolder
from mjxwm.runs.log import Log
from mjxwm.runs.recorder import recorder
from mjxwm.runs.schedule import Schedule
from mjxwm.runs.start import eval_key, first_state, new_run
from mjxwm.runs.stops import interruptible


class Result(NamedTuple):
    """The outcome of a run."""

    config: Config
    run: RunFolder
    evaluation: Evaluation | None
    """The evaluation at its end; None if it was interrupted before, or has no environment."""
    finished: bool
    """Whether its budget, or its time (`minutes`), is spent; False after Ctrl-C or `stop_at`."""
    iteration: int
    env_steps: int
    seconds: float
    """Wall-clock time of this process's part of the run, compilation included."""
    trouble: str = ""
    """Why it ended before the other seeds of its program; empty if it did not."""


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
    """Goes on with a run from its newest checkpoint, with fields of its configuration changed.

    Raises:
        ConfigError: there is no checkpoint; and as `train`.
    """
    if devices.leads():
        folders.say_edits(run)  # first: they may be why it cannot go on
    config = dataclasses.replace(presets.load_yaml(Config, run.config), **changes)
    return train(build(config), run, resume=True)


def train(
    trainer: Trainer, run: RunFolder, resume: bool = False, stop_at: int | None = None
) -> Result:
    """Trains until the budget of env steps or `minutes` is spent, or Ctrl-C.

    Args:
        trainer: of `build.build`.
        run: the run's folder.
        resume: go on from the newest checkpoint, bitwise as if it had never stopped.
        stop_at: an iteration to stop at before the end.

    Raises:
        ConfigError: there is nothing to resume, a foreign world failed, or nothing is learned.
    """
    (result,) = train_runs(trainer, [run], resume, stop_at)
    return result


def train_runs(
    trainer: Trainer,
    runs: Sequence[RunFolder],
    resume: bool = False,
    stop_at: int | None = None,
) -> list[Result]:
    """`train` for a run, or for the runs of several seeds that train in one program.

    A seed of several that learns nothing ends by itself, saved, and the others go on.

    Args:
        trainer: of `build.build`.
        runs: the run's folder; with `trainer.seeds` the folder of each.
        resume: go on from the newest checkpoint that all have.
        stop_at: an iteration to stop at before the end.

    Raises:
        ConfigError: as `train`; that nothing is learned only if no seed learns anything.
    """
    began = time.monotonic()
    config, algorithm = trainer.config, trainer.algorithm
    restored = first_state(trainer, runs, resume) if resume else None
    trainer = compilation.side_by_side(trainer, resume)
    state, iteration, seconds = restored or first_state(trainer, runs, resume)
    last = min(algorithm.iterations, stop_at or algorithm.iterations)
    schedule = Schedule(algorithm.iterations, config.evaluations, config.checkpoints)
    announce(trainer, runs, state)
    compilation.wait(trainer)
    dataset_recorder = recorder(trainer, state, resume)
    evaluations, out_of_time, stopped, failure = None, False, False, ""
    ended: dict[RunFolder, tuple[int, str]] = {}  # before the others: at which iteration, and why
    with (
        Log(trainer, runs, began - seconds, iteration, resume) as log,
        interruptible() as interrupted,
        algorithm.batches(iteration) as batches,
    ):
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
            troubles: dict[RunFolder, str] = {}
            if evaluating or stopping or schedule.logs(iteration):
                log.row(iteration)
                if evaluating:
                    evaluations = evaluated(trainer, state)
                troubles = log.write(evaluations if evaluating else None, ended)
            due = runs if stopping or schedule.saves(iteration) else troubles
            if due:
                due = [run for run in due if run not in ended]
                together.save(runs, trainer.seeds, due, iteration, state)
                if dataset_recorder is not None:
                    dataset_recorder.flush()
            if failure:
                (path,) = (folders.quoted(run.path) for run in runs)
                raise ConfigError(
                    f"{failure} The run is saved: `mjxwm train --resume {path}`"
                    " goes on; with `on_failure: go-on` in its config.yaml, past what fails."
                )
            ended |= {run: (iteration, trouble) for run, trouble in troubles.items()}
            if troubles:
                say_ended(troubles, iteration, others=len(ended) < len(runs))
    finished = out_of_time or iteration == algorithm.iterations
    say_failures(trainer)
    seconds = time.monotonic() - began
    results = []
    for i, run in enumerate(runs):
        at, trouble = ended.get(run, (iteration, ""))
        through, steps = finished and not trouble, algorithm.env_steps(at)
        evaluation = evaluations[i] if through and evaluations else None
        config_of_run = dataclasses.replace(config, seed=(trainer.seeds or [config.seed])[i])
        results.append(Result(config_of_run, run, evaluation, through, at, steps, seconds, trouble))
    return results


def evaluated(trainer: Trainer, state: Any) -> list[Evaluation]:
    """Evaluates a state, or each seed's part of a stacked one.

    The start states are the same every time, and never those of the training.
    """
    assert trainer.evaluate is not None
    keys = trainer.keys(eval_key)
    evaluations = jax.device_get(trainer.evaluate(devices.local(state), keys))
    return together.each(evaluations, trainer.seeds)
