"""Integration of quaternions and rotation vectors, with correct derivatives at rest.

The quaternion of a rotation by v has the form v/|v| f(|v|), which is smooth at v = 0 although v/|v|
is not. MJX divides by a "safe" length there, so that its derivative is 0: a body at rest would not
respond to a torque. Here such functions are computed from |v|^2: for small values by their power
series, which has all derivatives, else by MJX's formula. Values equal MJX's up to rounding.
"""

from math import factorial

import jax.numpy as jnp
import mujoco
from jaxtyping import Array, Float
from mujoco import mjx
from mujoco.mjx._src import math, scan

_FREE, _BALL = int(mujoco.mjtJoint.mjJNT_FREE), int(mujoco.mjtJoint.mjJNT_BALL)

# Coefficients of powers of x^2, as many as float64 resolves for x^2 below the bounds.
_COS = [(-1) ** k / factorial(2 * k) for k in range(11)]
_SINC = [(-1) ** k / factorial(2 * k + 1) for k in range(11)]
_TURN_BOUND = 1.0
_ATAN = [(-1) ** k / (2 * k + 1) for k in range(15)]
_ATAN_BOUND = 0.06


def integrate(
    quat: Float[Array, "4"], velocity: Float[Array, "3"], time: Array | float
) -> Float[Array, "4"]:
    """`quat` after rotation at `velocity` [rad/s, in body axes] for `time` [s]."""
    half = velocity * time / 2
    square = (half**2).sum()
    small = square < _TURN_BOUND
    length = jnp.sqrt(jnp.where(small, 1, square))
    cos = jnp.where(small, _polynomial(_COS, square), jnp.cos(length))
    sinc = jnp.where(small, _polynomial(_SINC, square), jnp.sin(length) / length)
    return math.normalize(math.quat_mul(quat, jnp.concatenate([cos[None], sinc * half])))


def vector(quat: Float[Array, "4"]) -> Float[Array, "3"]:
    """Rotation vector: axis times angle [rad, at most pi], as in MJX's `quat_to_axis_angle`."""
    scalar, axis = quat[0], quat[1:]
    square = (axis**2).sum()
    small = square < _ATAN_BOUND * scalar**2
    ratio = jnp.where(small, square, 0) / jnp.where(small, scalar, 1) ** 2
    near = _polynomial(_ATAN, ratio) / jnp.where(small, scalar, 1)
    length = jnp.sqrt(jnp.where(small | (square == 0), 1, square))
    angle = jnp.arctan2(length, jnp.where(small, 1, scalar))
    angle = jnp.where(scalar < 0, angle - jnp.pi, angle)
    return 2 * axis * jnp.where(small, near, angle / length)


def difference(quat: Float[Array, "4"], reference: Float[Array, "4"]) -> Float[Array, "3"]:
    """The rotation vector [rad] from `reference` to `quat`, in `reference`'s axes."""
    return vector(math.quat_mul(math.quat_inv(reference), quat))


def advance(
    model: mjx.Model, qpos: Float[Array, " q"], qvel: Float[Array, " v"], time: Array | float
) -> Float[Array, " q"]:
    """Positions after motion at `qvel` for `time` [s]; quaternions of free and ball joints too."""

    def move(kinds: tuple[int, ...], qpos: Array, qvel: Array) -> Array:
        parts, q, v = [], 0, 0
        for kind in kinds:
            if kind == _FREE:
                parts.append(qpos[q : q + 3] + time * qvel[v : v + 3])
                q, v = q + 3, v + 3
            if kind in (_FREE, _BALL):
                parts.append(integrate(qpos[q : q + 4], qvel[v : v + 3], time))
                q, v = q + 4, v + 3
            else:
                parts.append(qpos[q : q + 1] + time * qvel[v : v + 1])
                q, v = q + 1, v + 1
        return jnp.concatenate(parts) if parts else jnp.zeros(0)

    return scan.flat(model, move, "jqv", "q", model.jnt_type, qpos, qvel)


def _polynomial(coefficients: list[float], x: Float[Array, ""]) -> Float[Array, ""]:
    total = jnp.full_like(x, coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        total = total * x + coefficient
    return total
