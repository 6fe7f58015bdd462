"""The pictures in docs/images: a task in its start pose, or four policies moving side by side.

    python scripts/pictures.py [TASK ...]
    python scripts/pictures.py --film VIDEO VIDEO ...

A VIDEO is what `mjxwm train` leaves as policy.mp4 in a run folder; those of docs/images are of the
runs in docs/results, The picture in README. Stills have 128 colours, for a quarter of the size.
"""

import argparse
from pathlib import Path

import imageio.v3 as imageio
import jax
import mjxwm_envs as envs
import numpy as np
from PIL import Image

from mjxwm.reports import video

FOLDER = Path(__file__).parents[1] / "docs" / "images"
CLOSE_UPS = {"myo-hand-key-turn": ((-0.18, -0.48, 1.42), 0.35, 150, -15)}
"""Centre and extent [m], azimuth and elevation [degrees] of tasks without a camera "side"."""
TASKS = ("hopper", "ant", "anymal", "humanoid", "muscle-humanoid", *CLOSE_UPS)


def still(name: str) -> Path:
    """A picture of a task's start pose."""
    env = envs.make_task(name, engine="native")
    sim = env.reset(jax.random.key(0)).sim
    scene = env.scene(sim.fields, sim.physics.goal)
    if name in CLOSE_UPS:
        view = scene.model.vis.global_
        scene.model.stat.center[:], scene.model.stat.extent, *angles = CLOSE_UPS[name]
        view.azimuth, view.elevation = angles
    target = video.picture(scene, np.asarray(sim.physics.qpos), FOLDER / f"{name}.png")
    Image.open(target).convert("RGB").quantize(128).save(target, optimize=True)
    return target


def film(
    videos: list[Path],
    start: float = 0.0,
    seconds: float = 4.0,
    fps: int = 15,
    size: tuple[int, int] = (240, 180),
) -> Path:
    """Some seconds of several videos side by side, as an animation that pages can show.

    Args:
        videos: files of one policy each.
        start: where in the videos it begins [s].
        seconds: how long it is.
        fps: frames per second.
        size: width and height of each [pixels].
    """
    columns = []
    for path in videos:
        frames = imageio.imread(path, plugin="FFMPEG")
        rate = imageio.immeta(path, plugin="FFMPEG")["fps"]
        times = start + np.arange(0, seconds, 1 / fps)
        columns.append([Image.fromarray(frames[int(t * rate)]).resize(size) for t in times])
    strips = [np.concatenate([np.asarray(p) for p in row], 1) for row in zip(*columns, strict=True)]
    images = [Image.fromarray(strip) for strip in strips]
    target = FOLDER / "policies.webp"
    rest = {"append_images": images[1:], "duration": round(1000 / fps), "loop": 0}
    images[0].save(target, save_all=True, quality=50, method=6, **rest)
    return target


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("tasks", nargs="*", default=TASKS)
    parser.add_argument("--film", nargs="+", type=Path, metavar="VIDEO")
    options = parser.parse_args()
    for line in [film(options.film)] if options.film else map(still, options.tasks):
        print(line)
