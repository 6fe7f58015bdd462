"""Pictures of worlds by MuJoCo's own renderer: each world's own model, with its goal in it.

    scene = env.scene(state.sim.fields, state.sim.physics.goal)
    image = rendering.Camera(scene).picture(state.sim.physics.qpos)

Without a display MuJoCo renders through EGL or OSMesa, see `mjxwm_envs.headless`. Everything runs
on the host: arrays are numpy's.
"""

from mjxwm_envs.core import Scene
from mjxwm_envs.rendering import following
from mjxwm_envs.rendering.camera import Camera
from mjxwm_envs.rendering.errors import RenderingUnavailableError
from mjxwm_envs.rendering.opengl import check_opengl

__all__ = ["Camera", "RenderingUnavailableError", "Scene", "check_opengl", "following"]
