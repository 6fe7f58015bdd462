"""Poses that satisfy a model's joint couplings, and the height at which a body stands on the floor.

A coupling is a joint equality of MuJoCo: y - y0 = sum_k c_k (x - x0)^k, with reference positions x0
and y0. MyoLegs' knee, patella and spine have them. Away from them, tendons of MyoLegs leave the
sides of their wrapping surfaces, and engines disagree on their lengths.
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
    """Joint that it follows; itself where it is only held."""
    coefficients: Float[np.ndarray, "n 5"]
    """c_0 to c_4."""

    def value(self, x: Any) -> Any:
        """y - y0 at x - x0, arrays of NumPy or JAX."""
        return sum(self.coefficients[:, k] * x**k for k in range(5))

    def slope(self, x: Any) -> Any:
        """Its derivative."""
        return sum(k * self.coefficients[:, k] * x ** (k - 1) for k in range(1, 5))


def couplings(model: mujoco.MjModel) -> Couplings:
    """Of a model whose equalities couple hinges and slides, no follower leading another."""
    follower, leader = model.eq_obj1id, model.eq_obj2id
    held = leader < 0
    coefficients = np.where(held[:, None] & (np.arange(5) > 0), 0, model.eq_data[:, :5])
    assert (model.eq_type == mujoco.mjtEq.mjEQ_JOINT).all()
    assert not np.isin(leader, follower).any()
    return Couplings(follower, np.where(held, follower, leader), coefficients)


def data(model: mujoco.MjModel, joints: dict[str, float]) -> mujoco.MjData:
    """The reference pose but for `joints` [rad, m] by name, couplings satisfied; all computed."""
    found, c = mujoco.MjData(model), couplings(model)
    for name, value in joints.items():
        found.qpos[model.joint(name).qposadr] = value
    at, to = model.jnt_qposadr[c.leader], model.jnt_qposadr[c.follower]
    found.qpos[to] = model.qpos0[to] + c.value(found.qpos[at] - model.qpos0[at])
    mujoco.mj_forward(model, found)
    return found


def follow(
    model: mujoco.MjModel, qpos: Float[Array, " nq"], qvel: Float[Array, " nv"]
) -> tuple[Float[Array, " nq"], Float[Array, " nv"]]:
    """The same state with every follower moved, and moving, as its leader asks."""
    c = couplings(model)
    at, to = model.jnt_qposadr[c.leader], model.jnt_qposadr[c.follower]
    x = qpos[at] - model.qpos0[at]
    rate = c.slope(x) * qvel[model.jnt_dofadr[c.leader]]
    qpos = qpos.at[to].set(model.qpos0[to] + c.value(x))
    return qpos, qvel.at[model.jnt_dofadr[c.follower]].set(rate)


def lowest(model: mujoco.MjModel, data: mujoco.MjData) -> float:
    """Height of the lowest point that can touch the floor [m]; spheres and capsules alone."""
    touching = np.flatnonzero(model.geom_contype)
    capsule = model.geom_type[touching] == mujoco.mjtGeom.mjGEOM_CAPSULE
    half = np.where(capsule, model.geom_size[touching, 1], 0)
    drop = np.abs(data.geom_xmat[touching, 8]) * half + model.geom_size[touching, 0]
    return float((data.geom_xpos[touching, 2] - drop).min())
