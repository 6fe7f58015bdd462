"""The file of a study: a question, and the matrix of cells that is to answer it."""

import dataclasses
from pathlib import Path
from typing import Any

from mjxwm_envs.fields import nearest

from mjxwm import ConfigError
from mjxwm.maths import ranges
from mjxwm.runs import presets

FOLDER = "studies"
"""Folder of the shipped studies, among the presets."""


@dataclasses.dataclass(frozen=True)
class Algorithm:
    """A column of the matrix: presets and what is changed in them."""

    preset: str = ""
    """Name or path of the preset; `{task}` in it stands for the task."""
    presets: dict[str, str] = dataclasses.field(default_factory=dict)
    """Presets of single tasks, by the task's name, in place of `preset`."""
    fields: dict[str, Any] = dataclasses.field(default_factory=dict)
    """Fields of the run's configuration, nested as in presets, in place of the preset's."""


@dataclasses.dataclass(frozen=True)
class Budget:
    """What each run may take; a run ends at whichever comes first."""

    env_steps: int | None = None
    """Env steps, over all worlds; by default the preset's."""
    minutes: float | None = None
    """Wall-clock time of a run, compilation included; by default no limit."""


@dataclasses.dataclass(frozen=True)
class Part:
    """A part of the matrix; a name that is left out stands for all."""

    task: str | None = None
    algorithm: str | None = None
    variant: str | None = None


@dataclasses.dataclass(frozen=True)
class Gradients:
    """Gradient reports of the runs of some columns of the matrix, at stages of their training."""

    algorithms: tuple[str, ...] = ()
    """Names of the study's algorithms; by default those whose runs learn by PWM."""
    variants: tuple[str, ...] = ()
    """Names of the study's variants; by default all."""
    stages: dict[str, float] = dataclasses.field(
        default_factory=lambda: {"early": 0.1, "middle": 0.4, "late": 1.0}
    )
    """By name: the share of a run's iterations after which its policy is looked at."""
    task: str | None = None
    """The task that gradients are measured on, such as a stiffer one; by default the run's own."""
    fields: dict[str, Any] = dataclasses.field(default_factory=dict)
    """Fields of `mjxwm gradients`, as on its command line: {horizon: 16, samples: 64}."""


@dataclasses.dataclass(frozen=True)
class Config:
    """A study."""

    title: str
    """A few words."""
    tasks: tuple[str, ...]
    """Names of tasks."""
    algorithms: dict[str, Algorithm]
    """By name: what is compared."""
    question: str = ""
    """A sentence: what the study is to answer."""
    variants: dict[str, dict[str, Any]] = dataclasses.field(default_factory=dict)
    """By name: fields of the run's configuration, such as {task_fields: {contact_time: 0.005}}; all
    of the matrix runs with each. By default there is one, which changes nothing."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """Seeds of each run; the first of everything runs first."""
    budget: Budget = Budget()
    """What each run may take."""
    fields: dict[str, Any] = dataclasses.field(default_factory=dict)
    """Fields of every run's configuration, such as {evaluations: 40}."""
    leave_out: tuple[Part, ...] = ()
    """Parts of the matrix that do not run."""
    gradients: dict[str, Gradients] = dataclasses.field(default_factory=dict)
    """By name: gradient reports of runs of this study."""
    jobs: int | None = None
    """Cells at once; by default one for each GPU, or one for every two cores."""
    one_program: bool = False
    """Whether the seeds of a cell train in one program, as with `mjxwm train --seeds`."""
    keep_checkpoints: bool = True
    """Whether runs that are done keep their checkpoints. Without these a run takes far less of the
    disk and is evaluated, exported and reported as others are, but cannot go on."""


def names() -> list[str]:
    """Names of the shipped studies."""
    return presets.preset_names(FOLDER)


def load(name: str) -> Config:
    """A shipped study by name, or any YAML file by its path.

    Raises:
        ConfigError: there is no such study, or a field of it is unknown, ill-typed or missing.
    """
    if presets.is_file_name(name):
        path = Path(name)
    elif name in names():
        path = presets.presets_folder() / FOLDER / f"{name}.yaml"
    else:
        raise ConfigError(
            f"study {name!r} is unknown{nearest(name, names())}. There are: "
            f"{', '.join(names())}; a path that ends in .yaml reads a file of your own"
        )
    return read(presets.read_with_bases(path), str(path))


def read(values: Any, where: str) -> Config:
    """A study of the plain values of its file, checked as far as they tell.

    Args:
        values: what the file says.
        where: its path, for errors.

    Raises:
        ConfigError: a field is unknown, ill-typed, missing or out of range.
    """
    lacking = [n for n in ("title", "tasks", "algorithms") if not (values or {}).get(n)] if (
        isinstance(values, dict) or values is None
    ) else []  # fmt: skip
    if lacking:
        raise ConfigError(f"{where}: a study needs {' and '.join(lacking)}")
    config = presets.from_dict(Config, values, where)
    try:
        _check(config)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from error
    return config


def _check(config: Config) -> None:
    ranges.sound(config)
    if not config.seeds:
        raise ConfigError("seeds=[] is empty; a study needs at least one")
    for name in ("seeds", "tasks"):
        values = getattr(config, name)
        if twice := next((value for value in values if values.count(value) > 1), None):
            raise ConfigError(f"{name}: {twice!r} is there twice")
    if config.one_program and list(config.seeds) != [*range(config.seeds[0], config.seeds[-1] + 1)]:
        raise ConfigError(f"one_program takes seeds that follow one another, not {config.seeds}")
    if config.jobs is not None and config.jobs < 1:
        raise ConfigError(f"jobs={config.jobs} is out of range; it must be at least 1")
    minutes, steps = config.budget.minutes, config.budget.env_steps
    if minutes is not None and not minutes > 0:
        raise ConfigError(f"budget: minutes={minutes} is out of range; it must be above 0")
    if steps is not None and steps < 1:
        raise ConfigError(f"budget: env_steps={steps} is out of range; it must be at least 1")
    _check_names(config)


def _check_names(config: Config) -> None:
    """Refuses names of parts that the study does not have."""
    parts = {
        "task": config.tasks, "algorithm": config.algorithms, "variant": config.variants
    }  # fmt: skip
    for part in config.leave_out:
        for kind, values in parts.items():
            if (name := getattr(part, kind)) is not None:
                _check_name(f"leave_out: {kind}", name, values)
    for name, algorithm in config.algorithms.items():
        for task in algorithm.presets:
            _check_name(f"algorithms: {name}: presets", task, config.tasks)
    for name, report in config.gradients.items():
        for kind in ("algorithms", "variants"):
            for value in getattr(report, kind):
                _check_name(f"gradients: {name}: {kind}", value, getattr(config, kind))
        for stage, share in report.stages.items():
            if not 0 < share <= 1:
                raise ConfigError(
                    f"gradients: {name}: stages: {stage}={share!r} is out of range; it is a share "
                    "of the run, above 0 and up to 1"
                )


def _check_name(where: str, name: str, choices: Any) -> None:
    if name not in choices:
        raise ConfigError(
            f"{where}={name!r} is not in the study{nearest(name, choices)}. "
            f"There are: {', '.join(choices) or 'none'}"
        )
