"""Does OpenGL work here? Tried once per process, in the way that MUJOCO_GL chooses."""

import atexit
import contextlib
import functools
import importlib
import warnings
import weakref
from typing import Any

import mujoco

from mjxwm_envs import headless
from mjxwm_envs.rendering.errors import RenderingUnavailableError, first_line

OPEN_RENDERERS: "weakref.WeakSet[mujoco.Renderer]" = weakref.WeakSet()
"""Renderers to close when the interpreter exits, before OpenGL itself is unloaded."""


def check_opengl() -> None:
    """Tries what MuJoCo renders with, once per process.

    Raises:
        RenderingUnavailableError: it does not work; the message says why and what to do.
    """
    fault = _fault(headless.chosen())
    if fault:
        raise RenderingUnavailableError(*fault)


@functools.cache
def _fault(backend: str) -> tuple[str, str] | None:
    """(reason, remedy) if this value of MUJOCO_GL does not work; None if it does."""
    from mujoco.rendering.classic import gl_context

    if headless.turned_off():
        if headless.complaints:
            return headless.complaints[-1]
        return f"rendering is turned off by MUJOCO_GL={backend}", "unset it"
    setting = f"MUJOCO_GL={backend}" if backend else "MUJOCO_GL unset"
    try:
        context_class = getattr(gl_context, "GLContext", None)
        # MuJoCo may have been imported before the variable was set.
        if backend in headless.LIBRARIES or context_class is None:
            module = importlib.import_module(f"mujoco.{backend or 'glfw'}")
            context_class = gl_context.GLContext = module.GLContext
        with warnings.catch_warnings(), contextlib.closing(_Trial(context_class)) as trial:
            warnings.simplefilter("ignore")
            trial.run()
        # Handlers run last in, first out: ours before OpenGL's own, which the trial registered.
        atexit.register(_close_all)
    except Exception as error:  # ImportError, AttributeError, RuntimeError, FatalError, EGLError
        return f"no working OpenGL ({setting}: {first_line(error)})", _remedy(backend)
    return None


def _close_all() -> None:
    for renderer in list(OPEN_RENDERERS):
        renderer.close()


class _Trial:
    """Makes the OpenGL context of a renderer, for an empty model."""

    def __init__(self, context_class: Any):
        self._context = context_class(64, 64)

    def run(self) -> None:
        self._context.make_current()
        empty = mujoco.MjModel.from_xml_string("<mujoco/>")
        mujoco.MjrContext(empty, mujoco.mjtFontScale.mjFONTSCALE_100.value).free()

    def close(self) -> None:
        with contextlib.suppress(Exception):  # what could not be made cannot be freed
            self._context.free()


def _remedy(backend: str) -> str:
    others = [library for library in headless.installed() if library != backend]
    if backend not in headless.LIBRARIES and not headless.has_display():
        if others:
            return f"windows need a display, and here is none: set MUJOCO_GL={others[0]}"
        return f"here is no display, and neither EGL nor OSMesa; {headless.INSTALL}"
    if others:
        return f"try MUJOCO_GL={others[0]}"
    return f"a driver for it is missing or broken; {headless.INSTALL}"
