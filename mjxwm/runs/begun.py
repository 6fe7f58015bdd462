"""Runs that were begun before by the same command, as a scheduler gives it again."""

import dataclasses
from pathlib import Path
from typing import Any

from mjxwm import ConfigError
from mjxwm.runs import devices, folders, presets, together
from mjxwm.runs.config import Config
from mjxwm.runs.folders import RunFolder

_MAY_DIFFER = {"devices", "task_folder", "algorithm_folder", "track", "stages"}


def runs(config: Config, seeds: int, name: str | None, folder: Path) -> list[RunFolder]:
    """The runs of a command that have a checkpoint to go on from; none if it is to begin.

    Args:
        config: the configuration that the command has.
        seeds: the number of its seeds.
        name: the run's name, or what the names of the seeds' runs begin with.
        folder: where runs are kept.

    Raises:
        ConfigError: there is no name; the runs are configured otherwise, which must not go
            unnoticed; or some seeds have a checkpoint and others have none.
    """
    if name is None:
        raise ConfigError("--go-on needs the name of the run: --run NAME")
    each = together.numbered(config.seed, seeds)
    names = [name] if seeds == 1 else [f"{name}-seed{seed}" for seed in each]
    configs = [dataclasses.replace(config, seed=seed) for seed in each]
    candidates = [RunFolder(folder / one) for one in names]
    learned = [folders.learned(run.path) for run in candidates]
    error = ""
    if any(learned) and not all(learned):
        error = _apart(candidates, learned)
    elif all(learned):
        error = next(filter(None, map(_differs, candidates, configs)), "")
    devices.refuse(error)  # all processes of a run have looked before one of them begins it
    return candidates if all(learned) else []


def _apart(candidates: list[RunFolder], learned: list[bool]) -> str:
    ready = [str(run.path) for run, has in zip(candidates, learned, strict=True) if has]
    others = [str(run.path) for run, has in zip(candidates, learned, strict=True) if not has]
    return (
        f"{', '.join(others)}: without a checkpoint, unlike {', '.join(ready)}. Go on with these "
        "by `mjxwm train --resume`, and train the other seeds by themselves"
    )


def edits(run: RunFolder, config: Config) -> list[str]:
    """How a run's configuration differs from this one, but for what changes no learning.

    Raises:
        ConfigError: it cannot be read.
    """

    kept = presets.load_yaml(Config, folders.find(run.path).config)
    return presets.differences(compared(kept), compared(config))


def compared(config: Config) -> dict[str, Any]:
    """The plain values of a configuration that change what is learned."""
    values = presets.to_dict(config)
    return {name: value for name, value in values.items() if name not in _MAY_DIFFER}


def of_budget(changes: list[str]) -> bool:
    """Whether these differences are of the budget alone."""
    return all(change.startswith(("algo.env_steps:", "minutes:")) for change in changes)


def way_to_budget(run: RunFolder, config: Config) -> str:
    """The command that goes on with a run up to the budget of a configuration."""
    steps = f" --env-steps {config.algo.env_steps}" if config.algo.env_steps else ""
    minutes = "" if config.minutes is None else f" --minutes {config.minutes:g}"
    return f"mjxwm train --resume {folders.quoted(run.path)}{steps}{minutes}"


def _differs(run: RunFolder, config: Config) -> str:
    changes = edits(run, config)
    if not changes:
        return ""
    if of_budget(changes):
        return (
            f"run {run.path} has another budget: {'; '.join(changes)}. Change it by "
            f"`{way_to_budget(run, config)}`"
        )
    return (
        f"run {run.path} is configured otherwise: {'; '.join(changes)}. Go on with it as it is by "
        f"`mjxwm train --resume {folders.quoted(run.path)}`, or give another name with --run"
    )
