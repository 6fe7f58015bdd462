"""`--task.FIELD VALUE`: a value for a field of the task itself, such as its episode length."""

from typing import Any

from mjxwm import ConfigError
from mjxwm.runs.yaml_files import parse_value

_PREFIX = "--task."


def take(args: list[str]) -> tuple[dict[str, Any], list[str]]:
    """Values for the task's fields, and the arguments without them.

    Args:
        args: a command's arguments; `--task.fall_height -0.2` and `--task.fall-height=-0.2` are
            the same. A value is read as in a YAML preset.

    Raises:
        ConfigError: a field without a name or without a value, or a value that is no YAML.
    """
    fields: dict[str, Any] = {}
    others: list[str] = []
    rest = iter(args)
    for argument in rest:
        if not argument.startswith(_PREFIX):
            others.append(argument)
            continue
        name, equals, text = argument.removeprefix(_PREFIX).partition("=")
        text = text if equals else next(rest, "--")
        if not name or not text or text.startswith("--"):
            raise ConfigError(f"{argument} needs a value, as in --task.episode_length 200")
        fields[name.replace("-", "_")] = parse_value(text, f"{_PREFIX}{name}={text!r}")
    return fields, others
