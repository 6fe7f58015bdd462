"""Installed packages that bodies are built from: errors with the remedy for wrong versions."""

import importlib.metadata
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def compose(build: Callable[[], T], pinned: dict[str, str]) -> T:
    """The result of `build`, which builds something from installed packages.

    Args:
        build: function without arguments.
        pinned: for each package the version that `build` was tested with.

    Raises:
        ValueError: `build` failed and another version is installed; the message has the remedy.
    """
    try:
        return build()
    except (AttributeError, ImportError, KeyError, OSError, TypeError, ValueError) as error:
        versions = {name: _version(name) for name in pinned}
        other = {name: v for name, v in versions.items() if v not in (None, pinned[name])}
        if not other:
            raise
        installed = ", ".join(f"{name} {v}" for name, v in other.items())
        remedy = " ".join(f"'{name}=={pinned[name]}'" for name in other)
        raise ValueError(
            f"{installed} does not compose as the tested version does ({error}); "
            f"run: pip install {remedy}"
        ) from error


def not_imported(package: str, requirement: str, error: ImportError) -> ValueError:
    """The error to raise when `package` cannot be imported: reason and remedy.

    Args:
        package: name of the module.
        requirement: argument of `pip install`, with the tested versions.
        error: error of the import.
    """
    missing = error.name if isinstance(error, ModuleNotFoundError) else None
    if missing == package:
        return ValueError(f"{package} is not installed; run: pip install '{requirement}'")
    if missing and missing.startswith(f"{package}."):
        return ValueError(
            f"the installed {package} has no {missing}, another version does; run: "
            f"pip install '{requirement}'"
        )
    if missing:
        return ValueError(
            f"{package} is installed, but not the module {missing} that it needs; run: "
            f"pip install '{requirement}'"
        )
    return ValueError(f"{package} is installed, but fails as it is imported: {error}")


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
