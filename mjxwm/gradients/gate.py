"""What a check comes to."""

from collections.abc import Mapping
from typing import Any, NamedTuple


class Gate(NamedTuple):
    """A check and its verdict."""

    name: str
    passed: bool | None
    """Whether the check holds; None if it was not run or the data do not decide."""
    verdict: str
    figures: dict[str, Any]
    by_horizon: Mapping[int, bool | None] = {}
    """The same at every horizon, where it depends on that; `passed` is of the longest."""
