"""Removes MuJoCo's shortcuts for coinciding frames from models whose worlds differ in frames."""

import copy
from collections.abc import Iterable

import mujoco

_SAME_FRAME = {
    "body_ipos": "body_sameframe",
    "body_iquat": "body_sameframe",
    "geom_pos": "geom_sameframe",
    "geom_quat": "geom_sameframe",
    "site_pos": "site_sameframe",
    "site_quat": "site_sameframe",
}


def without_shortcuts(model: mujoco.MjModel, fields: Iterable[str]) -> mujoco.MjModel:
    """The model for worlds that differ in `fields`; unchanged if no shortcut depends on them.

    MuJoCo's compiler marks frames that coincide with their body's, and C MuJoCo then ignores their
    positions: `geom_pos` of a geom that the MJCF has at its body's origin would have no effect.

    Raises:
        ValueError: inertial frames differ, and bodies have an inertia matrix that is diagonal as
            long as their centre of mass is on their joints.
    """
    fields = set(fields)
    flags = {flag for name, flag in _SAME_FRAME.items() if name in fields}
    if not flags:
        return model
    inertial = fields & {"body_ipos", "body_iquat"}
    simple = [i for i in range(1, model.nbody) if model.body_simple[i] and model.body_dofnum[i]]
    if inertial and simple:
        names = ", ".join(model.body(i).name or f"number {i}" for i in simple)
        raise ValueError(
            f"{', '.join(sorted(inertial))} cannot differ between worlds with engine='native': "
            f"MuJoCo has a diagonal inertia matrix for body {names}, whose centre of mass is on "
            "its joints; give it an <inertial> a little beside them, or use engine='mjx'"
        )
    model = copy.copy(model)
    for flag in flags:
        getattr(model, flag)[:] = mujoco.mjtSameFrame.mjSAMEFRAME_NONE
    return model
