"""What the multi-task commands share: their presets, and where runs go."""

import dataclasses
from pathlib import Path
from typing import Any

from mjxwm_envs.fields import nearest

from mjxwm import ConfigError
from mjxwm.runs.presets import is_file_name, load_preset, preset_names, presets_folder

_FOLDER = "multitask"


@dataclasses.dataclass(frozen=True)
class Output:
    """Where a run goes."""

    run: str | None = None
    """Name of the run; by default made of preset, task, date and time."""
    folder: Path = Path("runs")
    """Where runs are kept."""
    json: Path | None = None
    """File for the result."""


def multitask_presets() -> list[str]:
    """Names of the shipped multi-task presets."""
    return preset_names(_FOLDER)


def load_multitask(name: str) -> Any:
    """A shipped multi-task preset by name, or any YAML file by its path."""
    from mjxwm.algos.multitask import Config

    if is_file_name(name):
        return load_preset(Config, name)
    if name not in multitask_presets():
        raise ConfigError(
            f"multi-task preset {name!r} is unknown{nearest(name, multitask_presets())}. "
            f"There are: {', '.join(multitask_presets())}; a path that ends in .yaml reads a file "
            "of your own"
        )
    return load_preset(Config, str(presets_folder() / _FOLDER / f"{name}.yaml"))


def first(args: list[str], command: str, what: str) -> tuple[str, list[str]]:
    """The preset that a command names, and the other arguments."""
    if args and args[0] in ("-h", "--help"):
        return multitask_presets()[0], args  # its options are those of all
    if not args or args[0].startswith("-"):
        raise ConfigError(
            f"{command} needs {what}: mjxwm {command} NAME; there are: "
            f"{', '.join(multitask_presets())}"
        )
    return args[0], args[1:]
