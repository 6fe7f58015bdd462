"""Plain values from YAML files, each of which is read whole or refused in one line."""

from pathlib import Path
from typing import Any

import yaml

from mjxwm import ConfigError

_MOST_VALUES = 100_000
"""Values of a file, above which it is no configuration."""


def read_yaml(path: Path) -> Any:
    """The plain values of a YAML file.

    Raises:
        ConfigError: there is no such file, it is not UTF-8 or no YAML, empty, or gives a field
            twice, of which the first would be lost.
    """
    if path.is_dir():
        raise ConfigError(f"{path} is a folder, not a file")
    try:
        return parse_yaml(path.read_bytes().decode("utf-8-sig"), path)
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: there is no such file") from error
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{path} is not in UTF-8 (byte {error.start} is {error.object[error.start]:#04x}); "
            "save it as UTF-8"
        ) from error


def parse_yaml(text: str, path: Path) -> Any:
    """The plain values of a YAML text.

    Args:
        text: what was read.
        path: the file that it is from, for errors.

    Raises:
        ConfigError: as `parse_value`, or it is empty.
    """
    values = parse_value(text, str(path))
    if values is None:
        raise ConfigError(f"{path} is empty: it sets no field")
    return values


def parse_value(text: str, what: str) -> Any:
    """The plain value of a YAML text, None for an empty one.

    Args:
        text: what was read.
        what: where it is from, for errors.

    Raises:
        ConfigError: it is no YAML, gives a field twice, or comes to more than a configuration has.
    """
    try:
        values = yaml.load(text, _Loader)
        count = _count(values, {})
    except yaml.YAMLError as error:
        message = " ".join(str(error).replace('in "<unicode string>", ', "at ").split())
        raise ConfigError(f"{what} is not valid YAML: {message}") from error
    except RecursionError as error:
        raise ConfigError(f"{what} is nested too deeply to be read") from error
    except (ValueError, OverflowError) as error:  # a date that is none, a number of many digits
        raise ConfigError(f"{what} holds a value that is none: {error}") from error
    if count > _MOST_VALUES:
        raise ConfigError(
            f"{what} comes to {count:.3g} values, and no configuration has more than "
            f"{_MOST_VALUES:,}; a name for a part (&a), taken again (*a), counts each time"
        )
    return values


def _count(values: Any, counted: dict[int, float]) -> float:
    """How many values there are, those of a part that is taken again each time.

    Parts that hold one another many times make a file of some lines endless to write or to print.

    Raises:
        OverflowError: a number is too large for any use, and to print.
    """
    if isinstance(values, int):
        float(values)
    if not isinstance(values, dict | list | tuple | set):
        return 1
    if id(values) not in counted:
        parts = values.values() if isinstance(values, dict) else values
        counted[id(values)] = 1.0 + sum(_count(part, counted) for part in parts)
    return counted[id(values)]


class _Loader(yaml.SafeLoader):
    """YAML without duplicate fields: a file that gives a field twice is refused."""

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        """See yaml. Fields that a merge (`<<`) brings may be given again, as YAML has it.

        Built at once, so that a mapping that contains itself is refused.
        """
        fields = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in fields and key.value != "<<":
                raise yaml.constructor.ConstructorError(
                    None, None, f"field {key.value!r} is given twice", key.start_mark
                )
            fields.add(key.value if isinstance(key, yaml.ScalarNode) else id(key))
        return super().construct_mapping(node, True)

    def construct_sequence(self, node: Any, deep: bool = False) -> Any:
        """See yaml; built at once, so that a list that contains itself is refused."""
        return super().construct_sequence(node, True)
