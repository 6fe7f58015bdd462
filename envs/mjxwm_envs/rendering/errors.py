"""The error of everything that cannot be drawn."""

import contextlib


class RenderingUnavailableError(RuntimeError):
    """No picture can be made; the message says why and what to do."""

    def __init__(self, reason: str, remedy: str = ""):
        """Joins the reason and, if one is known, the remedy into the message."""
        super().__init__(f"{reason}; {remedy}" if remedy else reason)
        self.reason, self.remedy = reason, remedy


def first_line(error: Exception) -> str:
    """The type of the error and the first line of its message, if it can be printed at all.

    PyOpenGL's errors sometimes cannot.
    """
    with contextlib.suppress(Exception):
        lines = str(error).strip().splitlines()
        return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
    return type(error).__name__
