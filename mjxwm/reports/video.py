"""Looking at a policy: a video made with MuJoCo's own renderer."""

import contextlib
import warnings
from pathlib import Path

import numpy as np
from mjxwm_envs.rendering import Camera, RenderingUnavailableError, Scene

__all__ = ["RenderingUnavailableError", "picture", "video"]


def video(
    scene: Scene,
    qpos: np.ndarray,
    dt: float,
    target: Path,
    camera: str = "side",
    size: tuple[int, int] = (320, 240),
    max_fps: float = 30.0,
) -> Path:
    """Renders a trajectory to an MP4 file in real time.

    Args:
        scene: what the episode looks like.
        qpos: positions [T, nq].
        dt: time between two rows [s].
        target: the file to write.
        camera: a camera of the model; without it, MuJoCo's free camera.
        size: width and height [pixels].
        max_fps: frames per second; rows between frames are left out.

    Raises:
        RenderingUnavailableError: there is no working OpenGL, or no way to draw this model.
    """
    import imageio.v2 as imageio

    stride = max(1, round(1 / (dt * max_fps)))
    frames = _frames(scene, qpos[::stride], camera, size)
    with warnings.catch_warnings():
        # The encoder is a child process that is executed at once: JAX's threads do not matter.
        warnings.filterwarnings("ignore", message="os.fork")
        imageio.mimwrite(target, frames, fps=1 / (dt * stride), macro_block_size=8)  # type: ignore[arg-type]
    return target


def picture(
    scene: Scene, qpos: np.ndarray, target: Path, size: tuple[int, int] = (480, 360)
) -> Path:
    """Renders one pose [nq] to a PNG file.

    Raises:
        RenderingUnavailableError: there is no working OpenGL, or no way to draw this model.
    """
    import imageio.v2 as imageio

    imageio.imwrite(target, _frames(scene, qpos[None], "side", size)[0])
    return target


def _frames(scene: Scene, qpos: np.ndarray, camera: str, size: tuple[int, int]) -> list[np.ndarray]:
    with contextlib.closing(Camera(scene, size, camera)) as taken:
        return [taken.picture(row) for row in qpos]
