"""A camera that takes pictures of one world after another."""

import copy

import mujoco
import mujoco.batch
import numpy as np
from jaxtyping import Float, UInt8

from mjxwm_envs.core import Marker, Scene
from mjxwm_envs.rendering.errors import RenderingUnavailableError, first_line
from mjxwm_envs.rendering.opengl import OPEN_RENDERERS, check_opengl

Size = tuple[int, int]


class Camera:
    """Takes pictures of one world after another; their models have the same sizes.

    Raises:
        RenderingUnavailableError: there is no working OpenGL, or MuJoCo cannot draw this model.
    """

    def __init__(self, scene: Scene, size: Size = (320, 240), camera: str | None = None):
        """Args:
        scene: what to draw, until `show` changes it.
        size: width and height [pixels].
        camera: a camera of the model; None, or one that it lacks, for MuJoCo's free camera.
        """
        check_opengl()
        self._model = copy.copy(scene.model)
        buffer = self._model.vis.global_  # a model's own may be smaller than the picture
        buffer.offwidth = max(buffer.offwidth, size[0])
        buffer.offheight = max(buffer.offheight, size[1])
        self._data, self._scene = mujoco.MjData(self._model), scene
        self._camera = -1 if camera is None else _camera_id(self._model, camera)
        try:
            self._renderer = mujoco.Renderer(self._model, size[1], size[0])
        except Exception as error:  # the backends raise errors of many kinds
            raise RenderingUnavailableError(
                f"MuJoCo cannot draw this model in {size[0]} x {size[1]} pixels: "
                f"{first_line(error)}"
            ) from error
        OPEN_RENDERERS.add(self._renderer)
        self.show(scene)

    def show(self, scene: Scene) -> None:
        """Draws another episode from now on."""
        self._scene = scene
        for name in mujoco.batch.MODEL_FIELDS:  # in place: the renderer refers to this model
            if not name.startswith("opt."):
                getattr(self._model, name)[...] = getattr(scene.model, name)
        mujoco.mj_resetData(self._model, self._data)  # puts mocap bodies where the model has them

    def picture(
        self,
        qpos: Float[np.ndarray, " nq"],
        act: Float[np.ndarray, " na"] | None = None,
        view: mujoco.MjvCamera | None = None,
    ) -> UInt8[np.ndarray, "h w 3"]:
        """The world at these positions.

        Args:
            qpos: the positions.
            act: activities of its muscles, which colour them.
            view: from where it is seen; by default from this camera's place.
        """
        self._data.qpos[:] = qpos
        self._data.act[:] = 0 if act is None else act
        mujoco.mj_forward(self._model, self._data)
        self._renderer.update_scene(self._data, camera=self._camera if view is None else view)
        for marker in self._scene.markers:
            _add_ball(self._renderer.scene, marker)
        return self._renderer.render().copy()

    def close(self) -> None:
        """Frees the renderer."""
        self._renderer.close()


def _camera_id(model: mujoco.MjModel, name: str) -> int:
    return mujoco.mj_name2id(model, int(mujoco.mjtObj.mjOBJ_CAMERA), name)


def _add_ball(scene: mujoco.MjvScene, marker: Marker) -> None:
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
