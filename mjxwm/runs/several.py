"""Runs of several seeds in one program, begun and resumed together; see `together`."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mjxwm import ConfigError
from mjxwm.runs import budgets, folders, presets, together
from mjxwm.runs.build import build
from mjxwm.runs.config import Config
from mjxwm.runs.folders import RunFolder
from mjxwm.runs.loop import train_runs
from mjxwm.runs.result import Result
from mjxwm.runs.start import new_runs


def run(config: Config, number: int, preset: str, name: str | None, folder: Path) -> list[Result]:
    """New runs of the seeds from the configuration's on, each with a folder of its own.

    Raises:
        ConfigError: as `loop.run`, or one program cannot train several seeds of it.
    """
    trainer = build(config, seeds=together.numbered(config.seed, number))
    return train_runs(trainer, new_runs(trainer, preset, name, folder))


def resume(runs: Sequence[RunFolder], **changes: Any) -> list[Result]:
    """Goes on with several runs, which differ in their seeds alone, in one program.

    Raises:
        ConfigError: they differ in more, or have no checkpoint of one iteration; and as
            `loop.train`.
    """
    for run in runs:
        folders.say_edits(run)
    configs = [dataclasses.replace(c, **changes) for c in configurations(runs)]
    trainer = build(configs[0], seeds=tuple(config.seed for config in configs))
    return budgets.over(trainer, runs) or train_runs(trainer, runs, resume=True)


def configurations(runs: Sequence[RunFolder]) -> list[Config]:
    """The configurations of runs that are to go on in one program, which differ in seeds alone.

    Raises:
        ConfigError: they differ in more, or a run is given twice.
    """
    paths = [run.path.resolve() for run in runs]
    for run, path in zip(runs, paths, strict=True):
        if paths.count(path) > 1:
            raise ConfigError(f"run {run.path} is given twice")
    configs = [presets.load_yaml(Config, run.config) for run in runs]
    for run, config in zip(runs, configs, strict=True):
        if dataclasses.replace(config, seed=configs[0].seed) != configs[0]:
            values = [presets.read_yaml(r.config) | {"seed": 0} for r in (runs[0], run)]
            raise ConfigError(
                f"runs that go on in one program differ in nothing but their seeds, but {run.path} "
                f"differs from {runs[0].path}: {'; '.join(presets.differences(*values))}"
            )
    return configs
