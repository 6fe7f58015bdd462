"""The position stage of MJX, with C MuJoCo's contacts, friction directions and equality terms."""

import functools

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
from jaxtyping import Array, Float
from mujoco import mjx

from mjxwm_envs.engines import contacts, limit_rows
from mjxwm_envs.engines.constraints import make_constraint
from mjxwm_envs.engines.joints import transmission
from mjxwm_envs.engines.precision import all_in_full
from mjxwm_envs.engines.rotations import advance

_PLANE, _CAPSULE = int(mujoco.mjtGeom.mjGEOM_PLANE), int(mujoco.mjtGeom.mjGEOM_CAPSULE)
_KIND = mujoco.mjtGeom
_EDGED = [int(kind) for kind in (_KIND.mjGEOM_HFIELD, _KIND.mjGEOM_BOX, _KIND.mjGEOM_MESH)]
_CONNECT, _WELD = int(mujoco.mjtEq.mjEQ_CONNECT), int(mujoco.mjtEq.mjEQ_WELD)
_NO_CONSTRAINT = int(mujoco.mjtDisableBit.mjDSBL_CONSTRAINT)
_NO_EQUALITY = int(mujoco.mjtDisableBit.mjDSBL_EQUALITY)


def fwd_position(model: mjx.Model, data: mjx.Data, plan: contacts.Plan | None = None) -> mjx.Data:
    """`mjx.fwd_position`: the same stages in the same order, some of them replaced by ours.

    Args:
        model: the model.
        data: made by `mjx_data.make_data` with the plan.
        plan: the contacts that differ from MJX's; None for stock MJX's contacts and data.
    """
    for stage in (
        mjx.kinematics,
        mjx.com_pos,
        mjx.camlight,
        mjx.tendon,
        mjx.crb,
        mjx.tendon_armature,
        mjx.factor_m,
        functools.partial(collide, plan=plan),
        align,
        limit_rows.make_constraint,
        turn,
        transmission,
    ):
        data = stage(model, data)
    return data


def collide(model: mjx.Model, data: mjx.Data, plan: contacts.Plan | None) -> mjx.Data:
    """C MuJoCo's contacts; in full precision if boxes or meshes may touch one another."""
    collision = mjx.collision if plan is None else functools.partial(contacts.collision, plan=plan)
    if np.isin(model.geom_type, _EDGED).sum() < 2:
        return collision(model, data)
    return all_in_full(lambda data: collision(model, data))(data)


def align(model: mjx.Model, data: mjx.Data) -> mjx.Data:
    """Turns the friction directions of capsules on planes along the capsule, at any tilt.

    C MuJoCo does so. MJX (and Warp) uses a fixed direction for a capsule within 30 degrees of the
    plane's normal: its friction pyramid differs, and jumps at that angle, where there is then no
    derivative.
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
    # A capsule that stands on end has no direction along it: MJX's stays.
    aligned = capsules[:, None] & (size2 > (10 * jnp.finfo(along.dtype).eps) ** 2)
    along = along / jnp.sqrt(jnp.where(aligned, size2, 1))
    tangent = jnp.where(aligned, along, old)
    frame = jnp.stack([normal, tangent, jnp.cross(normal, tangent)], axis=1)
    frame = jnp.where(aligned[..., None], frame, contact.frame)
    return data.tree_replace({"_impl.contact.frame": frame})


def turn(model: mjx.Model, data: mjx.Data) -> mjx.Data:
    """Subtracts (dJ/dt) v from `aref` of `connect` and `weld` rows, as C MuJoCo does.

    J changes as the bodies turn: without the term these constraints lag behind in fast rotation.
    """
    kinds = np.asarray(model.eq_type)
    rows = 3 * int((kinds == _CONNECT).sum()) + 6 * int((kinds == _WELD).sum())
    if not rows or model.opt.disableflags & (_NO_CONSTRAINT | _NO_EQUALITY):
        return data

    def speed(time: Float[Array, ""]) -> Float[Array, " r"]:
        """J v after moving with velocity v for `time`."""
        qpos = advance(model, data.qpos, data.qvel, time)
        moved = mjx.com_pos(model, mjx.kinematics(model, data.replace(qpos=qpos)))
        # These rows come first; XLA removes the computation of all others, such as contacts.
        return make_constraint(model, moved)._impl.efc_J[:rows] @ data.qvel

    zero = jnp.zeros((), data.qpos.dtype)
    _, change = jax.jvp(speed, (zero,), (jnp.ones_like(zero),))
    # Rows of an inactive constraint are zero, and so is the term.
    return data.tree_replace({"_impl.efc_aref": data._impl.efc_aref.at[:rows].add(-change)})
