"""Pictures of worlds by MuJoCo's own renderer: of each world's own model, with its goal in it.

Without a display MuJoCo renders through EGL or OSMesa, see `mjxwm_envs.headless`. All here is on
the host: arrays are numpy's.
"""

import atexit
import contextlib
import copy
import functools
import importlib
import operator
import warnings
import weakref
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import mujoco
import mujoco.batch
import numpy as np
from jaxtyping import Float, UInt8

from mjxwm_envs import headless
from mjxwm_envs.core import Marker
from mjxwm_envs.env import Env

Size = tuple[int, int]
_OPEN: "weakref.WeakSet[mujoco.Renderer]" = weakref.WeakSet()


class RenderingUnavailableError(RuntimeError):
    """No picture can be made here; the message says why and what to do."""

    def __init__(self, reason: str, remedy: str = ""):
        """Of a reason, and what helps, where something is known to."""
        super().__init__(f"{reason}; {remedy}" if remedy else reason)
        self.reason, self.remedy = reason, remedy


class Scene(NamedTuple):
    """What stays the same in the pictures of one episode."""

    model: mujoco.MjModel
    """The model of this world, with its own fields and its goal."""
    markers: Sequence[Marker] = ()


def scene_of(env: Env, fields: dict[str, Any], goal: Any) -> Scene:
    """What an episode of one world looks like.

    Args:
        env: the environment.
        fields: `SimState.fields` of that world.
        goal: `Physics.goal` of that world.

    Raises:
        RenderingUnavailableError: the task's `show` fails.
    """
    model = copy.copy(env.engine.model)
    # Or MuJoCo would not look at the places of what the model file has at its body's origin.
    model.geom_sameframe[:] = model.site_sameframe[:] = mujoco.mjtSameFrame.mjSAMEFRAME_NONE
    for name, value in fields.items():
        own = np.asarray(operator.attrgetter(name)(model))
        if own.ndim:
            own[...] = np.asarray(value).reshape(own.shape)
        else:
            setattr(model.opt, name.removeprefix("opt."), np.asarray(value).item())
    try:
        markers = tuple(env.task.show(model, jax.tree.map(_on_host, goal)) or ())
    except Exception as error:  # whatever a task of a user's own may raise
        raise RenderingUnavailableError(f"show of task {env.name!r}: {_first(error)}") from error
    return Scene(model, markers)


class Camera:
    """Takes pictures of one world after another, all of models of the same sizes.

    Raises:
        RenderingUnavailableError: there is no working OpenGL, or MuJoCo cannot draw this model.
    """

    def __init__(self, scene: Scene, size: Size = (320, 240), camera: str | None = None):
        """Args:
        scene: what to draw, until `show`.
        size: width and height [pixels].
        camera: a camera of the model; None, or one that it lacks, for MuJoCo's free camera.
        """
        check_opengl()
        self._model = copy.copy(scene.model)
        buffer = self._model.vis.global_  # a model's own may be smaller than the picture
        buffer.offwidth = max(buffer.offwidth, size[0])
        buffer.offheight = max(buffer.offheight, size[1])
        self._data, self._scene = mujoco.MjData(self._model), scene
        self._camera = -1 if camera is None else _camera(self._model, camera)
        try:
            self._renderer = mujoco.Renderer(self._model, size[1], size[0])
        except Exception as error:  # the backends raise whatever they have
            raise RenderingUnavailableError(
                f"MuJoCo cannot draw this model in {size[0]} x {size[1]} pixels: {_first(error)}"
            ) from error
        _OPEN.add(self._renderer)
        self.show(scene)

    def show(self, scene: Scene) -> None:
        """Draws another episode from now on."""
        self._scene = scene
        for name in mujoco.batch.MODEL_FIELDS:  # the renderer keeps its model
            if not name.startswith("opt."):
                getattr(self._model, name)[...] = getattr(scene.model, name)
        mujoco.mj_resetData(self._model, self._data)  # mocap bodies are where the model has them

    def picture(
        self, qpos: Float[np.ndarray, " nq"], act: Float[np.ndarray, " na"] | None = None
    ) -> UInt8[np.ndarray, "h w 3"]:
        """The world at these positions, and muscles at these activations."""
        self._data.qpos[:] = qpos
        self._data.act[:] = 0 if act is None else act
        mujoco.mj_forward(self._model, self._data)
        self._renderer.update_scene(self._data, camera=self._camera)
        for marker in self._scene.markers:
            _add(self._renderer.scene, marker)
        return self._renderer.render().copy()

    def close(self) -> None:
        """Frees the renderer."""
        self._renderer.close()


