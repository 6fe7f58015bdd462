"""Springs and actuators on ball and free joints, with correct derivatives at rest.

MJX's derivative of a rotation vector is 0 at the identity, where most start states are: see
`rotations`. Everything else here is MJX's.
"""

import jax.numpy as jnp
import mujoco
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float
from mujoco import mjx
from mujoco.mjx._src import math

from mjxwm_envs.engines import rotations

_FREE, _BALL = int(mujoco.mjtJoint.mjJNT_FREE), int(mujoco.mjtJoint.mjJNT_BALL)
_NO_PASSIVE = int(mujoco.mjtDisableBit.mjDSBL_SPRING | mujoco.mjtDisableBit.mjDSBL_DAMPER)
_JOINT, _IN_PARENT = int(mujoco.mjtTrn.mjTRN_JOINT), int(mujoco.mjtTrn.mjTRN_JOINTINPARENT)
_SITE = int(mujoco.mjtTrn.mjTRN_SITE)


def fwd_velocity(model: mjx.Model, data: mjx.Data) -> mjx.Data:
    """`mjx.fwd_velocity`, with the springs of free and ball joints computed here."""
    joints = _sprung(model)
    if not joints.size or model.opt.disableflags & _NO_PASSIVE:
        return mjx.fwd_velocity(model, data)
    stiffness = jnp.asarray(model.jnt_stiffness)
    data = mjx.fwd_velocity(model.replace(jnt_stiffness=stiffness.at[joints].set(0)), data)
    force = data.qfrc_passive
    for joint in joints:
        q, v = int(model.jnt_qposadr[joint]), int(model.jnt_dofadr[joint])
        if model.jnt_type[joint] == _FREE:
            moved = data.qpos[q : q + 3] - model.qpos_spring[q : q + 3]
            force = force.at[v : v + 3].add(-stiffness[joint] * moved)
            q, v = q + 3, v + 3
        turned = rotations.difference(data.qpos[q : q + 4], model.qpos_spring[q : q + 4])
        force = force.at[v : v + 3].add(-stiffness[joint] * turned)
    return data.replace(qfrc_passive=force)


def _sprung(model: mjx.Model) -> np.ndarray:
    """Free and ball joints that may have a spring."""
    joints = np.nonzero(np.isin(model.jnt_type, (_FREE, _BALL)))[0]
    if isinstance(model.jnt_stiffness, Tracer):
        return joints
    return joints[np.asarray(model.jnt_stiffness)[joints] != 0]


def transmission(model: mjx.Model, data: mjx.Data) -> mjx.Data:
    """`mjx.transmission`, with the lengths that measure a rotation computed here."""
    data = mjx.transmission(model, data)
    if not model.nu:
        return data
    kinds, targets = np.asarray(model.actuator_trntype), np.asarray(model.actuator_trnid)
    length = data.actuator_length
    for i in np.nonzero(np.isin(kinds, (_JOINT, _IN_PARENT)))[0].tolist():
        if model.jnt_type[targets[i, 0]] == _BALL:
            length = length.at[i].set(_of_ball(model, data, i))
    for i in np.nonzero((kinds == _SITE) & (targets[:, 1] != -1))[0].tolist():
        length = length.at[i].set(_between_sites(model, data, i))
    return data.replace(actuator_length=length)


def _of_ball(model: mjx.Model, data: mjx.Data, actuator: int) -> Float[Array, ""]:
    """Actuator length of a ball joint: its rotation about the actuator's axis [rad, times gear]."""
    start = int(model.jnt_qposadr[model.actuator_trnid[actuator, 0]])
    quat, axis = data.qpos[start : start + 4], model.actuator_gear[actuator, :3]
    if model.actuator_trntype[actuator] == _IN_PARENT:
        axis = math.rotate(axis, math.quat_inv(quat))
    return rotations.vector(quat) @ axis


def _between_sites(model: mjx.Model, data: mjx.Data, actuator: int) -> Float[Array, ""]:
    """Actuator length of a site: its pose relative to the reference site [m, rad, times gear]."""
    site, reference = (
        math.quat_mul(data.xquat[model.site_bodyid[i]], model.site_quat[i])
        for i in model.actuator_trnid[actuator]
    )
    i, j = model.actuator_trnid[actuator]
    moved = data.site_xmat[j].T @ (data.site_xpos[i] - data.site_xpos[j])
    turned = rotations.difference(site, reference)
    return jnp.concatenate([moved, turned]) @ model.actuator_gear[actuator]
