"""Where a run begins: its folder, and its first state or that of its newest checkpoint."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
from mjxwm_envs import registry, seeds

from mjxwm import ConfigError
from mjxwm.runs import (
    checkpoint,
    compilation,
    devices,
    folders,
    presets,
    record,
    together,
    trackers,
)
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
    trackers.check(trainer.config.track)
    config = with_folders(trainer)
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


def with_folders(trainer: Trainer) -> Config:
    """The configuration, with the folders of the user's own modules that are not installed."""
    config = trainer.config
    changes: dict[str, Any] = {}
    if config.task_folder is None and trainer.env is not None:
        changes["task_folder"] = registry.folder_of(config.task)
    if config.algorithm_folder is None:
        changes["algorithm_folder"] = registry.folder_of(config.algorithm)
    return dataclasses.replace(config, **changes)


def new_runs(trainer: Trainer, preset: str, name: str | None, folder: Path) -> list[RunFolder]:
    """`new_run` for each of several seeds: NAME-seed0, NAME-seed1, ..., configured as if alone.

    Raises:
        ConfigError: one of the runs exists; then none is made.
    """
    assert trainer.seeds is not None
    name = folders.default_name(preset) if name is None else name
    names = [f"{name}-seed{seed}" for seed in trainer.seeds]
    for one in names:
        folders.check_name(one)
        if folders.learned(folder / one):
            raise ConfigError(folders.exists(folder / one))
    configs = [dataclasses.replace(trainer.config, seed=seed) for seed in trainer.seeds]
    return [
        new_run(trainer._replace(config=config), preset, one, folder)
        for config, one in zip(configs, names, strict=True)
    ]


def first_state(
    trainer: Trainer, runs: Sequence[RunFolder], resume: bool
) -> tuple[Any, int, float]:
    """Where runs begin or go on: their state, its iteration, and seconds spent so far.

    Args:
        trainer: what is trained.
        runs: one run, or those of `trainer.seeds`, whose states are returned as one, stacked.
        resume: whether to go on from checkpoints, the newest that all runs have.

    Raises:
        ConfigError: there is no checkpoint to resume from.
    """
    if not resume:
        return compilation.first(trainer, trainer.keys(seeds.key)), 0, 0.0
    states = _states_of_one_iteration(trainer, runs)
    iteration = int(states[0].iteration)
    state = states[0] if trainer.seeds is None else together.stack(states)
    # The process that leads rewrites the record; nobody else looks at it meanwhile.
    minutes = [record.minutes(run.metrics, iteration) for run in runs if devices.leads()]
    return state, iteration, 60 * max(minutes, default=0.0)


def _states_of_one_iteration(trainer: Trainer, runs: Sequence[RunFolder]) -> list[Any]:
    """The state of each run that goes on, of the newest iteration that all have whole."""
    while True:
        if trainer.seeds is not None:
            together.rewind(runs)
        states = [_restored(trainer, run) for run in runs]
        devices.refuse("")  # all processes have read before one of them renames
        for run, state in zip(runs, states, strict=True) if devices.leads() else ():
            if checkpoint.set_aside(run.checkpoints, int(state.iteration)) and trainer.config.data:
                print(
                    f"note     {trainer.config.data} has what {run.path} collected after iteration "
                    f"{int(state.iteration)} already; it is added again",
                    flush=True,
                )
        if len({int(state.iteration) for state in states}) == 1:
            return states


def _restored(trainer: Trainer, run: RunFolder) -> Any:
    key = seeds.key(trainer.config.seed)
    shapes = trainer.programs.place(jax.eval_shape(trainer.algorithm.init, key))
    try:
        return checkpoint.restore(run.checkpoints, shapes)
    except FileNotFoundError as error:
        raise ConfigError(
            f"{error}: run {run.path} ended before its first one; it cannot be resumed, train anew"
        ) from error


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
    state = _restored(trainer, run)
    return trainer, state, int(state.iteration)


def eval_key(seed: int) -> jax.Array:
    """Key of the evaluations of a run with this seed."""
    return jax.random.fold_in(seeds.key(seed), 0x0E7A1)
