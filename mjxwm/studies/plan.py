"""The cells of a study, in the order in which they run."""

import dataclasses
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from mjxwm import ConfigError
from mjxwm.runs import begun, presets
from mjxwm.runs.config import Config as RunConfig
from mjxwm.runs.config import check
from mjxwm.runs.folders import RunFolder, check_name, name_of
from mjxwm.studies.cells import Cell
from mjxwm.studies.config import Config, Gradients, Part
from mjxwm.studies.gradients import GradientCell
from mjxwm.studies.training import TrainCell


def cells(study: Config, folder: Path) -> list[Cell]:
    """All cells: the first seed of everything, then the second, ...

    Args:
        study: the study.
        folder: where it is kept.

    Raises:
        ConfigError: a preset or field is unknown or out of range, or two cells have one name.
    """
    trains = list(_trains(study, folder))
    every: list[Cell] = [*trains, *_gradients(study, trains, folder)]
    if not every:
        raise ConfigError("the study has no cell: leave_out leaves nothing of it")
    names = [cell.name for cell in every]
    for name in names:
        check_name(name)
        if names.count(name) > 1:
            raise ConfigError(f"two cells of the study are called {name}; rename a part of it")
    # Sorted by seed alone: Python keeps the order of equals, so that reports follow their runs.
    return sorted(every, key=lambda cell: study.seeds.index(cell.seed))


def _trains(study: Config, folder: Path) -> Iterator[TrainCell]:
    seeds = [study.seeds] if study.one_program else [(seed,) for seed in study.seeds]
    variants = study.variants or {"": {}}
    for task, variant, algorithm in itertools.product(study.tasks, variants, study.algorithms):
        if any(_covers(part, task, algorithm, variant) for part in study.leave_out):
            continue
        config = run_config(study, task, algorithm, variant)
        base = name_of(*filter(None, (task, variant, algorithm)))
        for group in seeds:
            yield TrainCell(
                name=base if study.one_program else f"{base}-seed{group[0]}",
                task=task,
                algorithm=algorithm,
                variant=variant,
                seeds=group,
                config=dataclasses.replace(config, seed=group[0]),
                folder=folder,
                keep_checkpoints=study.keep_checkpoints,
            )


def _covers(part: Part, task: str, algorithm: str, variant: str) -> bool:
    pairs = ((part.task, task), (part.algorithm, algorithm), (part.variant, variant))
    return all(name is None or name == value for name, value in pairs)


def run_config(study: Config, task: str, algorithm: str, variant: str) -> RunConfig:
    """The configuration of a run: the preset's, over it the study's, column's and variant's fields.

    Raises:
        ConfigError: a preset or field is unknown or out of range; the message names the part.
    """
    where = f"{' '.join(filter(None, (task, variant, algorithm)))}"
    column = study.algorithms[algorithm]
    preset = column.presets.get(task, column.preset).replace("{task}", task)
    if not preset:
        raise ConfigError(f"{where}: algorithms: {algorithm} names no preset for task {task!r}")
    values = {"algo": {}, **_preset(preset, where), "task": task}
    values = {"video": False, **values}
    shares = {share for report in study.gradients.values() for share in report.stages.values()}
    limits: dict[str, Any] = {"stages": sorted(shares)} if shares else {}
    if study.budget.minutes is not None:
        limits["minutes"] = study.budget.minutes
    if study.budget.env_steps is not None:
        limits["algo"] = {"env_steps": study.budget.env_steps}
    for fields in (study.fields, limits, column.fields, study.variants.get(variant, {})):
        values = presets.merged(values, fields)
    if values["task"] != task or "seed" in {*study.fields, *column.fields}:
        raise ConfigError(f"{where}: tasks and seeds are the study's own, not fields of a part")
    config = presets.from_dict(RunConfig, values, where)
    try:
        check(config)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from error
    return config


def _preset(name: str, where: str) -> dict[str, Any]:
    try:
        values = presets.read_with_bases(presets.preset_file(name), RunConfig.algorithm)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from error
    if not isinstance(values, dict):
        raise ConfigError(f"{where}: preset {name!r} is no mapping of fields")
    return values


def _gradients(study: Config, trains: Sequence[TrainCell], folder: Path) -> Iterator[GradientCell]:
    for (name, report), train in itertools.product(study.gradients.items(), trains):
        if not _looks_at(report, train):
            continue
        for config, run in zip(train.configs, train.runs, strict=True):
            trained = begun.compared(config)
            for stage, share in report.stages.items():
                cell = GradientCell(
                    name=f"{run.path.name}-{name_of(name, stage)}",
                    task=report.task or train.task,
                    algorithm=train.algorithm,
                    variant=train.variant,
                    seed=config.seed,
                    stage=stage,
                    share=float(share),
                    run=RunFolder(run.path),
                    trained=trained,
                    fields=report.fields,
                    folder=folder,
                    needs=(train.name,),
                )
                cell.config  # noqa: B018  refuses fields that there are not
                yield cell


def _looks_at(report: Gradients, train: TrainCell) -> bool:
    if report.variants and train.variant not in report.variants:
        return False
    if report.algorithms:
        return train.algorithm in report.algorithms
    return train.config.algorithm == "pwm"
