"""A run that is over, and a longer budget with which it goes on."""

import dataclasses
from collections.abc import Sequence

from mjxwm import ConfigError
from mjxwm.runs import checkpoint, checksums, devices, folders, locks, manifests, presets, record
from mjxwm.runs.build import Trainer
from mjxwm.runs.config import Config, check
from mjxwm.runs.folders import RunFolder
from mjxwm.runs.result import End, Result, results


def over(trainer: Trainer, runs: Sequence[RunFolder]) -> list[Result]:
    """The outcome of runs whose budget or time was spent before; empty where one can go on.

    Nothing is compiled for it. A run whose last checkpoint is damaged goes on from the one before.

    Args:
        trainer: what would go on.
        runs: the run's folder; with `trainer.seeds` the folder of each.
    """
    least = 0
    if devices.leads():
        least = min(_spent_at(trainer, run) for run in runs)
    iteration = devices.of_the_first(least)
    if not iteration:
        return []
    return results(trainer, runs, End(iteration, True, 0.0, None), None, {})


def _spent_at(trainer: Trainer, run: RunFolder) -> int:
    """The iteration at which a run is over; 0 if it is not."""
    iteration = checkpoint.latest(run.checkpoints) or 0
    if not iteration or manifests.damage(run.checkpoints / str(iteration)):
        return 0
    limit = trainer.config.minutes
    late = limit is not None and record.minutes(run.metrics, iteration) > limit
    return iteration if late or iteration >= trainer.algorithm.iterations else 0


def change(runs: Sequence[RunFolder], env_steps: int | None, minutes: float | None) -> None:
    """Writes another budget into the configurations of runs, which go on with it.

    Args:
        runs: those of one program; all of them are changed, or none.
        env_steps: the new budget, of which the steps so far are a part; None leaves it.
        minutes: the new time, likewise.

    Raises:
        ConfigError: a run is past the new budget already, has none of this kind, or is in use.
    """
    error = ""
    if devices.leads() and (env_steps, minutes) != (None, None):
        try:
            configs = [_changed(run, env_steps, minutes) for run in runs]
            for run in runs:
                locks.acquire(run.path)
            for run, config in zip(runs, configs, strict=True):
                with checksums.replacing(run.config.resolve()) as partial:
                    presets.save_yaml(config, partial)
        except ConfigError as refusal:
            error = str(refusal)
    devices.refuse(error)


def _changed(run: RunFolder, env_steps: int | None, minutes: float | None) -> Config:
    before = presets.load_yaml(Config, run.config)
    config = before
    if minutes is not None:
        config = dataclasses.replace(config, minutes=minutes)
    if env_steps is not None:
        if not before.algo.env_steps:
            raise ConfigError(
                f"--env-steps: {run.path} is of {before.algorithm}, which counts updates: change "
                f"`updates` in {run.config}, and resume it"
            )
        algo = dataclasses.replace(before.algo, env_steps=env_steps)
        config = dataclasses.replace(config, algo=algo)
    check(config)
    done = checkpoint.latest(run.checkpoints) or 0
    if env_steps is not None and config.algo.iterations <= done:
        raise ConfigError(
            f"--env-steps {env_steps}: {run.path} is past that, at iteration {done} of "
            f"{before.algo.iterations} for {before.algo.env_steps} env steps; give more"
        )
    spent = record.minutes(run.metrics, done)
    if minutes is not None and spent >= minutes:
        raise ConfigError(
            f"--minutes {minutes:g}: {run.path} has taken {spent:.1f} already; give more"
        )
    for line in _consequences(before, config, done):
        print(f"note     {line}", flush=True)
    return config


def _consequences(before: Config, now: Config, done: int) -> list[str]:
    """What another number of env steps changes beside the end."""
    if before.algo.iterations == now.algo.iterations:
        return []
    lines = ["evaluations and checkpoints are spread over the whole of the new budget"]
    rates = [
        f"{name} goes on at {_rate(now, name, done):.2g}, not {_rate(before, name, done):.2g}"
        for name in now.algo.falling
        if getattr(now.algo, name) > now.algo.final_lr
    ]
    if rates:
        what = "learning rates fall over the whole of it, as if it had been the budget from the"
        lines.append(f"{what} start: {', '.join(rates)}")
    return lines


def _rate(config: Config, name: str, done: int) -> float:
    """A learning rate that falls linearly over the budget, after so many iterations."""
    first, last = getattr(config.algo, name), config.algo.final_lr
    return first + (last - first) * min(1.0, done / config.algo.iterations)


def way_on(runs: Sequence[RunFolder], config: Config) -> str:
    """The command that lets runs go on whose budget or time is spent."""
    more = ""
    if config.algo.env_steps:
        more = f" --env-steps {2 * config.algo.env_steps}"
    if config.minutes is not None:
        more += f" --minutes {2 * config.minutes:g}"
    paths = " ".join(folders.quoted(run.path) for run in runs)
    return f"mjxwm train --resume {paths}{more}"
