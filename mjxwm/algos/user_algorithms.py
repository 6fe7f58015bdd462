"""A user's own algorithms, imported as `module:attribute`."""

import dataclasses
from typing import Any

from mjxwm_envs import registry

from mjxwm import ConfigError
from mjxwm.algos import Entry
from mjxwm.algos.budget import AlgorithmConfig

_FORM = "it must be a mjxwm.algos.Entry(Config, make, agent)"

_entries: dict[str, Entry] = {}
"""Those that were imported, so that a run finds its own wherever the process goes meanwhile."""


def entry(name: str) -> Entry:
    """The entry that `module:attribute` stands for, as tasks of a user's own are found.

    Raises:
        ConfigError: it cannot be imported, or is no entry of an algorithm.
    """
    if name not in _entries:
        module, _, attribute = name.rpartition(":")
        try:
            candidate = registry.imported(module, attribute)
        except ValueError as error:
            raise ConfigError(f"algorithm {error}") from error
        _check(name, candidate)
        _entries[name] = candidate
    return _entries[name]


def _check(name: str, candidate: Any) -> None:
    if not isinstance(candidate, Entry):
        raise ConfigError(f"algorithm {name} is of type {type(candidate).__name__}; {_FORM}")
    config: Any = candidate.config
    parameters = getattr(config, "__dataclass_params__", None)
    if not isinstance(config, type) or parameters is None or not parameters.frozen:
        raise ConfigError(f"algorithm {name}: its configuration {config!r} is no frozen dataclass")
    if not issubclass(config, AlgorithmConfig):
        raise ConfigError(
            f"algorithm {name}: its configuration {config.__name__} is not derived from "
            "mjxwm.algos.budget.AlgorithmConfig"
        )
    names = {field.name for field in dataclasses.fields(candidate.config)}
    if missing := {"env_steps", "worlds"} - names:
        raise ConfigError(
            f"algorithm {name}: its configuration {config.__name__} lacks the fields "
            f"{', '.join(sorted(missing))}"
        )