def _on_host(leaf: Any) -> Any:
    random_key = hasattr(leaf, "dtype") and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
    return leaf if random_key else np.asarray(leaf)


def check_opengl() -> None:
    """Tries what MuJoCo renders with, once per process.

    Raises:
        RenderingUnavailableError: it does not work; the message says why and what to do.
    """
    fault = _fault(headless.chosen())
    if fault:
        raise RenderingUnavailableError(*fault)


@functools.cache
def _fault(way: str) -> tuple[str, str] | None:
    """Why `way`, the value of MUJOCO_GL, does not work, and what helps; None where it does."""
    from mujoco.rendering.classic import gl_context

    if headless.turned_off():
        if headless.complaints:
            return headless.complaints[-1]
        return f"rendering is turned off by MUJOCO_GL={way}", "unset it"
    named = f"MUJOCO_GL={way}" if way else "MUJOCO_GL unset"
    try:
        context_class = getattr(gl_context, "GLContext", None)
        # MuJoCo may have been imported before the variable was set.
        if way in headless.LIBRARIES or context_class is None:
            module = importlib.import_module(f"mujoco.{way or 'glfw'}")
            context_class = gl_context.GLContext = module.GLContext
        with warnings.catch_warnings(), contextlib.closing(_Trial(context_class)) as trial:
            warnings.simplefilter("ignore")
            trial.run()
        # The interpreter's end: before OpenGL's own, which the trial has registered.
        atexit.register(_close_all)
    except Exception as error:  # ImportError, AttributeError, RuntimeError, FatalError, EGLError
        return f"no working OpenGL ({named}: {_first(error)})", _remedy(way)
    return None


def _close_all() -> None:
    for renderer in list(_OPEN):
        renderer.close()


class _Trial:
    """Makes what a renderer needs, of an empty model."""

    def __init__(self, context_class: Any):
        self._context = context_class(64, 64)

    def run(self) -> None:
        self._context.make_current()
        empty = mujoco.MjModel.from_xml_string("<mujoco/>")
        mujoco.MjrContext(empty, mujoco.mjtFontScale.mjFONTSCALE_100.value).free()

    def close(self) -> None:
        with contextlib.suppress(Exception):  # what could not be made cannot be freed
            self._context.free()


def _remedy(way: str) -> str:
    found = headless.installed()
    others = [other for other in found if other != way]
    if way not in headless.LIBRARIES and not headless.has_display():
        if others:
            return f"windows need a display, and here is none: set MUJOCO_GL={others[0]}"
        return f"here is no display, and neither EGL nor OSMesa; {headless.INSTALL}"
    if others:
        return f"try MUJOCO_GL={others[0]}"
    return f"a driver for it is missing or broken; {headless.INSTALL}"


def _first(error: Exception) -> str:
    """The kind of error and its message's first line; PyOpenGL's cannot always be printed."""
    with contextlib.suppress(Exception):
        lines = str(error).strip().splitlines()
        return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
    return type(error).__name__


def _camera(model: mujoco.MjModel, name: str) -> int:
    return mujoco.mj_name2id(model, int(mujoco.mjtObj.mjOBJ_CAMERA), name)


def _add(scene: mujoco.MjvScene, marker: Marker) -> None:
    if scene.ngeom >= scene.maxgeom:
        return
    mujoco.mjv_initGeom(
        scene.geoms[scene.ngeom],
        mujoco.mjtGeom.mjGEOM_ELLIPSOID,
        np.broadcast_to(np.asarray(marker.radius, float), (3,)).copy(),
        np.asarray(marker.place, float),
        np.eye(3).ravel(),
        np.asarray(marker.rgba, np.float32),
    )
    scene.ngeom += 1
