"""The benchmarks by name: what each is asked, and how it answers."""

import dataclasses
import importlib
from collections.abc import Callable
from typing import Any, NamedTuple

from mjxwm import ConfigError
from mjxwm.bench.record import Report, Series
from mjxwm.runs import progress

Say = Callable[[str], None]


class Part(NamedTuple):
    """One benchmark."""

    about: str
    module: str
    """The module of `mjxwm.bench` with its configuration: loaded when it is needed."""
    report: Callable[[Any, Any, Say], Report]
    """(the module, configuration, what prints lines as it goes) -> what was measured."""

    @property
    def config(self) -> Any:
        """The dataclass of its configuration."""
        return self._loaded.Config

    def run(self, config: Any, say: Say) -> Report:
        """Measures, and prints lines by `say` as it goes."""
        return self.report(self._loaded, config, say)

    @property
    def _loaded(self) -> Any:
        return importlib.import_module(f"mjxwm.bench.{self.module}")


def _whole(module: Any, config: Any, say: Say) -> Report:
    """The report of a module that prints as it goes."""
    return module.run(config, say)


def _silent(module: Any, config: Any, say: Say) -> Report:
    """The report of a module that prints nothing as it goes."""
    with progress.step("measures"):
        return module.run(config)


def _simulation(simulation: Any, config: Any, say: Say) -> Report:
    from mjxwm.runs import presets as configuration
    from mjxwm.runs.config import Config as TrainConfig

    preset = configuration.load_preset(TrainConfig, config.preset)
    if preset.algorithm != "pwm":
        raise ConfigError(
            f"preset {config.preset!r} is of {preset.algorithm}; bench sim measures the "
            "collection of pwm, so choose one of its presets"
        )
    algo = preset.algo
    if config.act_in:
        algo = dataclasses.replace(algo, act_in=config.act_in)
    with progress.step("measures collection and the bare simulator"):
        rows = simulation.run(config, algo)
    details = [row._asdict() for row in rows]
    return Report(simulation.table(rows), simulation.series(rows), details)


def _gradients(gradients: Any, config: Any, say: Say) -> Report:
    with progress.step("measures gradients, compilation included"):
        row = gradients.run(config)
    programs = [program._asdict() for program in row.programs]
    series = [Series(program.name, "s", program.seconds) for program in row.programs]
    return Report(gradients.table(row), series, row._asdict() | {"programs": programs})


def _learner(learner: Any, config: Any, say: Say) -> Report:
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


def _planner(planning: Any, config: Any, say: Say) -> Report:
    with progress.step("measures planner and policy"):
        row = planning.run(config)
    named = {"planner": row.planner, "policy": row.policy, "planner, torch": row.peer}
    series = [Series(name, "s per call", times) for name, times in named.items() if times]
    return Report(planning.table(config, row), series, row._asdict())


PARTS = {
    "sim": Part("collection against the bare simulator", "simulation", _simulation),
    "replay": Part("inserts and batches against flashbax and numpy", "buffers", _silent),
    "learner": Part("parameters and updates/s, against torch", "learner", _learner),
    "train": Part("where an iteration's time goes", "iteration", _silent),
    "scaling": Part("worlds from few to many, devices from 1 to 8", "scaling", _whole),
    "kernels": Part(
        "a preset's programs compiled for a GPU that need not be here", "meter.command", _whole
    ),
    "planner": Part("time per action: planner, policy, torch", "planning", _planner),
    "gradients": Part(
        "a gradient's cost, against the rollout and an unrolled solver", "gradients", _gradients
    ),
}
