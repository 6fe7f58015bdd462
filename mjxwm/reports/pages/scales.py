"""Axes: where a value lies on one, which ticks it has, and how numbers are written."""

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

Kind = Literal["linear", "log", "symlog"]
_TICKS = 5
"""Ticks that an axis has, about."""


class Scale(NamedTuple):
    """An axis from `low` to `high`."""

    low: float
    high: float
    kind: Kind = "linear"
    linear: float = 1e-3
    """Up to this size a `symlog` axis is linear, and logarithmic beyond."""

    def place(self, value: float) -> float:
        """Where a value lies: 0 at the low end of the axis, 1 at its high end."""
        low, high = self._transformed(self.low), self._transformed(self.high)
        return (self._transformed(value) - low) / (high - low)

    def _transformed(self, value: float) -> float:
        if self.kind == "log":
            return math.log10(max(value, 1e-300))
        if self.kind == "symlog":
            return math.copysign(math.log10(1 + abs(value) / self.linear), value)
        return value

    def ticks(self) -> list[float]:
        """Round values along the axis."""
        if self.kind == "log":
            return _decades(self.low, self.high)
        if self.kind == "symlog":
            sizes = _decades(self.linear * 10, max(abs(self.low), abs(self.high)))
            values = [*(-size for size in reversed(sizes)), 0.0, *sizes]
            return [value for value in values if self.low <= value <= self.high]
        step = _step((self.high - self.low) / _TICKS)
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        return [number * step for number in range(first, last + 1)]


def scale(values: Sequence[float], kind: Kind = "linear", zero: bool = False) -> Scale:
    """An axis on which all finite ones of these values lie; linear if none can be logarithmic.

    Args:
        values: those that are drawn.
        kind: of the axis.
        zero: whether a linear axis begins or ends at 0 where all values are on one side of it.
    """
    finite = [float(value) for value in values if math.isfinite(value)]
    if kind == "log":
        finite = [value for value in finite if value > 0] or finite
        kind = "log" if finite and min(finite) > 0 else "linear"
    if not finite:
        return Scale(0.0, 1.0)
    low, high = min(finite), max(finite)
    if kind == "log":
        return Scale(low / 1.1, high * 1.1, "log")
    if zero:
        low, high = min(low, 0.0), max(high, 0.0)
    room = (high - low) * 0.04 or abs(high) * 0.1 or 1.0
    at_zero = zero and kind == "linear"
    low = low if at_zero and low == 0 and high > 0 else low - room
    high = high if at_zero and high == 0 and low < 0 else high + room
    largest = max(abs(low), abs(high))
    return Scale(low, high, kind, max(1e-3, largest * 1e-5))


def _step(least: float) -> float:
    """The smallest of 1, 2, 5, 10, ... that is at least this."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= least * (1 - 1e-9))


def _decades(low: float, high: float) -> list[float]:
    """Powers of ten between two values; 1, 2 and 5 of each where that would be too few."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    every = max(1, round((last - first) / _TICKS))
    factors = (1,) if math.log10(high / low) >= 2 else (1, 2, 5)
    values = [10.0**power * factor for power in range(first, last + 1, every) for factor in factors]
    return [value for value in values if low * (1 - 1e-9) <= value <= high * (1 + 1e-9)]


def number(value: float, digits: int = 3) -> str:
    """A number for people: 1,234 or 0.0123 or 2.6M; NaN and infinity as such.

    Args:
        value: the number.
        digits: that count.
    """
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "-∞" if value < 0 else "∞"
    size = abs(value)
    if size == 0:
        return "0"
    for unit, letter in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if size >= unit:
            scaled = f"{value / min(unit, 1e3 if letter == 'k' else unit):.{digits}g}"
            return _signed(f"{float(scaled):g}{letter}")
    if size < 1e-3:
        mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
        return _signed(f"{float(mantissa):g}e{int(exponent)}")
    text = f"{value:,.0f}" if size >= 10 ** (digits - 1) else f"{float(f'{value:.{digits}g}'):g}"
    return _signed(text)


def _signed(text: str) -> str:
    return text.replace("-", "\N{MINUS SIGN}") if text.startswith("-") else text
