"""Ranges of settings: the first that is out of its own is refused by name, value and range.

What is None has no range to be out of.
"""

from mjxwm.config import ConfigError


def above_zero(config: object, *names: str) -> None:
    """Raises ConfigError unless all of these settings are above 0."""
    for name, value in _given(config, names):
        if not value > 0:
            raise ConfigError(f"{name}={value} is out of range; it must be above 0")


def at_least(config: object, least: float, *names: str) -> None:
    """Raises ConfigError unless all of these settings are at least so large."""
    for name, value in _given(config, names):
        if not value >= least:
            kept = "not be negative" if least == 0 else f"be at least {least}"
            raise ConfigError(f"{name}={value} is out of range; it must {kept}")


def shares(config: object, *names: str) -> None:
    """Raises ConfigError unless all of these settings are from 0 to 1."""
    for name, value in _given(config, names):
        if not 0 <= value <= 1:
            raise ConfigError(f"{name}={value} is out of range; it must be in [0, 1]")


def _given(config: object, names: tuple[str, ...]) -> list[tuple[str, float]]:
    values = [(name, getattr(config, name)) for name in names]
    return [(name, value) for name, value in values if value is not None]
