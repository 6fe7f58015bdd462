"""Actuator forces, with finite derivatives of the limit on a tendon's total actuator force.

MJX divides the limit by the total force, even if it is zero, and discards the infinite result; the
derivative is then NaN.
"""

import jax.numpy as jnp
import mujoco
import numpy as np
from jaxtyping import Array, Float
from mujoco import mjx

_TENDON = int(mujoco.mjtTrn.mjTRN_TENDON)


def fwd_actuation(model: mjx.Model, data: mjx.Data) -> mjx.Data:
    """`mjx.fwd_actuation`, with the limits of tendons (`actuatorfrcrange`) applied here."""
    tendons = np.nonzero(np.asarray(model.tendon_actfrclimited))[0].tolist()
    if not tendons or not model.nu or model.opt.disableflags & mjx.DisableBit.ACTUATION:
        return mjx.fwd_actuation(model, data)
    unlimited = model.replace(
        tendon_actfrclimited=np.zeros_like(model.tendon_actfrclimited),
        actuator_forcelimited=np.zeros_like(model.actuator_forcelimited),
    )
    data = mjx.fwd_actuation(unlimited, data)
    force = data.actuator_force
    for tendon in tendons:
        force = _limit_total(model, force, tendon)
    limited = _clip(force, model.actuator_forcelimited, model.actuator_forcerange)
    torque = data._impl.actuator_moment.T @ limited
    joints = model.dof_jntid
    if model.flg_gravcomp:
        torque += data.qfrc_gravcomp * model.jnt_actgravcomp[joints]
    limits = model.jnt_actfrclimited[joints], model.jnt_actfrcrange[joints]
    return data.replace(actuator_force=limited, qfrc_actuator=_clip(torque, *limits))


def _limit_total(model: mjx.Model, force: Float[Array, " u"], tendon: int) -> Float[Array, " u"]:
    """Forces scaled so that their sum over the tendon's actuators is within its range [N]."""
    on_tendon = np.asarray(model.actuator_trntype) == _TENDON
    actuators = np.nonzero(on_tendon & (np.asarray(model.actuator_trnid)[:, 0] == tendon))[0]
    total = force[actuators].sum()
    low, high = model.tendon_actfrcrange[tendon]
    beyond = (total < low) | (total > high)
    scale = jnp.clip(total, low, high) / jnp.where(beyond, total, 1)
    return force.at[actuators].set(force[actuators] * jnp.where(beyond, scale, 1))


def _clip(x: Float[Array, " n"], limited: Array, limits: Float[Array, "n 2"]) -> Float[Array, " n"]:
    return jnp.where(limited, jnp.clip(x, limits[:, 0], limits[:, 1]), x)
