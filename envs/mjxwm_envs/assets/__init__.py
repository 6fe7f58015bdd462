"""MJCF written for this project."""

import importlib.resources


def read(name: str) -> str:
    """The text of an asset file, such as "hopper.xml"."""
    return (importlib.resources.files(__name__) / name).read_text(encoding="utf-8")
