"""Bodies that come from installed packages, of which another version may be there."""

import importlib.metadata
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def compose(build: Callable[[], T], pinned: dict[str, str]) -> T:
    """What `build` makes of packages.

    Args:
        build: the composition.
        pinned: versions that it was made for, by the name of the package.

    Raises:
        ValueError: it failed; the message has the remedy, where another version is installed.
    """
    try:
        return build()
    except (AttributeError, ImportError, KeyError, OSError, TypeError, ValueError) as error:
        found = {name: _version(name) for name in pinned}
        other = {name: v for name, v in found.items() if v not in (None, pinned[name])}
        if not other:
            raise
        installed = ", ".join(f"{name} {v}" for name, v in other.items())
        remedy = " ".join(f"'{name}=={pinned[name]}'" for name in other)
        raise ValueError(
            f"{installed} does not compose as the tested version does ({error}); "
            f"run: pip install {remedy}"
        ) from error


def not_imported(package: str, requirement: str, error: ImportError) -> ValueError:
    """Why `package` could not be imported, with what helps against that.

    Args:
        package: the module's name.
        requirement: for pip, with the versions that are tested.
        error: what the import raised.
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
