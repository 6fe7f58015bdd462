"""The reduced skeleton: a rigid segment for each source body with an independent joint.

Joints that only follow others (the upper levels of the spine, sliding and twisting of the knees,
the patellae) are left out, and their bodies are merged with the parent segment. So each knee is one
hinge, and the spine is one joint of three hinges, at the lowest lumbar vertebra. Masses and
inertias of merged bodies are summed.
"""

from typing import NamedTuple

import mujoco
import numpy as np
from jaxtyping import Float, Int

from mjxwm_envs.tasks.locomotion.muscle_body.poses import couplings
from mjxwm_envs.tasks.locomotion.muscle_body.sources import Source

ROOT = "pelvis"
_PATELLA = "leg/patella_", "leg/tibia_"
"""The patella slides on the femur, and moves with the tibia more than with the femur."""


class Joints(NamedTuple):
    """Parameters of all hinges."""

    damping: float
    """Damping of the legs' hinges [N m s/rad]."""
    trunk_damping: float
    """Damping of the spine, which stands for all its levels [N m s/rad]."""
    armature: float
    """Armature of each hinge [kg m^2]."""


class Segment(NamedTuple):
    """A rigid segment, with its frame in the world in the neutral pose."""

    name: str
    parent: str
    pos: Float[np.ndarray, " 3"]
    mat: Float[np.ndarray, "3 3"]
    members: Int[np.ndarray, " m"]
    """Source bodies that are merged into it."""

    def local(self, point: Float[np.ndarray, " 3"]) -> Float[np.ndarray, " 3"]:
        """Transforms a point from the world's to the segment's frame [m]."""
        return self.mat.T @ (point - self.pos)


def carriers(model: mujoco.MjModel) -> list[str]:
    """For each source body, the name of the segment that it belongs to."""
    followers = couplings(model).follower
    independent = {int(model.jnt_bodyid[j]) for j in range(model.njnt) if j not in followers}
    names = [""]  # the world
    for i in range(1, model.nbody):
        name = model.body(i).name
        if name.startswith(_PATELLA[0]):
            names.append(name.replace(*_PATELLA))
        else:
            names.append(name if i in independent else names[model.body_parentid[i]])
    return names


def segments(source: Source) -> dict[str, Segment]:
    """The segments by name, parents before their children."""
    model, data = source.model, source.data
    names = carriers(model)
    result = {}
    for name in dict.fromkeys(n for n in names if n):
        i = model.body(name).id
        parent = names[model.body_parentid[i]]
        members = np.flatnonzero(np.array(names) == name)
        mat = data.xmat[i].reshape(3, 3)
        result[name] = Segment(name, parent, data.xpos[i].copy(), mat.copy(), members)
    return result


def add_segments(
    spec: mujoco.MjSpec, source: Source, parts: dict[str, Segment], joints: Joints
) -> None:
    """Adds the segments to `spec`, below its free root."""
    for part in parts.values():
        body = spec.body(ROOT)
        if part.name != ROOT:
            above = parts[part.parent]
            body = spec.body(above.name).add_body(name=part.name, pos=above.local(part.pos))
            body.quat = _quaternion(above.mat.T @ part.mat)
            _add_hinges(body, part, source, joints)
        body.explicitinertial = True
        body.mass, body.ipos, body.fullinertia = _inertia(part, source)


def _add_hinges(body: mujoco.MjsBody, part: Segment, source: Source, joints: Joints) -> None:
    model, data = source.model, source.data
    followers = couplings(model).follower
    spine = part.name.startswith("trunk/")
    for j in range(model.njnt):
        if model.body(model.jnt_bodyid[j]).name != part.name or j in followers:
            continue
        body.add_joint(
            name=model.joint(j).name,
            type=mujoco.mjtJoint.mjJNT_HINGE,
            pos=part.local(data.xanchor[j]),
            axis=part.mat.T @ data.xaxis[j],
            limited=True,
            range=model.jnt_range[j],
            damping=[joints.trunk_damping if spine else joints.damping, 0, 0],
            armature=joints.armature,
        )


def _inertia(part: Segment, source: Source) -> tuple[float, list[float], list[float]]:
    """Mass, centre of mass and inertia (xx yy zz xy xz yz) about it, in the segment's axes."""
    model, data = source.model, source.data
    masses = model.body_mass[part.members]
    centres = data.xipos[part.members]
    centre = masses @ centres / masses.sum()
    total = np.zeros((3, 3))
    for i, mass, member_centre in zip(part.members, masses, centres, strict=True):
        axes, r = data.ximat[i].reshape(3, 3), member_centre - centre
        total += axes @ np.diag(model.body_inertia[i]) @ axes.T
        total += mass * (r @ r * np.eye(3) - np.outer(r, r))
    local = part.mat.T @ total @ part.mat
    entries = local[[0, 1, 2, 0, 0, 1], [0, 1, 2, 1, 2, 2]]
    return float(masses.sum()), part.local(centre).tolist(), entries.tolist()


def _quaternion(mat: Float[np.ndarray, "3 3"]) -> Float[np.ndarray, " 4"]:
    quat = np.zeros(4)
    mujoco.mju_mat2Quat(quat, mat.flatten())
    return quat
