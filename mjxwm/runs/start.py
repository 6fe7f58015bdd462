"""Where a run begins: its folder, and its first state or that of its newest checkpoint."""

import dataclasses
from pathlib import Path
from typing import Any

import jax
from mjxwm_envs import registry, seeds

from mjxwm import ConfigError
from mjxwm.runs import checkpoint, devices, folders, presets, record
from mjxwm.runs.build import Trainer, build
from mjxwm.runs.config import Config
from mjxwm.runs.folders import RunFolder


def new_run(trainer: Trainer, preset: str, name: str | None, folder: Path) -> RunFolder:
    """Makes the folder of a new run, with its configuration in it.

    Args:
        trainer: of `build.build`, which has checked the configuration.
        preset: the preset's name, for that of the run.
        name: the run's name; by default the preset's with the date and time.
        folder: where runs are kept.

    Raises:
        ConfigError: the run exists, or several processes have no common name for it.
    """
    config = trainer.config
    if config.task_folder is None and trainer.env is not None:
        config = dataclasses.replace(config, task_folder=registry.folder_of(config.task))
    if jax.process_count() > 1 and name is None:
        raise ConfigError("a run of several processes needs a name: --run NAME")
    error, run = "", RunFolder(folder / name) if name else None
    if devices.leads():
        try:
            run = folders.create(folder, name, preset)
            presets.save_yaml(config, run.config)
        except ConfigError as refusal:
            error = str(refusal)
    devices.refuse(error)
    assert run is not None
    return run


def first_state(trainer: Trainer, run: RunFolder, resume: bool) -> tuple[Any, int, float]:
    """Where a run begins or goes on: its state, its iteration, and seconds spent so far.

    Raises:
        ConfigError: there is no checkpoint to resume from.
    """
    key = seeds.key(trainer.config.seed)
    if not resume:
        return trainer.programs.init(key), 0, 0.0
    shapes = trainer.programs.place(jax.eval_shape(trainer.algorithm.init, key))
    try:
        state = checkpoint.restore(run.checkpoints, shapes)
    except FileNotFoundError as error:
        raise ConfigError(
            f"{error}: run {run.path} ended before its first one; it cannot be resumed or "
            "evaluated, train anew"
        ) from error
    iteration = int(state.iteration)
    # The process that leads rewrites the record; nobody else looks at it meanwhile.
    return state, iteration, 60 * record.minutes(run.metrics, iteration) if devices.leads() else 0.0


def load(run: RunFolder, **changes: Any) -> tuple[Trainer, Any, int]:
    """A run that was trained before, with fields of its configuration changed, on one device.

    Returns:
        What it is made of, the training state of the newest checkpoint, and its iteration.

    Raises:
        ConfigError: there is no checkpoint, or a field is out of range.
    """
    config = presets.load_yaml(Config, run.config)
    config = dataclasses.replace(config, **{"devices": 1} | changes)
    # It was trained somewhere, maybe on more memory than a look at it takes here.
    trainer = build(config, fits=False)
    state, iteration, _ = first_state(trainer, run, resume=True)
    return trainer, state, iteration


def eval_key(seed: int) -> jax.Array:
    """Key of the evaluations of a run with this seed."""
    return jax.random.fold_in(seeds.key(seed), 0x0E7A1)
