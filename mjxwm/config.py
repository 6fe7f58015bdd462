"""Configurations: frozen dataclasses beside the code that they configure, YAML presets with values.

A preset is read into its dataclass field by field; what is unknown or ill-typed is refused by name.
"""

import dataclasses
import difflib
import types
import typing
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

import yaml

T = TypeVar("T")


class ConfigError(ValueError):
    """A user's mistake in a preset, a field or a name; the message says the way out."""


def presets_folder() -> Path:
    """The folder of the shipped presets, in a checkout or in an installed wheel."""
    package = Path(__file__).parent
    installed = package / "presets"
    return installed if installed.is_dir() else package.parent / "configs"


def preset_names(kind: str = "") -> list[str]:
    """Names of the shipped presets: those of `mjxwm train`, or of another kind, by its folder."""
    return sorted(path.stem for path in (presets_folder() / kind).glob("*.yaml"))


def load_preset(cls: type[T], name: str) -> T:
    """Reads a shipped preset by name, or any YAML file by its path.

    Raises:
        ConfigError: there is no such preset, or a field of it is unknown or ill-typed.
    """
    path = Path(name) if name.endswith((".yaml", ".yml")) else presets_folder() / f"{name}.yaml"
    if not path.is_file():
        raise ConfigError(
            f"preset {name!r} is unknown{nearest(name, preset_names())}. There are: "
            f"{', '.join(preset_names())}; a path that ends in .yaml reads a file of your own"
        )
    return load_yaml(cls, path)


def load_yaml(cls: type[T], path: Path) -> T:
    """Reads a YAML file into `cls`.

    Raises:
        ConfigError: the file is no YAML mapping, or a field of it is unknown or ill-typed.
    """
    try:
        values = yaml.safe_load(path.read_text()) or {}
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is not valid YAML: {error}") from error
    return from_dict(cls, values, where=str(path))


def save_yaml(config: Any, path: Path) -> None:
    """Writes a configuration, every field of it."""
    path.write_text(yaml.safe_dump(to_dict(config), sort_keys=False))


def to_dict(config: Any) -> dict[str, Any]:
    """Plain values: tuples become lists."""

    def plain(x: Any) -> Any:
        if isinstance(x, dict):
            return {k: plain(v) for k, v in x.items()}
        return [plain(v) for v in x] if isinstance(x, (tuple, list)) else x

    return plain(dataclasses.asdict(config))


def from_dict(cls: type[T], values: Any, where: str = "configuration") -> T:
    """Builds the dataclass `cls` from nested plain values; missing fields keep their defaults.

    A class whose field is of one type or another says which: its `chosen(values)` gives the type by
    the field's name, and where the field itself is missing, that type's defaults are taken.
    """
    if not isinstance(values, dict):
        raise ConfigError(f"{where}: expected a mapping of fields, found {values!r}")
    hints = typing.get_type_hints(cls)
    if hasattr(cls, "chosen"):
        chosen = cls.chosen(values)  # type: ignore[attr-defined]
        hints, values = hints | chosen, {**values, **{n: values.get(n, {}) for n in chosen}}
    names = [f.name for f in dataclasses.fields(cls)]  # type: ignore[arg-type]
    given = {}
    for name, value in values.items():
        if name not in names:
            raise ConfigError(
                f"{where}: field {name!r} is unknown{nearest(str(name), names)}. "
                f"There are: {', '.join(names)}"
            )
        given[name] = _convert(hints[name], value, f"{where}: {name}")
    try:
        return cls(**given)
    except ValueError as error:  # a class that checks its fields
        raise ConfigError(f"{where}: {error}") from error


def _convert(hint: Any, value: Any, where: str) -> Any:
    origin = get_origin(hint)
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return from_dict(hint, value, where)
    if origin in (Union, types.UnionType):
        return _one_of(get_args(hint), value, where)
    if origin is Literal:
        if value in get_args(hint):
            return value
        raise ConfigError(f"{where}={value!r}; choose {' or '.join(map(repr, get_args(hint)))}")
    if origin is tuple and isinstance(value, (list, tuple)):
        return tuple(_convert(get_args(hint)[0], v, where) for v in value)
    if origin is dict and isinstance(value, dict):
        return dict(value)
    if hint is float and isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    if hint is float and isinstance(value, str):
        # YAML reads 3e-4, without a point, as a string.
        try:
            return float(value)
        except ValueError:
            pass
    if hint in (int, bool, str) and type(value) is hint:
        return value
    expected = getattr(hint, "__name__", str(hint))
    raise ConfigError(f"{where}={value!r} is not of type {expected}")


def _one_of(hints: tuple[Any, ...], value: Any, where: str) -> Any:
    if value is None and type(None) in hints:
        return None
    for hint in hints:
        if get_origin(hint) is Literal and value in get_args(hint):
            return value
    return _convert(next(hint for hint in hints if hint is not type(None)), value, where)


def nearest(name: str, known: Iterable[str]) -> str:
    """The words "; did you mean ...?" where something known is near `name`, else nothing."""
    close = difflib.get_close_matches(name, list(known), n=3)
    return f"; did you mean {' or '.join(repr(c) for c in close)}?" if close else ""
