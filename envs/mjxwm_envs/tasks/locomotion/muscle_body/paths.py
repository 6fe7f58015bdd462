"""The muscles of a source body, each on a path of fixed points instead of wrapping surfaces.

The points are those of MuJoCo's path in one pose: a muscle's sites, and the two points where it
meets and leaves a surface. For each muscle, the pose is chosen whose points approximate the true
length best over all of `_POSES`. (With the points of upright standing, the iliacus would extend a
hip that is flexed beyond 60 degrees.)
"""

import itertools
from typing import NamedTuple

import mujoco
import numpy as np
from jaxtyping import Float

from mjxwm_envs.tasks.locomotion.muscle_body import poses
from mjxwm_envs.tasks.locomotion.muscle_body.skeleton import Segment, carriers
from mjxwm_envs.tasks.locomotion.muscle_body.sources import Source

_POSES = [
    *(
        {"hip_flexion": hip, "knee_angle": knee}
        for hip, knee in itertools.product((-0.3, 0.0, 0.5, 1.0, 1.5), (0.0, 0.5, 1.0, 1.5))
    ),
    *({joint: angle} for joint in ("hip_adduction", "hip_rotation") for angle in (-0.4, 0.3)),
    *({joint: angle} for joint in ("ankle_angle", "subtalar_angle") for angle in (-0.3, 0.3)),
]
"""Joint positions of both legs [rad]; the spine is upright, as the reduced spine differs."""
_SINGLE = ("ehl", "piri", "perbrev", "fdl")
"""Muscles of each leg that are not split into two fibres: 36 x 2 + 4 = 76."""
_SITE = -1  # in MjData.wrap_obj; a geom's id at a surface


class Path(NamedTuple):
    """A path through n points."""

    segments: list[str]
    """For each point the segment that it is fixed to."""
    points: Float[np.ndarray, "n 3"]
    """The points in the segments' frames [m]."""

    def lengths(self, frames: "Frames") -> Float[np.ndarray, " p"]:
        """The path's length [m] in each pose."""
        ids = [frames.ids[name] for name in self.segments]
        turned = np.einsum("pnij,nj->pni", frames.mat[:, ids], self.points)
        return np.linalg.norm(np.diff(frames.pos[:, ids] + turned, axis=1), axis=2).sum(axis=1)


class Frames(NamedTuple):
    """Positions and orientations of the b bodies of a model in p poses."""

    ids: dict[str, int]
    """Indices of the bodies, by name."""
    pos: Float[np.ndarray, "p b 3"]
    mat: Float[np.ndarray, "p b 3 3"]


class Muscle(NamedTuple):
    """A muscle on a fixed path."""

    name: str
    path: Path
    gain: Float[np.ndarray, " 10"]
    """MuJoCo's muscle gain parameters, also for the bias; the third is the peak force [N]."""
    dynamics: Float[np.ndarray, " 10"]
    """Parameters of the activation dynamics; the first two are time constants [s]."""
    length_range: Float[np.ndarray, " 2"]
    """Tendon lengths [m] between which the muscle operates."""

    @property
    def peak(self) -> float:
        """Peak isometric force F0 [N]."""
        return float(self.gain[2])


def muscles(source: Source, reduced: mujoco.MjModel) -> list[Muscle]:
    """All muscles of `source`, in its order, for the skeleton `reduced`."""
    both = [
        {f"leg/{joint}_{side}": angle for joint, angle in pose.items() for side in "rl"}
        for pose in _POSES
    ]
    true = [poses.data(source.model, pose) for pose in both]
    ours = _frames(reduced, [poses.data(reduced, pose) for pose in both])
    names = carriers(source.model)
    return [_muscle(source.model, true, names, ours, i) for i in range(source.model.nu)]


def split(muscle: Muscle, parts: dict[str, Segment], offset: float = 0.006) -> list[Muscle]:
    """Two fibres of half the strength, or for some muscles the muscle itself.

    The fibres are shifted by +-`offset` [m], perpendicular to the muscle's line and to the vertical
    in the neutral pose.
    """
    if muscle.name.split("/")[1][:-2] in _SINGLE:
        return [muscle]
    frames = [parts[name] for name in muscle.path.segments]
    first, last = (frames[k].pos + frames[k].mat @ muscle.path.points[k] for k in (0, -1))
    side = np.cross(last - first, (0, 0, 1))
    side *= offset / np.linalg.norm(side)
    shift = np.stack([frame.mat.T @ side for frame in frames])
    half = muscle.gain * np.where(np.arange(10) == 2, 0.5, 1)
    return [
        muscle._replace(
            name=f"{muscle.name}.{k}",
            path=muscle.path._replace(points=muscle.path.points + sign * shift),
            gain=half,
        )
        for k, sign in enumerate((1, -1))
    ]


def _frames(model: mujoco.MjModel, in_poses: list[mujoco.MjData]) -> Frames:
    return Frames(
        ids={model.body(i).name: i for i in range(model.nbody)},
        pos=np.stack([data.xpos for data in in_poses]),
        mat=np.stack([data.xmat.reshape(-1, 3, 3) for data in in_poses]),
    )


def _muscle(
    model: mujoco.MjModel, true: list[mujoco.MjData], names: list[str], ours: Frames, i: int
) -> Muscle:
    tendon = model.actuator_trnid[i, 0]
    lengths = np.array([data.ten_length[tendon] for data in true])
    candidates = [_path(model, data, tendon, names) for data in true]
    errors = [path.lengths(ours) - lengths for path in candidates]
    best = int(np.argmin([error.std() for error in errors]))
    return Muscle(
        name=model.actuator(i).name,
        path=candidates[best],
        gain=model.actuator_gainprm[i].copy(),
        dynamics=model.actuator_dynprm[i].copy(),
        # The path through fixed points is shorter: this keeps the muscle's normalised length.
        length_range=model.actuator_lengthrange[i] + errors[best].mean(),
    )


def _path(model: mujoco.MjModel, data: mujoco.MjData, tendon: int, names: list[str]) -> Path:
    declared = slice(model.tendon_adr[tendon], model.tendon_adr[tendon] + model.tendon_num[tendon])
    is_site = model.wrap_type[declared] == mujoco.mjtWrap.mjWRAP_SITE
    sites = iter(model.wrap_objid[declared][is_site])
    met = slice(data.ten_wrapadr[tendon], data.ten_wrapadr[tendon] + data.ten_wrapnum[tendon])
    bodies = [
        model.site_bodyid[next(sites)] if geom == _SITE else model.geom_bodyid[geom]
        for geom in data.wrap_obj.reshape(-1)[met]
    ]
    segments = [names[body] for body in bodies]
    ids = [model.body(name).id for name in segments]
    offsets = data.wrap_xpos.reshape(-1, 3)[met] - data.xpos[ids]
    return Path(segments, np.einsum("nij,ni->nj", data.xmat[ids].reshape(-1, 3, 3), offsets))
