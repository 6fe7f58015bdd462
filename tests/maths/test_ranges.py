"""Settings out of their range are named with value and range; None and what is in it pass."""

import dataclasses
import math
from types import SimpleNamespace

import pytest

from mjxwm import ConfigError
from mjxwm.maths import ranges


@pytest.mark.parametrize(
    ("check", "good", "bad", "message"),
    [
        (ranges.above_zero, 1e-9, 0, "x=0 is out of range; it must be above 0"),
        (ranges.shares, 1.0, 1.5, "x=1.5 is out of range; it must be in [0, 1]"),
        (ranges.shares, 0, -0.1, "x=-0.1 is out of range; it must be in [0, 1]"),
        (lambda c, x: ranges.at_least(c, 0, x), 0, -1, "x=-1 is out of range; it must not be neg"),
        (lambda c, x: ranges.at_least(c, 3, x), 3, 2, "x=2 is out of range; it must be at least 3"),
    ],
)
def test_what_is_out_of_range_is_named(check, good, bad, message):
    for fine in (good, None):
        check(SimpleNamespace(x=fine), "x")
    with pytest.raises(ConfigError) as caught:
        check(SimpleNamespace(x=bad), "x")
    assert str(caught.value).startswith(message)
    # No comparison holds for NaN.
    with pytest.raises(ConfigError, match="x=nan"):
        check(SimpleNamespace(x=math.nan), "x")


@dataclasses.dataclass(frozen=True)
class Layers:
    hidden: tuple[int, ...]


def test_a_list_has_an_end():
    """At once: a message for each of many items would quote all of them each time."""
    ranges.sound(Layers((64,) * 256))
    with pytest.raises(ConfigError, match="hidden has 1000000 values; it must have at most 256"):
        ranges.sound(Layers((64,) * 10**6))
