"""Looking at a policy: a video made with MuJoCo's own renderer."""

import os
import warnings
from pathlib import Path

import mujoco
import numpy as np

_CAMERA = int(mujoco.mjtObj.mjOBJ_CAMERA)


class RenderingUnavailableError(RuntimeError):
    """This machine has no working OpenGL; the message says what to install."""


def video(
    model: mujoco.MjModel,
    qpos: np.ndarray,
    dt: float,
    target: Path,
    camera: str = "side",
    size: tuple[int, int] = (320, 240),
    max_fps: float = 30.0,
) -> Path:
    """Renders a trajectory to an MP4 file in real time.

    Args:
        model: the model.
        qpos: positions [T, nq].
        dt: time between two rows [s].
        target: the file to write.
        camera: a camera of the model; without it, MuJoCo's free camera.
        size: width and height [pixels].
        max_fps: frames per second; rows between frames are left out.

    Raises:
        RenderingUnavailableError: there is no working OpenGL (EGL or OSMesa).
    """
    import imageio.v2 as imageio

    stride = max(1, round(1 / (dt * max_fps)))
    frames = _frames(model, qpos[::stride], camera, size)
    with warnings.catch_warnings():
        # The encoder is a child process that is executed at once: JAX's threads do not matter.
        warnings.filterwarnings("ignore", message="os.fork")
        imageio.mimwrite(target, frames, fps=1 / (dt * stride), macro_block_size=8)  # type: ignore[arg-type]
    return target


def picture(
    model: mujoco.MjModel, qpos: np.ndarray, target: Path, size: tuple[int, int] = (480, 360)
) -> Path:
    """Renders one pose [nq] to a PNG file.

    Raises:
        RenderingUnavailableError: there is no working OpenGL (EGL or OSMesa).
    """
    import imageio.v2 as imageio

    imageio.imwrite(target, _frames(model, qpos[None], "side", size)[0])
    return target


def _frames(
    model: mujoco.MjModel, qpos: np.ndarray, camera: str, size: tuple[int, int]
) -> list[np.ndarray]:
    width, height = size
    data, known = mujoco.MjData(model), mujoco.mj_name2id(model, _CAMERA, camera) >= 0
    try:
        renderer = mujoco.Renderer(model, height, width)
    except Exception as error:  # the backends raise ImportError, AttributeError, RuntimeError, ...
        raise RenderingUnavailableError(
            f"no working OpenGL here (MUJOCO_GL={os.environ.get('MUJOCO_GL', 'unset')}: "
            f"{type(error).__name__}). On Debian: `apt install libegl1`, or "
            "`apt install libosmesa6` and MUJOCO_GL=osmesa"
        ) from error
    frames = []
    with renderer:
        for row in qpos:
            data.qpos[:] = row
            mujoco.mj_forward(model, data)
            renderer.update_scene(data, camera=camera if known else -1)
            frames.append(renderer.render().copy())
    return frames
