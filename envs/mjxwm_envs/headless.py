"""Chooses how MuJoCo renders without a display. It must run before MuJoCo is imported."""

import ctypes.util
import os
import sys
import warnings
from collections.abc import MutableMapping

VARIABLE = "MUJOCO_GL"
LIBRARIES = {"egl": "EGL", "osmesa": "OSMesa"}
"""Values of MUJOCO_GL that need no display, the best one first, and the library of each."""
INSTALL = "on Debian: `apt install libegl1`, or `apt install libosmesa6` and MUJOCO_GL=osmesa"
_OFF = ("disable", "disabled", "off", "false", "0")
_DEFAULT = ("enable", "enabled", "on", "true", "1", "")


complaints: list[tuple[str, str]] = []
"""(reason, remedy) if the user's value of MUJOCO_GL could not be used."""


def choose(environ: MutableMapping[str, str] = os.environ) -> None:
    """Sets MUJOCO_GL to EGL, or else OSMesa, on a Linux without a display.

    MuJoCo reads the variable when it is imported, so this package calls `choose` first. The user's
    own value stays, unless MuJoCo cannot be imported with it: then rendering is turned off, with a
    warning, so that everything else works.
    """
    backend = chosen(environ)
    complaint = _unusable(backend)
    if complaint:
        complaints.append(complaint)
        reason, remedy = complaint
        warnings.warn(f"{reason}, so nothing can be rendered; {remedy}", stacklevel=2)
        environ[VARIABLE] = "off"
    elif sys.platform == "linux" and not backend and not has_display(environ):
        libraries = installed()
        if libraries:
            environ[VARIABLE] = libraries[0]


def _unusable(backend: str) -> tuple[str, str] | None:
    """(reason, remedy) if MuJoCo cannot be imported with this value; None if it can."""
    ways = {"linux": ("glx", *LIBRARIES), "darwin": ("cgl",)}.get(sys.platform, ("wgl",))
    if backend not in (*_OFF, *_DEFAULT, "glfw", *ways):
        choices = ", ".join(("glfw", *ways, "off"))
        return f"{VARIABLE}={backend} is unknown to MuJoCo", f"unset it, or choose {choices}"
    if backend in LIBRARIES and backend not in installed():
        package = {"egl": "libegl1", "osmesa": "libosmesa6"}[backend]
        return (
            f"{VARIABLE}={backend} needs the library {LIBRARIES[backend]}, which is not found",
            f"unset it, or install it (on Debian: `apt install {package}`)",
        )
    return None


def chosen(environ: MutableMapping[str, str] = os.environ) -> str:
    """The value of MUJOCO_GL as MuJoCo reads it; empty if it is not set."""
    return environ.get(VARIABLE, "").lower().strip()


def turned_off() -> bool:
    """Whether MUJOCO_GL turns rendering off."""
    return chosen() in _OFF


def has_display(environ: MutableMapping[str, str] = os.environ) -> bool:
    """Whether windows can be opened, which GLFW needs."""
    return bool(environ.get("DISPLAY") or environ.get("WAYLAND_DISPLAY"))


def installed() -> list[str]:
    """The keys of `LIBRARIES` whose library is installed."""
    return [backend for backend, library in LIBRARIES.items() if ctypes.util.find_library(library)]
