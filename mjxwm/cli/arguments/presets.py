"""What the multi-task commands share: their presets, and where runs go."""

import dataclasses
from pathlib import Path
from typing import Any

from mjxwm_envs.fields import nearest

from mjxwm import ConfigError
from mjxwm.runs.presets import is_file_name, load_preset, preset_names, presets_folder

_FOLDER = "multitask"
_SMALL = "mt4-cpu"
"""The set that every machine can collect and learn."""


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


def of_task(name: str) -> tuple[str, str]:
    """The preset that a name on the command line stands for, and a line about it where it is one.

    Args:
        name: of a preset, a file, or a task: `ant` is `pwm-ant`, or `pwm-ant-cpu` without a GPU.

    Raises:
        ConfigError: it is a task without a preset of its own; the message says how to train it.
    """
    shipped = preset_names()
    if name in shipped or is_file_name(name):
        return name, ""
    twins = [f"pwm-{name}", f"pwm-{name}-cpu"]
    if set(twins) <= set(shipped):
        gpu = _has_gpu()
        large, small = twins
        chosen, other = (large, small) if gpu else (small, large)
        why = "there is a GPU" if gpu else "there is no GPU here"
        return chosen, f"{chosen}: {name!r} is a task, and {why}; {other} is the other one"
    if _is_task(name):
        base = next((n for n in shipped if name.startswith(n.removeprefix("pwm-") + "-")), None)
        if base is None or not base.startswith("pwm-"):
            base = "pwm-dmc-cpu" if _of_dm_control(name) else "pwm-hopper"
        preset = base if base.endswith("-cpu") or _has_gpu() else f"{base}-cpu"
        raise ConfigError(
            f"{name!r} is a task, and no preset has its name. Any preset trains any task: "
            f"mjxwm train {preset} --task {name}"
        )
    return name, ""  # whoever reads it says that it is unknown


def of_other_machines(name: str) -> str:
    """A line about a shipped preset that is for a GPU, where there is none; else empty."""
    small = _SMALL if name in multitask_presets() else f"{name}-cpu"
    if name.endswith("-cpu") or small not in [*preset_names(), *multitask_presets()] or _has_gpu():
        return ""
    return f"{name} is for a GPU, and there is none here; {small} is for two CPU cores"


def _has_gpu() -> bool:
    import jax

    return jax.default_backend() == "gpu"


def _is_task(name: str) -> bool:
    from mjxwm_envs import registry

    foreign = name.partition("/")[0] in registry.FOREIGN or name.startswith("mw-")
    return foreign or ":" in name or name in registry.names()


def _of_dm_control(name: str) -> bool:
    from mjxwm_envs import registry

    return name in registry.SUITES["dm_control"]


def first(args: list[str], command: str, what: str) -> tuple[str, list[str]]:
    """The preset that a command names, and the other arguments."""
    if args and args[0] in ("-h", "--help", "--help-all"):
        return _SMALL, args  # its options are those of all, and its values for any machine
    if not args or args[0].startswith("-"):
        raise ConfigError(
            f"{command} needs {what}, such as that for two CPU cores: mjxwm {command} {_SMALL}. "
            f"There are: {', '.join(multitask_presets())}"
        )
    return args[0], args[1:]
