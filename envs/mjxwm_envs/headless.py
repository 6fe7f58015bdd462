"""How MuJoCo renders where there is no display. Imports nothing that is slow, nor MuJoCo itself."""

import ctypes.util
import os
import sys
import warnings
from collections.abc import MutableMapping

VARIABLE = "MUJOCO_GL"
LIBRARIES = {"egl": "EGL", "osmesa": "OSMesa"}
"""Ways to render without a display, the best one first, and the library that each needs."""
INSTALL = "on Debian: `apt install libegl1`, or `apt install libosmesa6` and MUJOCO_GL=osmesa"
_OFF = ("disable", "disabled", "off", "false", "0")
_DEFAULT = ("enable", "enabled", "on", "true", "1", "")


complaints: list[tuple[str, str]] = []
"""Why the user's MUJOCO_GL was not taken, and what helps."""


def choose(environ: MutableMapping[str, str] = os.environ) -> None:
    """Sets MUJOCO_GL to EGL, or else OSMesa, on a Linux without a display.

    MuJoCo reads the variable when it is imported, so `envs` calls this before. A value of the
    user's stands; but where MuJoCo could not even be imported with it, rendering is turned off, so
    that everything else works, with a warning.
    """
    way = chosen(environ)
    complaint = _unusable(way)
    if complaint:
        complaints.append(complaint)
        reason, remedy = complaint
        warnings.warn(f"{reason}, so nothing can be rendered; {remedy}", stacklevel=2)
        environ[VARIABLE] = "off"
    elif sys.platform == "linux" and not way and not has_display(environ):
        found = installed()
        if found:
            environ[VARIABLE] = found[0]


def _unusable(way: str) -> tuple[str, str] | None:
    """Why MuJoCo cannot be imported with this value, and what helps; None where it can."""
    ways = {"linux": ("glx", *LIBRARIES), "darwin": ("cgl",)}.get(sys.platform, ("wgl",))
    if way not in (*_OFF, *_DEFAULT, "glfw", *ways):
        choices = ", ".join(("glfw", *ways, "off"))
        return f"{VARIABLE}={way} is unknown to MuJoCo", f"unset it, or choose {choices}"
    if way in LIBRARIES and way not in installed():
        package = {"egl": "libegl1", "osmesa": "libosmesa6"}[way]
        return (
            f"{VARIABLE}={way} needs the library {LIBRARIES[way]}, which is not found",
            f"unset it, or install it (on Debian: `apt install {package}`)",
        )
    return None


def chosen(environ: MutableMapping[str, str] = os.environ) -> str:
    """The value of MUJOCO_GL as MuJoCo reads it; empty where it is not set."""
    return environ.get(VARIABLE, "").lower().strip()


def turned_off() -> bool:
    """Whether MUJOCO_GL says not to render at all."""
    return chosen() in _OFF


def has_display(environ: MutableMapping[str, str] = os.environ) -> bool:
    """Whether windows can be opened, as GLFW needs it."""
    return bool(environ.get("DISPLAY") or environ.get("WAYLAND_DISPLAY"))


def installed() -> list[str]:
    """Which of `LIBRARIES` are found here."""
    return [way for way, library in LIBRARIES.items() if ctypes.util.find_library(library)]
