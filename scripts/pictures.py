"""The pictures in docs/images: a task in its start pose, or four policies moving side by side.

    python scripts/pictures.py [TASK ...]
    python scripts/pictures.py --film [NAME NAME ...]

A NAME is a policy that comes with the package; each is shown from the start of an episode. Stills
have 128 colours, for a quarter of the size.
"""

import argparse
from pathlib import Path

import jax
import mjxwm_envs as envs
import numpy as np
from PIL import Image

from mjxwm.reports import outcome, video
from mjxwm.runs import build, shipped
from mjxwm.runs.folders import RunFolder

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
    names: list[str],
    start: float = 0.5,
    seconds: float = 4.0,
    fps: int = 20,
    size: tuple[int, int] = (280, 210),
) -> Path:
    """Some seconds of shipped policies side by side, as an animation that pages can show.

    Args:
        names: their names.
        start: where in the episode it begins [s].
        seconds: how long it is.
        fps: frames per second.
        size: width and height of each policy [pixels].
    """
    shown = [played(name, start + np.arange(0, seconds, 1 / fps), size) for name in names]
    images = [Image.fromarray(np.concatenate(row, 1)) for row in zip(*shown, strict=True)]
    target = FOLDER / "policies.webp"
    rest = {"append_images": images[1:], "duration": round(1000 / fps), "loop": 0}
    images[0].save(target, save_all=True, quality=60, method=6, **rest)
    return target


def played(name: str, times: np.ndarray, size: tuple[int, int]) -> list[np.ndarray]:
    """Pictures [h, w, 3] of an episode of a shipped policy, at these times [s]."""
    config, evaluation, _ = outcome.evaluate_run(RunFolder(shipped.find(name)), episodes=1)
    env = build.make_env(config)
    scene = env.scene(evaluation.fields, evaluation.goal)
    if scene is None:
        raise SystemExit(f"{name} is simulated elsewhere and has no body to draw")
    rows = np.round(times / env.spec.ctrl_dt).astype(int)
    return video.frames(scene, np.asarray(evaluation.qpos)[rows], "side", size)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("tasks", nargs="*", default=TASKS)
    parser.add_argument("--film", nargs="*", metavar="NAME")
    options = parser.parse_args()
    draw = map(still, options.tasks)
    if options.film is not None:
        draw = map(film, [options.film or shipped.names()])
    for path in draw:
        print(path)
