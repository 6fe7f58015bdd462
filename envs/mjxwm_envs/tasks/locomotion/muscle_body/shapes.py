"""Simple geoms instead of meshes: some that collide with the floor, some only to be seen.

The feet keep the source's capsules, four for each foot. Knees, seat, chest and head get a sphere
each: when the body kneels or falls forward, they reach the floor before the episode ends. Geoms
collide with the floor only.
"""

from collections.abc import Callable
from typing import NamedTuple

import mujoco
import numpy as np
from jaxtyping import Float

from mjxwm_envs.tasks.locomotion.muscle_body.sources import Source

_FEET = "leg/calcn_r", "leg/toes_r", "leg/calcn_l", "leg/toes_l"
_SPHERES = {
    # Radii [m] that stay within the source's own collision geoms.
    "knee_r": ("leg/tibia_r", 0.055),
    "knee_l": ("leg/tibia_l", 0.055),
    "chest": ("trunk/torso", 0.13),
    "head": ("trunk/head", 0.1),
}
_SEAT = 0.1
_LIMBS = (("femur", "tibia", 0.06), ("tibia", "talus", 0.045))


class Shape(NamedTuple):
    """A sphere, or a capsule between two points, in the world at the neutral pose."""

    name: str
    body: str
    """Source body that it is fixed to."""
    start: Float[np.ndarray, " 3"]
    end: Float[np.ndarray, " 3"]
    """Equal to `start` for a sphere."""
    radius: float
    """[m]"""
    touches: bool
    """Whether it collides with the floor."""


Place = Callable[[str, Float[np.ndarray, " 3"]], tuple[mujoco.MjsBody, Float[np.ndarray, " 3"]]]
"""Function from (source body, point in the world) to (new body, point in its frame)."""


def shapes(source: Source) -> list[Shape]:
    """All shapes for a body."""
    model, data = source.model, source.data
    at = {model.body(i).name: data.xpos[i].copy() for i in range(model.nbody)}
    centre = {model.body(i).name: data.xipos[i].copy() for i in range(model.nbody)}
    hips = (at["leg/femur_r"] + at["leg/femur_l"]) / 2
    parts = _soles(source)
    parts.append(Shape("seat", "leg/pelvis", hips, hips, _SEAT, True))
    for name, (body, radius) in _SPHERES.items():
        point = at[body] if name.startswith("knee") else centre[body]
        parts.append(Shape(name, body, point, point, radius, True))
    for side in "rl":
        for upper, lower, radius in _LIMBS:
            start, end = at[f"leg/{upper}_{side}"], at[f"leg/{lower}_{side}"]
            parts.append(Shape(f"{upper}_{side}", f"leg/{upper}_{side}", start, end, radius, False))
    spine = at["trunk/lumbar5"], centre["trunk/torso"]
    parts.append(Shape("back", "trunk/torso", *spine, 0.09, False))
    return parts


def add_shapes(spec: mujoco.MjSpec, shapes: list[Shape], place: Place) -> None:
    """Adds the shapes as geoms to the bodies of `spec` that `place` chooses."""
    for shape in shapes:
        body, start = place(shape.body, shape.start)
        kind = mujoco.mjtGeom.mjGEOM_SPHERE
        where: dict[str, object] = {"pos": start}
        if (shape.start != shape.end).any():
            kind = mujoco.mjtGeom.mjGEOM_CAPSULE
            where = {"fromto": np.concatenate([start, place(shape.body, shape.end)[1]])}
        body.add_geom(
            spec.default,  # not the defaults of myo-sim's bodies
            name=shape.name,
            type=kind,
            size=[shape.radius, 0, 0],
            contype=int(shape.touches),
            rgba=(0.5, 0.6, 0.8, 1) if shape.body in _FEET else (0.85, 0.6, 0.35, 1),
            **where,
        )


def _soles(source: Source) -> list[Shape]:
    model, data = source.model, source.data
    soles = []
    for g in np.flatnonzero(model.geom_type == mujoco.mjtGeom.mjGEOM_CAPSULE):
        body = model.body(model.geom_bodyid[g]).name
        if body in _FEET and model.geom_contype[g]:
            radius, half = model.geom_size[g, :2]
            reach = half * data.geom_xmat[g].reshape(3, 3)[:, 2]
            name = model.geom(g).name.removeprefix("leg/")
            ends = data.geom_xpos[g] - reach, data.geom_xpos[g] + reach
            soles.append(Shape(name, body, *ends, float(radius), True))
    return soles
