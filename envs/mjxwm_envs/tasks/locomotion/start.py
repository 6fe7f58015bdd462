"""Start states of a body on a free root: a pose with PWM's noise, never below the floor."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray
from numpy.typing import NDArray

_JOINTS = 0.2  # [rad]
_VELOCITIES = 0.25


class Start(NamedTuple):
    """A start pose with joint ranges, and p points of the body that can touch the floor."""

    qpos: Float[NDArray, " nq"]
    """The pose; upright, with the identity quaternion."""
    low: Float[NDArray, " j"]
    """Lower limits of all joints but the root [rad]; infinite for joints without limits."""
    high: Float[NDArray, " j"]
    """Upper limits."""
    height: Float[NDArray, " p"]
    """Heights of the points above the floor in this pose [m]."""
    slope: Float[NDArray, "p nv"]
    """Derivatives of the heights with respect to the joint positions."""


def of(model: mujoco.MjModel) -> Start:
    """The start pose of a model whose first joint is free: its first keyframe."""
    data = mujoco.MjData(model)
    mujoco.mj_resetDataKeyframe(model, data, 0)
    mujoco.mj_kinematics(model, data)
    mujoco.mj_comPos(model, data)
    limited = model.jnt_limited[1:].astype(bool)
    low, high = (
        np.where(limited, x, s * np.inf)
        for x, s in zip(model.jnt_range[1:].T, (-1, 1), strict=True)
    )
    height, slope = _lowest(model, data)
    return Start(data.qpos.copy(), low, high, height, slope)


def noisy(
    key: PRNGKeyArray, start: Start, noise: float
) -> tuple[Float[Array, " nq"], Float[Array, " nv"]]:
    """Positions and velocities with PWM's noise, within the joints' ranges.

    The noise is uniform: 0.1 m along x and y, 0 to 0.1 m upwards, a tilt of up to 7.5 degrees,
    0.2 rad on each joint, 0.25 on every velocity; all times `noise`.
    """
    key_at, key_tilt, key_joints, key_qvel = jax.random.split(key, 4)
    at = jax.random.uniform(key_at, (3,), minval=jnp.array([-0.1, -0.1, 0]), maxval=0.1)
    turn = tilt(key_tilt, noise * math.pi / 24)
    pose = start.qpos[7:]
    # Drawn within the ranges instead of clipped to them: no start lies exactly on a limit.
    joints = jax.random.uniform(
        key_joints,
        pose.shape,
        minval=np.clip(start.low - pose, -noise * _JOINTS, 0),
        maxval=np.clip(start.high - pose, 0, noise * _JOINTS),
    )
    qvel = jax.random.uniform(key_qvel, (len(pose) + 6,), minval=-_VELOCITIES, maxval=_VELOCITIES)
    qpos = jnp.concatenate([start.qpos[:3] + noise * at, turn, pose + joints])
    return qpos, noise * qvel


def lifted(start: Start, qpos: Float[Array, " nq"]) -> Float[Array, " nq"]:
    """`qpos` with the root raised until no point is below the floor.

    Heights are linearised about the start pose. Higher orders raise feet that hang below their
    joints, so the body may start a few millimetres above the floor.
    """
    turn = 2 * jnp.sign(qpos[3]) * qpos[4:7]
    moved = jnp.concatenate([qpos[:3] - start.qpos[:3], turn, qpos[7:] - start.qpos[7:]])
    height = start.height + start.slope @ moved
    return qpos.at[2].add(jnp.maximum(0, -height.min()))


def tilt(key: PRNGKeyArray, most: float) -> Float[Array, " 4"]:
    """A quaternion: rotation about a random axis by an angle [rad] uniform in [-most, most]."""
    key_axis, key_angle = jax.random.split(key)
    axis = jax.random.normal(key_axis, (3,))
    half = jax.random.uniform(key_angle, minval=-most, maxval=most) / 2
    return jnp.concatenate([jnp.cos(half)[None], jnp.sin(half) * axis / jnp.linalg.norm(axis)])


def _lowest(model: mujoco.MjModel, data: mujoco.MjData) -> tuple[NDArray, NDArray]:
    """Heights of the points that may touch the floor, and their derivatives."""
    heights, slopes = [], []
    jacobian = np.zeros((3, model.nv))
    for geom in _touching(model):
        at, axes = data.geom_xpos[geom], data.geom_xmat[geom].reshape(3, 3)
        for point, radius in _corners(model, geom):
            where = at + axes @ point
            mujoco.mj_jac(model, data, jacobian, None, where, int(model.geom_bodyid[geom]))
            heights.append(where[2] - radius)
            slopes.append(jacobian[2].copy())
    return np.array(heights), np.array(slopes)


def _touching(model: mujoco.MjModel) -> list[int]:
    """Geoms of moving bodies that collide with anything."""
    paired = {*model.pair_geom1.tolist(), *model.pair_geom2.tolist()}
    masks = (model.geom_contype | model.geom_conaffinity) != 0
    moving = model.geom_bodyid > 0
    return [g for g in range(model.ngeom) if moving[g] and (masks[g] or g in paired)]


def _corners(model: mujoco.MjModel, geom: int) -> list[tuple[NDArray, float]]:
    """Points of a geom in its frame, each with the radius of a ball around it."""
    kinds, kind, size = mujoco.mjtGeom, model.geom_type[geom], model.geom_size[geom]
    if kind == kinds.mjGEOM_SPHERE:
        return [(np.zeros(3), size[0])]
    if kind == kinds.mjGEOM_CAPSULE:
        return [(np.array([0, 0, s * size[1]]), size[0]) for s in (-1, 1)]
    if kind == kinds.mjGEOM_BOX:
        signs = np.stack(np.meshgrid(*3 * [[-1, 1]]), -1).reshape(-1, 3)
        return [(s * size, 0.0) for s in signs]
    raise ValueError(
        f"geom {model.geom(geom).name!r} of type {kinds(kind).name} has no start height; the "
        "bodies here are of spheres, capsules and boxes"
    )
