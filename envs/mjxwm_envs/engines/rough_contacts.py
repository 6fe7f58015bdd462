"""Refuses contacts that MJX lacks, and warns of those that differ from C MuJoCo's."""

import warnings

import mujoco
import numpy as np
from mujoco.mjx._src import collision_driver

_G = mujoco.mjtGeom
_HFIELD, _SPHERE, _CAPSULE, _ELLIPSOID, _CYLINDER, _BOX, _MESH = (
    int(kind)
    for kind in (
        *(_G.mjGEOM_HFIELD, _G.mjGEOM_SPHERE, _G.mjGEOM_CAPSULE, _G.mjGEOM_ELLIPSOID),
        *(_G.mjGEOM_CYLINDER, _G.mjGEOM_BOX, _G.mjGEOM_MESH),
    )
)
_CLIPPED = {(kind, _MESH) for kind in (_SPHERE, _CAPSULE, _BOX, _MESH)}
_CLIPPED |= {(_CAPSULE, _BOX), (_BOX, _BOX)}


def refuse(model: mujoco.MjModel) -> None:
    """Refuses contacts without friction under elliptic cones.

    Raises:
        ValueError: the model can have such contacts; the message names the geoms.
    """
    if model.opt.cone != mujoco.mjtCone.mjCONE_ELLIPTIC:
        return
    for key, pairs in collision_driver._geom_groups(model).items():
        if key.condim == 1:
            one, two = (_name(model, geom) for geom in pairs[0][:2])
            raise ValueError(
                f"engine='mjx' has no frictionless contacts (condim=1) with elliptic cones, as "
                f"between the geoms {one} and {two}; set condim=3 or cone='pyramidal', or use "
                "engine='native' or 'warp'"
            )


def warn(model: mujoco.MjModel, stacklevel: int) -> None:
    """Warns of contacts that differ from C MuJoCo's, and names the types of geoms."""
    kinds = {
        tuple(int(model.geom_type[geom]) for geom in pair[:2])
        for pair in collision_driver.geom_pairs(model)
    }
    # Between round geoms MJX searches with a fixed number of steps, by a function that is not the
    # distance outside of an ellipsoid's or a cylinder's surface.
    curved = {k for k in kinds if k[0] >= _SPHERE and k[1] in (_ELLIPSOID, _CYLINDER)}
    followed = curved - {(_SPHERE, _CYLINDER)}
    if followed:
        warnings.warn(
            f"engine='mjx' only approximates contacts of {_listed(followed)} (on a hand by "
            "about 1 mm and 6 degrees); engine='native' and 'warp' compute them",
            stacklevel=stacklevel + 1,
        )
    # MJX clips faces, or tests some of the triangles; C searches the Minkowski difference.
    other = {k for k in kinds if k in _CLIPPED or k[0] == _HFIELD}
    if other:
        warnings.warn(
            f"engine='mjx' makes contacts of {_listed(other)} in other places and numbers than C "
            "MuJoCo, and so other motion; use engine='native' where that matters",
            stacklevel=stacklevel + 1,
        )


def _listed(kinds: set[tuple[int, ...]]) -> str:
    return ", ".join("-".join(_G(k).name[7:].lower() for k in pair) for pair in sorted(kinds))


def _name(model: mujoco.MjModel, geom: int) -> str:
    return repr(model.geom(np.asarray(geom).item()).name or int(geom))
