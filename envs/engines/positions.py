"""What MJX computes from positions, with contact frames as C MuJoCo has them."""

import jax.numpy as jnp
import mujoco
import numpy as np
from mujoco import mjx

_PLANE, _CAPSULE = int(mujoco.mjtGeom.mjGEOM_PLANE), int(mujoco.mjtGeom.mjGEOM_CAPSULE)


def fwd_position(model: mjx.Model, data: mjx.Data) -> mjx.Data:
    """`mjx.fwd_position`, its own stages in its own order, with `align` after collisions."""
    for stage in (
        mjx.kinematics,
        mjx.com_pos,
        mjx.camlight,
        mjx.tendon,
        mjx.crb,
        mjx.tendon_armature,
        mjx.factor_m,
        mjx.collision,
        align,
        mjx.make_constraint,
        mjx.transmission,
    ):
        data = stage(model, data)
    return data


def align(model: mjx.Model, data: mjx.Data) -> mjx.Data:
    """Turns the friction directions of capsules on planes along the capsule, at any tilt.

    C MuJoCo does so. MJX (and Warp) takes a fixed direction where a capsule is within 30 degrees of
    the plane's normal: a pyramid of friction is then another one, and it turns with a jump, which
    is no function's derivative.
    """
    kinds = np.asarray(model.geom_type)
    if not ((kinds == _PLANE).any() and (kinds == _CAPSULE).any()):
        return data
    contact = data._impl.contact
    kinds = jnp.asarray(kinds)
    capsules = (kinds[contact.geom1] == _PLANE) & (kinds[contact.geom2] == _CAPSULE)
    normal, old = contact.frame[:, 0], contact.frame[:, 1]
    axis = data.geom_xmat[contact.geom2].reshape(-1, 3, 3)[..., 2]
    along = axis - normal * (normal * axis).sum(axis=-1, keepdims=True)
    size2 = (along**2).sum(axis=-1, keepdims=True)
    # A capsule that stands on end has no direction of its own: it keeps MJX's.
    known = capsules[:, None] & (size2 > (10 * jnp.finfo(along.dtype).eps) ** 2)
    along = along / jnp.sqrt(jnp.where(known, size2, 1))
    tangent = jnp.where(known, along, old)
    frame = jnp.stack([normal, tangent, jnp.cross(normal, tangent)], axis=1)
    frame = jnp.where(known[..., None], frame, contact.frame)
    return data.tree_replace({"_impl.contact.frame": frame})
