"""Policies learned through world models and through simulators, from thousands of MuJoCo worlds."""

from collections.abc import Sequence
from pathlib import Path

__version__ = "0.1.0"


class ConfigError(ValueError):
    """A user's mistake in a preset, a field or a name; the message says the way out."""


class GuardError(RuntimeError):
    """A run was stopped because its numbers are no longer finite; the message says what was first,
    when, and the way out."""

    def __init__(self, message: str, folders: Sequence[Path] = ()):
        """`folders` are those of the runs that were stopped."""
        super().__init__(message)
        self.folders = tuple(folders)
