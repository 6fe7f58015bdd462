"""Poses that satisfy a model's joint couplings, and the height at which a body stands on the floor.

A coupling is a joint equality of MuJoCo: y - y0 = sum_k c_k (x - x0)^k, with reference positions x0
and y0. MyoLegs' knee, patella and spine have them. Away from them, tendons of MyoLegs leave the
sides of their wrapping surfaces, and engines disagree on their lengths.
"""

from typing import NamedTuple

import jax.numpy as jnp
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


def couplings(model: mujoco.MjModel) -> Couplings:
    """Of a model whose equalities couple hinges and slides, no follower leading another."""
    follower, leader = model.eq_obj1id, model.eq_obj2id
    held = leader < 0
    coefficients = np.where(held[:, None] & (np.arange(5) > 0), 0, model.eq_data[:, :5])
    assert (model.eq_type == mujoco.mjtEq.mjEQ_JOINT).all()
    assert not np.isin(leader, follower).any()
    return Couplings(follower, np.where(held, follower, leader), coefficients)


def neutral(model: mujoco.MjModel) -> Float[np.ndarray, " nq"]:
    """The reference pose with the couplings satisfied."""
    qpos, c = model.qpos0.copy(), couplings(model)
    qpos[model.jnt_qposadr[c.follower]] += c.coefficients[:, 0]  # every leader is at its reference
    return qpos


def follow(
    model: mujoco.MjModel, qpos: Float[Array, " nq"], qvel: Float[Array, " nv"]
) -> tuple[Float[Array, " nq"], Float[Array, " nv"]]:
    """The same state with every follower moved, and moving, as its leader asks."""
    c = couplings(model)
    at, to = model.jnt_qposadr[c.leader], model.jnt_qposadr[c.follower]
    x = qpos[at] - model.qpos0[at]
    powers = jnp.stack([x**k for k in range(5)], axis=-1)
    y = model.qpos0[to] + jnp.sum(c.coefficients * powers, axis=-1)
    slope = jnp.sum(c.coefficients[:, 1:] * np.arange(1, 5) * powers[:, :-1], axis=-1)
    rate = slope * qvel[model.jnt_dofadr[c.leader]]
    return qpos.at[to].set(y), qvel.at[model.jnt_dofadr[c.follower]].set(rate)


def lowest(model: mujoco.MjModel, data: mujoco.MjData) -> float:
    """Height of the lowest point that can touch the floor [m]; spheres and capsules alone."""
    touching = np.flatnonzero(model.geom_contype)
    capsule = model.geom_type[touching] == mujoco.mjtGeom.mjGEOM_CAPSULE
    half = np.where(capsule, model.geom_size[touching, 1], 0)
    drop = np.abs(data.geom_xmat[touching, 8]) * half + model.geom_size[touching, 0]
    return float((data.geom_xpos[touching, 2] - drop).min())
