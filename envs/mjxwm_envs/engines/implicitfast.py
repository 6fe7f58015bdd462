"""MuJoCo's `implicitfast` integrator, with the velocity derivatives of actuators as C has them.

    (M - dt dF/dv) a = F,    F: all forces, constraints included

MJX leaves the slope of muscles' force-velocity curve out of dF/dv, and includes the damping of
actuators whose force is clamped to its `forcerange` and thus independent of the velocity.
"""

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
from jax.scipy.linalg import cho_factor, cho_solve
from jaxtyping import Array, Float
from mujoco import mjx
from mujoco.mjx._src import derivative, support
from mujoco.mjx._src import forward as stages


def implicit(model: mjx.Model, data: mjx.Data) -> mjx.Data:
    """`mjx.implicit`: one step, from the forces and the constraint solve in `data`."""
    slope = _of_passive(model, data)
    if model.nu and not model.opt.disableflags & mjx.DisableBit.ACTUATION:
        moment = data._impl.actuator_moment
        slope = slope + moment.T @ (_of_actuators(model, data)[:, None] * moment)
    inertia = mjx.full_m(model, data) - model.opt.timestep * slope
    factor, lower = cho_factor(inertia)
    qacc = cho_solve((factor, lower), data.qfrc_smooth + data.qfrc_constraint)
    return stages._advance(model, data, data.act_dot, qacc)


def _of_passive(model: mjx.Model, data: mjx.Data) -> Float[Array, "v v"]:
    flags = model.opt.disableflags | mjx.DisableBit.ACTUATION
    slope = derivative.deriv_smooth_vel(model.tree_replace({"opt.disableflags": flags}), data)
    return jnp.zeros((model.nv, model.nv)) if slope is None else slope


def _of_actuators(model: mjx.Model, data: mjx.Data) -> Float[Array, " u"]:
    """Derivative of each actuator's force with respect to its velocity [N s/m or N m s/rad]."""
    affine = np.asarray(model.actuator_gaintype) == mjx.GainType.AFFINE
    gain = jnp.where(affine, model.actuator_gainprm[:, 2], 0)
    muscles = np.nonzero(np.asarray(model.actuator_gaintype) == mjx.GainType.MUSCLE)[0]
    if muscles.size:
        gain = gain.at[muscles].set(_of_muscles(model, data, muscles))
    stateful = np.nonzero(np.asarray(model.actuator_dyntype) != mjx.DynType.NONE)[0]
    address = np.asarray(model.actuator_actadr)[stateful]
    control = data.ctrl.at[stateful].set(data.act[address])
    affine = np.asarray(model.actuator_biastype) == mjx.BiasType.AFFINE
    slope = gain * control + jnp.where(affine, model.actuator_biasprm[:, 2], 0)
    low, high = model.actuator_forcerange.T
    clamped = (data.actuator_force <= low) | (data.actuator_force >= high)
    return jnp.where(jnp.asarray(model.actuator_forcelimited, bool) & clamped, 0, slope)


def _of_muscles(model: mjx.Model, data: mjx.Data, muscles: np.ndarray) -> Float[Array, " m"]:
    """Slope of the force-velocity curve at full activation, after Millard et al. 2013."""
    length, velocity = data.actuator_length[muscles], data._impl.actuator_velocity[muscles]
    lengths, prm = model.actuator_lengthrange[muscles], model.actuator_gainprm[muscles]
    still = jax.vmap(support.muscle_gain)(
        length, jnp.zeros_like(velocity), lengths, model.actuator_acc0[muscles], prm
    )
    least = mujoco.mjMINVAL
    optimum = (lengths[:, 1] - lengths[:, 0]) / jnp.maximum(least, prm[:, 1] - prm[:, 0])
    fastest = jnp.maximum(least, optimum * prm[:, 6])
    relative, rise = velocity / fastest, prm[:, 8] - 1
    shortening = (relative > -1) & (relative <= 0)
    lengthening = (relative > 0) & (relative <= rise)
    curve = jnp.where(shortening, 2 * (relative + 1), 0)
    # Avoids division by a rise of zero in the branch that is discarded.
    stretched = 2 * (rise - relative) / jnp.where(lengthening, rise, 1)
    return still * jnp.where(lengthening, stretched, curve) / fastest
