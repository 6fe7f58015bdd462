"""Looking at a policy: a video made with MuJoCo's own renderer."""

import contextlib
import copy
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from mjxwm_envs.rendering import Camera, RenderingUnavailableError, Scene, following

__all__ = ["RenderingUnavailableError", "frames", "picture", "video"]


def video(
    scene: Scene,
    qpos: np.ndarray,
    dt: float,
    target: Path,
    camera: str = "side",
    size: tuple[int, int] = (640, 480),
    max_fps: float = 30.0,
    longest: float = 20.0,
) -> Path:
    """Renders a trajectory to an MP4 file in real time; the body stays in the picture.

    Args:
        scene: what the episode looks like.
        qpos: positions [T, nq].
        dt: time between two rows [s].
        target: the file to write.
        camera: a camera of the model; without it, one that follows a body, else MuJoCo's free one.
        size: width and height [pixels].
        max_fps: frames per second; rows between frames are left out.
        longest: time after which it ends [s].

    Raises:
        RenderingUnavailableError: there is no working OpenGL, or no way to draw this model.
    """
    stride = max(1, round(1 / (dt * max_fps)))
    shown = qpos[::stride][: max(1, round(longest / (dt * stride)))]
    model = copy.copy(scene.model)
    # Where a CPU renders, these two take most of the time; at this size they are hardly seen.
    model.vis.quality.offsamples, model.vis.quality.shadowsize = 0, 1024
    taken = frames(scene._replace(model=model), shown, camera, size)
    return written(taken, 1 / (dt * stride), target)


def written(frames: Sequence[np.ndarray], fps: float, target: Path) -> Path:
    """Writes pictures [h, w, 3] as a film with so many of them per second."""
    import imageio.v2 as imageio

    with warnings.catch_warnings():
        # The encoder is a child process that is executed at once: JAX's threads do not matter.
        warnings.filterwarnings("ignore", message="os.fork")
        imageio.mimwrite(target, frames, fps=fps, macro_block_size=8)  # type: ignore[arg-type]
    return target


def picture(
    scene: Scene, qpos: np.ndarray, target: Path, size: tuple[int, int] = (480, 360)
) -> Path:
    """Renders one pose [nq] to a PNG file.

    Raises:
        RenderingUnavailableError: there is no working OpenGL, or no way to draw this model.
    """
    import imageio.v2 as imageio

    imageio.imwrite(target, frames(scene, qpos[None], "side", size)[0])
    return target


def frames(scene: Scene, qpos: np.ndarray, camera: str, size: tuple[int, int]) -> list[np.ndarray]:
    """Pictures [h, w, 3] of poses [T, nq]; the body stays in them.

    Raises:
        RenderingUnavailableError: there is no working OpenGL, or no way to draw this model.
    """
    name = following.camera_of(scene.model, camera)
    views = following.views(scene.model, qpos, name) or [None] * len(qpos)
    with contextlib.closing(Camera(scene, size, name)) as taken:
        return [taken.picture(row, view=view) for row, view in zip(qpos, views, strict=True)]
