"""Configurations: frozen dataclasses beside the code that they configure, YAML presets with values.

A preset is read into its dataclass field by field; what is unknown or ill-typed is refused by name.
A preset may name another as its `base` and then holds only what differs from it.
"""

import dataclasses
import types
import typing
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

import yaml
from mjxwm_envs.fields import nearest

from mjxwm import ConfigError
from mjxwm.runs.yaml_files import read_yaml

T = TypeVar("T")


def presets_folder() -> Path:
    """The folder of the shipped presets, in a checkout or in an installed wheel."""
    package = Path(__file__).parents[1]
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
    return load_yaml(cls, preset_file(name))


def preset_file(name: str) -> Path:
    """The file of a shipped preset, or the YAML file of this path.

    Raises:
        ConfigError: there is no such preset.
    """
    if is_file_name(name):
        return Path(name)
    path = presets_folder() / f"{name}.yaml"
    if not path.is_file():
        hint = f"; the file {name} must end in .yaml to be read" if Path(name).is_file() else ""
        raise ConfigError(
            f"preset {name!r} is unknown{hint}{nearest(name, preset_names())}. There are: "
            f"{', '.join(preset_names())}; a path that ends in .yaml reads a file of your own"
        )
    return path


def is_file_name(name: str) -> bool:
    """Whether a preset's name is the path of a file of the user's own."""
    return name.lower().endswith((".yaml", ".yml"))


def load_yaml(cls: type[T], path: Path) -> T:
    """Reads a YAML file, with the presets that it builds on, into `cls`.

    Raises:
        ConfigError: there is no such file, it is no YAML mapping in UTF-8, a field of it is
            unknown or ill-typed, or its `base` cannot be taken (see `read_with_bases`).
    """
    algorithm = next((f.default for f in dataclasses.fields(cls) if f.name == "algorithm"), None)  # type: ignore[arg-type]
    return from_dict(cls, read_with_bases(path, algorithm), where=str(path))


def read_with_bases(path: Path, algorithm: Any = None, below: tuple[Path, ...] = ()) -> Any:
    """The plain values of a YAML file over those of its `base`, where it names one.

    `base` is the name of a shipped preset, or the path of a YAML file (relative to the folder of
    the file that names it), which may have a base in turn. A mapping is merged with the base's,
    key by key; any other value, lists too, replaces the base's.

    Args:
        path: the file.
        algorithm: what a file is of that names no algorithm.
        below: the files that build on this one.

    Raises:
        ConfigError: a base is unknown, is of another algorithm, or builds on itself.
    """
    values = read_yaml(path)
    if not isinstance(values, dict) or "base" not in values:
        return values
    name, values = values["base"], {k: v for k, v in values.items() if k != "base"}
    file = _base_file(name, path)
    chain = (*below, path)
    if file.resolve() in [link.resolve() for link in chain]:
        circle = " -> ".join(map(str, (*chain, file)))
        raise ConfigError(f"base goes round in a circle: {circle}; take it out of one of them")
    base = read_with_bases(file, algorithm, chain)
    if not isinstance(base, dict):
        raise ConfigError(f"{path}: base {name!r} is no mapping of fields")
    inherited = base.get("algorithm", algorithm)
    if values.get("algorithm", inherited) != inherited:
        raise ConfigError(
            f"{path} is of {values['algorithm']}, its base {name!r} of {inherited}; name a base "
            f"of {values['algorithm']}, or none"
        )
    return merged(base, values)


def _base_file(name: Any, path: Path) -> Path:
    """The file that `path` names as its base."""
    if not isinstance(name, str):
        raise ConfigError(f"{path}: base={name!r} is not the name of a preset")
    if is_file_name(name):
        return path.parent / name
    try:
        return preset_file(name)
    except ConfigError as error:
        raise ConfigError(f"{path}: base: {error}") from error


def merged(base: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
    """`values` over `base`, mappings key by key."""
    result = dict(base)
    for key, value in values.items():
        both = isinstance(value, dict) and isinstance(base.get(key), dict)
        result[key] = merged(base[key], value) if both else value
    return result


def save_yaml(config: Any, path: Path) -> None:
    """Writes a configuration, every field of it."""
    path.write_text(yaml.safe_dump(to_dict(config), sort_keys=False), encoding="utf-8")


def to_dict(config: Any) -> dict[str, Any]:
    """Plain values: tuples become lists."""

    def plain(x: Any) -> Any:
        if isinstance(x, dict):
            return {k: plain(v) for k, v in x.items()}
        if isinstance(x, (tuple, list)):
            return [plain(v) for v in x]
        # YAML knows Python's numbers alone, not numpy's.
        return x.item() if hasattr(x, "item") and not isinstance(x, type) else x

    return plain(dataclasses.asdict(config))


def differences(before: Any, now: Any, name: str = "") -> list[str]:
    """Differences between two nested configurations, such as "algo.gamma: 0.99 -> 0.9"."""
    if not (isinstance(before, dict) and isinstance(now, dict)):
        return [] if before == now else [f"{name}: {before} -> {now}"]
    changes = []
    for key in dict.fromkeys([*before, *now]):
        old, new = (values.get(key, "(not set)") for values in (before, now))
        changes += differences(old, new, f"{name}.{key}" if name else str(key))
    return changes


def from_dict(
    cls: type[T], values: Any, where: str = "configuration", default: T | None = None
) -> T:
    """Builds the dataclass `cls` from nested plain values; missing fields keep their defaults.

    The defaults of a field that is a dataclass itself are those of the object that it has by
    default, which may differ from its class's: they are given as `default`.

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
    defaults = {f.name: f.default for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
    if default is not None:
        defaults = {name: getattr(default, name) for name in names}
    fields = {}
    for name, value in values.items():
        if name not in names:
            raise ConfigError(
                f"{where}: field {name!r} is unknown{nearest(str(name), names)}. "
                f"There are: {', '.join(names)}"
            )
        hint = hints[name]
        if dataclasses.is_dataclass(hint) and isinstance(hint, type):
            inner = defaults[name] if isinstance(defaults[name], hint) else None
            fields[name] = from_dict(hint, value, f"{where}: {name}", inner)
        else:
            fields[name] = _convert(hint, value, f"{where}: {name}")
    try:
        return cls(**fields) if default is None else dataclasses.replace(default, **fields)  # type: ignore
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
        for name in value:
            if not isinstance(name, str):
                raise ConfigError(f"{where}: field {name!r} is no name of a field")
        inner = get_args(hint)[1]
        if inner is Any:
            return dict(value)
        return {name: _convert(inner, part, f"{where}: {name}") for name, part in value.items()}
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
