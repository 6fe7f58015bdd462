"""The muscles of a source body, each on a path of fixed points instead of wrapping surfaces.

The points are those of MuJoCo's own path at the neutral pose: a muscle's sites, and the two points
where it meets and leaves a surface.
"""

from typing import NamedTuple

import mujoco
import numpy as np
from jaxtyping import Float

from envs.locomotion.muscle_body.sources import Source

_SINGLE = ("ehl", "piri", "perbrev", "fdl")
"""The muscles of each leg that `split` leaves whole: 36 x 2 + 4 = 76."""
_SITE = -1  # in MjData.wrap_obj; a geom's id at a surface


class Muscle(NamedTuple):
    """A muscle on n points, at the neutral pose."""

    name: str
    bodies: list[str]
    """Source body of each point."""
    points: Float[np.ndarray, "n 3"]
    """In the world [m]."""
    gain: Float[np.ndarray, " 10"]
    """MuJoCo's muscle gain; its third entry is the peak force [N]. The bias has the same."""
    dynamics: Float[np.ndarray, " 10"]
    """Of the activation; the first two are time constants [s]."""
    length_range: Float[np.ndarray, " 2"]
    """Tendon lengths [m] between which the muscle operates."""

    @property
    def peak(self) -> float:
        """Peak isometric force F0 [N]."""
        return float(self.gain[2])


def muscles(source: Source) -> list[Muscle]:
    """All muscles of `source`, in its order."""
    return [_muscle(source, i) for i in range(source.model.nu)]


def split(muscle: Muscle, offset: float = 0.006) -> list[Muscle]:
    """Two fibres of half the strength, `offset` [m] to either side, or the muscle itself.

    To the side means across both the muscle's line and the vertical.
    """
    if muscle.name.split("/")[1][:-2] in _SINGLE:
        return [muscle]
    side = np.cross(muscle.points[-1] - muscle.points[0], (0, 0, 1))
    side *= offset / np.linalg.norm(side)
    half = muscle.gain * np.where(np.arange(10) == 2, 0.5, 1)
    return [
        muscle._replace(name=f"{muscle.name}.{k}", points=muscle.points + sign * side, gain=half)
        for k, sign in enumerate((1, -1))
    ]


def _muscle(source: Source, i: int) -> Muscle:
    model, data = source.model, source.data
    tendon = model.actuator_trnid[i, 0]
    bodies, points = _path(model, data, tendon)
    # The muscle must find itself as stretched as on its true path, where the points are a shortcut.
    shortcut = np.linalg.norm(np.diff(points, axis=0), axis=1).sum() - data.ten_length[tendon]
    return Muscle(
        name=model.actuator(i).name,
        bodies=bodies,
        points=points,
        gain=model.actuator_gainprm[i].copy(),
        dynamics=model.actuator_dynprm[i].copy(),
        length_range=model.actuator_lengthrange[i] + shortcut,
    )


def _path(
    model: mujoco.MjModel, data: mujoco.MjData, tendon: int
) -> tuple[list[str], Float[np.ndarray, "n 3"]]:
    declared = slice(model.tendon_adr[tendon], model.tendon_adr[tendon] + model.tendon_num[tendon])
    is_site = model.wrap_type[declared] == mujoco.mjtWrap.mjWRAP_SITE
    sites = iter(model.wrap_objid[declared][is_site])
    met = slice(data.ten_wrapadr[tendon], data.ten_wrapadr[tendon] + data.ten_wrapnum[tendon])
    objects = data.wrap_obj.reshape(-1)[met]
    bodies = [
        model.site_bodyid[next(sites)] if geom == _SITE else model.geom_bodyid[geom]
        for geom in objects
    ]
    return [model.body(b).name for b in bodies], data.wrap_xpos.reshape(-1, 3)[met].copy()
