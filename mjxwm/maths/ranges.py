"""Checks that settings are in range; an error names the setting, its value and the range.

None passes every check: it stands for "use the default", or "no bound".
"""

import dataclasses
import math
import numbers

from mjxwm import ConfigError

LARGEST_SEED = 2**32 - 1
"""Larger seeds would give the same JAX keys as smaller ones (`mjxwm_envs.seeds`)."""
_LARGEST = {
    "seed": LARGEST_SEED,
    "seeds": LARGEST_SEED,
    "env_steps": 2**53,
    "train_steps": 2**53,
}
"""Largest values of the integer settings that may exceed int32, because they never become arrays:
env steps are counted in float64, which is exact up to 53 bits."""
_MOST_ITEMS = 256
"""Items of a list, such as layers of a network; far more would be traced for hours."""
_MAY_BE_INFINITE = ("clip", "world_clip", "max_grad_norm", "minutes")
"""Upper bounds; infinity means no bound."""


def sound(config: object) -> None:
    """Raises ConfigError unless all numbers of a configuration, nested ones too, are usable.

    Floats must be finite, integers fit into int32, seeds be valid for JAX keys, and integers in
    lists, such as sizes of hidden layers, be at least 1.
    """
    assert dataclasses.is_dataclass(config)
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            sound(value)
        elif isinstance(value, tuple | list):
            if len(value) > _MOST_ITEMS:
                raise ConfigError(
                    f"{field.name} has {len(value)} values; it must have at most {_MOST_ITEMS}"
                )
            for item in value:
                _sound_number(field.name, item, value)
        else:
            _sound_number(field.name, value)


def _sound_number(name: str, value: object, in_list: object = None) -> None:
    """Checks one number: the setting `name`, or an item of the list setting `in_list`."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        return
    setting = f"{name}={value if in_list is None else in_list}"
    if not isinstance(value, numbers.Integral):
        number = float(value)
        if math.isnan(number) or (
            math.isinf(number) and not (number > 0 and name in _MAY_BE_INFINITE)
        ):
            raise ConfigError(f"{setting} is out of range; it must be a finite number")
        return
    largest, seed = _LARGEST.get(name, 2**31 - 1), name in ("seed", "seeds")
    least = 0 if seed else -largest if in_list is None else 1
    count = int(value)
    if not least <= count <= largest:
        each = "it" if in_list is None else "each"
        above = f"at most {largest}" if count > largest else f"at least {least}"
        both = f"from {least} to {largest}"
        raise ConfigError(f"{setting} is out of range; {each} must be {both if seed else above}")


def some(config: object, *names: str) -> None:
    """Raises ConfigError if one of these list settings is empty: nothing would be done."""
    for name in names:
        if not getattr(config, name):
            raise ConfigError(f"{name} is empty; give at least one")


def countable(what: str, number: int) -> None:
    """Raises ConfigError if `number`, of `what` in a whole run, does not fit into int32."""
    if number > 2**31 - 1:
        raise ConfigError(
            f"env_steps come to {float(min(number, 10**300)):.3g} {what}, and no more than "
            f"{2**31 - 1:,} are counted; "
            "take fewer env_steps, or more of them per iteration"
        )


def above_zero(config: object, *names: str) -> None:
    """Raises ConfigError unless all of these settings are above 0."""
    for name, value in _values(config, names):
        if not value > 0:
            raise ConfigError(f"{name}={value} is out of range; it must be above 0")


def at_least(config: object, least: float, *names: str) -> None:
    """Raises ConfigError unless all of these settings are at least `least`."""
    for name, value in _values(config, names):
        if not value >= least:
            kept = "not be negative" if least == 0 else f"be at least {least}"
            raise ConfigError(f"{name}={value} is out of range; it must {kept}")


def shares(config: object, *names: str) -> None:
    """Raises ConfigError unless all of these settings are from 0 to 1."""
    for name, value in _values(config, names):
        if not 0 <= value <= 1:
            raise ConfigError(f"{name}={value} is out of range; it must be in [0, 1]")


def _values(config: object, names: tuple[str, ...]) -> list[tuple[str, float]]:
    """Names and values of the settings that are not None."""
    values = [(name, getattr(config, name)) for name in names]
    return [(name, value) for name, value in values if value is not None]
