"""What a check comes to."""

from typing import Any, NamedTuple


class Gate(NamedTuple):
    """A check and its verdict."""

    name: str
    passed: bool | None
    """None where it was not run, or where the data do not decide."""
    verdict: str
    figures: dict[str, Any]
