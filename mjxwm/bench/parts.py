"""The benchmarks by name: what each is asked, and how it answers."""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

from mjxwm import ConfigError
from mjxwm.bench import (
    buffers,
    gradients,
    iteration,
    learner,
    planning,
    scaling,
    simulation,
)
from mjxwm.bench.meter import command as meter
from mjxwm.bench.record import Report, Series
from mjxwm.runs import presets as configuration
from mjxwm.runs.config import Config as TrainConfig

Say = Callable[[str], None]


class Part(NamedTuple):
    """One benchmark."""

    about: str
    config: Any
    """The dataclass of its settings."""
    run: Callable[[Any, Say], Report]
    """(settings, what prints lines as it goes) -> what it found."""


def _simulation(config: simulation.Config, say: Say) -> Report:
    preset = configuration.load_preset(TrainConfig, config.preset)
    if preset.algorithm != "pwm":
        raise ConfigError(
            f"preset {config.preset!r} is of {preset.algorithm}; bench sim measures the "
            "collection of pwm, so choose one of its presets"
        )
    algo = preset.algo
    if config.act_in:
        algo = dataclasses.replace(algo, act_in=config.act_in)
    rows = simulation.run(config, algo)
    details = [row._asdict() for row in rows]
    return Report(simulation.table(rows), simulation.series(rows), details)


def _gradients(config: gradients.Config, say: Say) -> Report:
    row = gradients.run(config)
    programs = [program._asdict() for program in row.programs]
    series = [Series(program.name, "s", program.seconds) for program in row.programs]
    return Report(gradients.table(row), series, row._asdict() | {"programs": programs})


def _learner(config: learner.Config, say: Say) -> Report:
    counts = learner.count(config)
    for size, parts in counts.items():
        named = ", ".join(f"{name} {count:,}" for name, count in parts.items() if count)
        say(f"{size} on {config.task_set}: {named}")
    details: dict[str, Any] = {"task_set": config.task_set, "parameters": counts}
    if config.count_only:
        return Report("", [], details)
    say(learner.HEADER)
    rows = learner.run(config, say)
    details["rows"] = [
        row._asdict() | {"ratio": row.ratio, "share_of_product": row.share_of_product}
        for row in rows
    ]
    series = [Series(row.name, "s per update", row.ours) for row in rows]
    return Report("", series, details)


def _planner(config: planning.Config, say: Say) -> Report:
    row = planning.run(config)
    named = {"planner": row.planner, "policy": row.policy, "planner, torch": row.peer}
    series = [Series(name, "s per call", times) for name, times in named.items() if times]
    return Report(planning.table(config, row), series, row._asdict())


PARTS = {
    "sim": Part("collection against the bare simulator", simulation.Config, _simulation),
    "replay": Part(
        "inserts and batches against flashbax and numpy",
        buffers.Config,
        lambda config, say: buffers.run(config),
    ),
    "learner": Part("parameters and updates/s, against torch", learner.Config, _learner),
    "train": Part(
        "where an iteration's time goes",
        iteration.Config,
        lambda config, say: iteration.run(config),
    ),
    "scaling": Part("worlds from few to many, devices from 1 to 8", scaling.Config, scaling.run),
    "kernels": Part(
        "a preset's programs compiled for a GPU that need not be here", meter.Config, meter.run
    ),
    "planner": Part("time per action: planner, policy, torch", planning.Config, _planner),
    "gradients": Part(
        "a gradient's cost, against the rollout and an unrolled solver",
        gradients.Config,
        _gradients,
    ),
}
