"""Values that users give for fields, in files and on command lines: checked, with near names."""

import contextlib
import difflib
import math
from collections.abc import Iterable
from typing import Any

import numpy as np

_POSITIVE = ("ctrl_dt", "sim_dt", "episode_length", "action_repeat", "num_envs", "contact_time")
_NUMBERS = (int, float, np.integer, np.floating)

_LARGEST = 2**31 - 1
"""The largest whole number: array sizes are 32-bit integers."""


def nearest(name: str, known_names: Iterable[str]) -> str:
    """The words " (did you mean ...?)" if a known name is similar to `name`, else nothing."""
    close = difflib.get_close_matches(name, list(known_names), n=3)
    return f" (did you mean {' or '.join(repr(c) for c in close)}?)" if close else ""


def checked(field: str, value: object, default: object) -> Any:
    """`value`, converted to the type of the field's default: bool, int, float or str.

    Raises:
        ValueError: it is of another type, or out of range.
    """
    kind = type(default)
    if isinstance(value, str) and kind in (int, float):
        # YAML reads 3e-2, without a point, as a string.
        with contextlib.suppress(ValueError):
            value = float(value)
    if kind in (bool, str):
        if not isinstance(value, kind):
            words = {bool: "true or false", str: "a word"}
            raise ValueError(f"{field}={value!r} is not {words[kind]}")
        return value
    if kind not in (int, float):
        return value
    if isinstance(value, bool) or not isinstance(value, _NUMBERS) or not math.isfinite(value):
        raise ValueError(f"{field}={value!r} is not a finite number")
    if kind is int and value != int(value):
        raise ValueError(f"{field}={value} is not a whole number")
    if kind is int and abs(value) > _LARGEST:
        raise ValueError(f"{field}={value} is out of range; it must be at most {_LARGEST}")
    if field in _POSITIVE and not value > 0:
        raise ValueError(f"{field}={value} is out of range; it must be above 0")
    if field in ("noise", "idle_first") and value < 0:
        raise ValueError(f"{field}={value} is out of range; it must be at least 0")
    return kind(value)
