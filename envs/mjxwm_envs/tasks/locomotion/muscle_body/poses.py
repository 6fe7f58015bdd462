"""Poses that satisfy a model's joint couplings, and heights of a body above the floor.

A coupling is a joint equality of MuJoCo: y - y0 = sum_k c_k (x - x0)^k, with reference positions x0
and y0. MyoLegs' knee, patella and spine have them. In poses that violate them, tendons of MyoLegs
leave the sides of their wrapping surfaces, and engines disagree on their lengths.
"""

from typing import Any, NamedTuple

import mujoco
import numpy as np
from jaxtyping import Array, Float, Int


class Couplings(NamedTuple):
    """The joint equalities of a model; n of them."""

    follower: Int[np.ndarray, " n"]
    """Joint that follows."""
    leader: Int[np.ndarray, " n"]
    """Joint that it follows; itself if it is fixed at a position."""
    coefficients: Float[np.ndarray, "n 5"]
    """c_0 to c_4."""

    def value(self, x: Any) -> Any:
        """y - y0 as a function of x - x0, arrays of NumPy or JAX."""
        return sum(self.coefficients[:, k] * x**k for k in range(5))

    def slope(self, x: Any) -> Any:
        """The derivative of `value`."""
        return sum(k * self.coefficients[:, k] * x ** (k - 1) for k in range(1, 5))


def couplings(model: mujoco.MjModel) -> Couplings:
    """The couplings of a model; all its equalities must be joint equalities, without chains."""
    follower, leader = model.eq_obj1id, model.eq_obj2id
    fixed = leader < 0
    coefficients = np.where(fixed[:, None] & (np.arange(5) > 0), 0, model.eq_data[:, :5])
    assert (model.eq_type == mujoco.mjtEq.mjEQ_JOINT).all()
    assert not np.isin(leader, follower).any()
    return Couplings(follower, np.where(fixed, follower, leader), coefficients)


def data(model: mujoco.MjModel, joints: dict[str, float]) -> mujoco.MjData:
    """`MjData` after `mj_forward`, in the reference pose with `joints` [rad, m] moved.

    Args:
        model: compiled model.
        joints: positions by the joints' names; their followers move with them.
    """
    data, c = mujoco.MjData(model), couplings(model)
    for name, value in joints.items():
        data.qpos[model.joint(name).qposadr] = value
    at, to = model.jnt_qposadr[c.leader], model.jnt_qposadr[c.follower]
    data.qpos[to] = model.qpos0[to] + c.value(data.qpos[at] - model.qpos0[at])
    mujoco.mj_forward(model, data)
    return data


def follow(
    model: mujoco.MjModel, qpos: Float[Array, " nq"], qvel: Float[Array, " nv"]
) -> tuple[Float[Array, " nq"], Float[Array, " nv"]]:
    """The state with the positions and velocities of all followers set by the couplings."""
    c = couplings(model)
    at, to = model.jnt_qposadr[c.leader], model.jnt_qposadr[c.follower]
    x = qpos[at] - model.qpos0[at]
    rate = c.slope(x) * qvel[model.jnt_dofadr[c.leader]]
    qpos = qpos.at[to].set(model.qpos0[to] + c.value(x))
    return qpos, qvel.at[model.jnt_dofadr[c.follower]].set(rate)


def lowest(model: mujoco.MjModel, data: mujoco.MjData) -> float:
    """Height of the lowest point that can touch the floor [m]; for spheres and capsules only."""
    touching = np.flatnonzero(model.geom_contype)
    capsule = model.geom_type[touching] == mujoco.mjtGeom.mjGEOM_CAPSULE
    half = np.where(capsule, model.geom_size[touching, 1], 0)
    drop = np.abs(data.geom_xmat[touching, 8]) * half + model.geom_size[touching, 0]
    return float((data.geom_xpos[touching, 2] - drop).min())
