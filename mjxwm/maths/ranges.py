"""Ranges of settings: the first that is out of its own is refused by name, value and range.

What is None has no range to be out of.
"""

import dataclasses
import math
import numbers

from mjxwm import ConfigError

LARGEST_SEED = 2**32 - 1
"""Beyond, JAX's keys begin anew (`mjxwm_envs.seeds`)."""
_LARGEST = {
    "seed": LARGEST_SEED,
    "seeds": LARGEST_SEED,
    "env_steps": 2**53,
    "train_steps": 2**53,
}
"""Of whole numbers that may be larger than 32 bits with a sign, which arrays are counted with: what
is counted here alone is exact up to a float64's 53 bits."""
_ENDLESS = ("clip", "world_clip", "max_grad_norm", "minutes")
"""Bounds, which may be infinite: then there is none."""


def sound(config: object) -> None:
    """Raises ConfigError unless all numbers of a configuration can be computed with.

    Floats are finite, whole numbers within what arrays are counted with, seeds within what keys are
    made of, and sizes in a list, such as those of hidden layers, at least 1.
    """
    assert dataclasses.is_dataclass(config)
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            sound(value)
        elif isinstance(value, tuple | list):
            for item in value:
                _sound_number(field.name, item, value)
        else:
            _sound_number(field.name, value)


def _sound_number(name: str, value: object, among: object = None) -> None:
    given = f"{name}={value if among is None else among}"
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        return
    if not isinstance(value, numbers.Integral):
        number = float(value)
        if math.isnan(number) or (math.isinf(number) and not (number > 0 and name in _ENDLESS)):
            raise ConfigError(f"{given} is out of range; it must be a finite number")
        return
    largest, seed = _LARGEST.get(name, 2**31 - 1), name in ("seed", "seeds")
    least = 0 if seed else -largest if among is None else 1
    count = int(value)
    if not least <= count <= largest:
        each = "it" if among is None else "each"
        above = f"at most {largest}" if count > largest else f"at least {least}"
        both = f"from {least} to {largest}"
        raise ConfigError(f"{given} is out of range; {each} must be {both if seed else above}")


def some(config: object, *names: str) -> None:
    """Raises ConfigError where one of these lists is empty: nothing would be done."""
    for name in names:
        if not getattr(config, name):
            raise ConfigError(f"{name} is empty; give at least one")


def countable(what: str, number: int) -> None:
    """Raises ConfigError where a run would take more of something than is counted."""
    if number > 2**31 - 1:
        raise ConfigError(
            f"env_steps come to {float(min(number, 10**300)):.3g} {what}, and no more than "
            f"{2**31 - 1:,} are counted; "
            "take fewer env_steps, or more of them per iteration"
        )


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
