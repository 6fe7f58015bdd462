"""Constants that MuJoCo derives from masses and inertias, computed for worlds with their own ones.

MuJoCo's `mj_setConst` takes the inertia matrix M at rest (`qpos0`) and derives the inverse weights
of bodies, joints and tendons. Constraints are regularised with these numbers (otherwise contacts
and limits of a heavier body are too soft), and muscles scale their force with one of them:

    body_invweight0, tendon_invweight0   mean diagonal of J M^-1 J', J: Jacobian of body or tendon
    dof_invweight0                       mean diagonal of M^-1 over a joint's axes of one kind
    actuator_acc0                        |M^-1 moment|
    dof_M0, body_subtreemass             diagonal of M, no tendons in it; masses below a body

M is linear in masses and inertias, and the Jacobians at rest depend on neither: they are taken from
C MuJoCo once, when the program is traced.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
from jax.scipy.linalg import cho_factor, cho_solve
from jaxtyping import Array, Float

INERTIAL = (
    "body_mass",
    "body_inertia",
    "body_ipos",
    "body_iquat",
    "dof_armature",
    "tendon_armature",
)
"""Fields of `MjModel` on which the constants above depend; those that change J are left out."""

_SLIDING = 2
"""`body_simple` of bodies that only slide along axes: MuJoCo uses 1 / mass for them."""


class Rest(NamedTuple):
    """A model at `qpos0`, in numpy; v degrees of freedom, b bodies, t tendons, u actuators."""

    linear: Float[np.ndarray, "b 3 v"]
    """Velocity of each body's centre of mass per joint velocity [m/s]."""
    angular: Float[np.ndarray, "b 3 v"]
    """Angular velocity of each body [rad/s]."""
    frames: Float[np.ndarray, "b 3 3"]
    """Orientation of each body."""
    tendons: Float[np.ndarray, "t v"]
    """Gradient of each tendon's length."""
    moments: Float[np.ndarray, "u v"]
    """Gradient of each actuator's length."""
    armature: Float[np.ndarray, "v v"]
    """Contribution of the armatures of joints, tendons and actuators to the inertia matrix."""
    dof_armature: Float[np.ndarray, " v"]
    """Contribution of the armatures of joints and actuators to its diagonal."""
    below: Float[np.ndarray, "b b"]
    """[i, j]: 1 if body j is body i or a descendant of it, else 0."""
    related: Float[np.ndarray, "v v"]
    """1 if one of two dofs is an ancestor of the other: the nonzero pattern of MuJoCo's M."""


def at_rest(model: mujoco.MjModel) -> Rest:
    """Jacobians and inertia of `model` at `qpos0`, as in `mj_setConst`."""
    data = mujoco.MjData(model)
    data.qpos[:] = model.qpos0
    for stage in (
        mujoco.mj_kinematics,
        mujoco.mj_comPos,
        mujoco.mj_tendon,
        mujoco.mj_makeM,
        mujoco.mj_transmission,
    ):
        stage(model, data)
    linear, angular = np.zeros((2, model.nbody, 3, model.nv))
    for body in range(1, model.nbody):
        mujoco.mj_jacBodyCom(model, data, linear[body], angular[body], body)
    inertia, moments = np.zeros((model.nv, model.nv)), np.zeros((model.nu, model.nv))
    mujoco.mj_fullM(model, data, inertia)
    mujoco.mju_sparse2dense(
        moments,
        data.actuator_moment,
        data.moment_rownnz,
        data.moment_rowadr,
        data.moment_colind,
    )
    tendons = np.zeros((model.ntendon, model.nv))
    if model.ntendon:
        mujoco.mju_sparse2dense(
            tendons, data.ten_J, model.ten_J_rownnz, model.ten_J_rowadr, model.ten_J_colind
        )
    below = np.eye(model.nbody)
    for body in range(model.nbody - 1, 0, -1):
        below[model.body_parentid[body]] += below[body]
    spin = np.einsum("bij,biv->bjv", data.ximat.reshape(-1, 3, 3), angular)
    bodies = np.einsum("b,bjv,bjw->vw", model.body_mass, linear, linear)
    bodies += np.einsum("bj,bjv,bjw->vw", model.body_inertia, spin, spin)
    dof_armature = model.dof_M0 - np.diagonal(bodies)
    frames = data.xmat.reshape(-1, 3, 3)
    related = np.eye(model.nv)
    for dof, parent in enumerate(model.dof_parentid):
        above = slice(parent + 1)
        related[dof, above] = related[above, dof] = related[parent, above]
    return Rest(
        linear, angular, frames, tendons, moments, inertia - bodies, dof_armature, below, related
    )


def derived_constants(model: mujoco.MjModel, fields: dict[str, Array]) -> dict[str, Array]:
    """The constants that follow from a world's own masses and inertias.

    Args:
        model: the nominal body.
        fields: the world's own values of `MjModel` fields: whole arrays by name.

    Returns:
        The constants that `fields` does not contain; empty if no inertial field is in `fields`.

    Raises:
        ValueError: the model has flexes, or an integrator that factors the inertia matrix in
            advance: their constants are not computed here.
    """
    inertial = [name for name in INERTIAL if name in fields]
    if not model.nv or not inertial:
        return {}
    _refuse(model, inertial)
    with jax.default_matmul_precision("highest"):
        constants = _constants(model, at_rest(model), fields)
    return {name: value for name, value in constants.items() if name not in fields}


def _refuse(model: mujoco.MjModel, inertial: list[str]) -> None:
    for feature, present in (
        ("flexes", model.nflex > 0),
        ("integrator='discrete'", model.opt.integrator == mujoco.mjtIntegrator.mjINT_DISCRETE),
    ):
        if present:
            raise ValueError(
                f"{', '.join(inertial)} cannot differ between worlds of a model with {feature}: "
                "what MuJoCo derives from it there is not computed for each world"
            )


def _constants(
    model: mujoco.MjModel, rest: Rest, fields: dict[str, Array]
) -> dict[str, Float[Array, "..."]]:
    linear, angular = _velocities(model, rest, fields)
    inertia, dof_inertia = _inertia(model, rest, fields, linear)
    # Rows of M are in kg and in kg m^2, far apart in size: scaled to a diagonal of ones, single
    # precision is enough for its inverse.
    scale = 1 / jnp.sqrt(jnp.diagonal(inertia))
    factor = cho_factor(inertia * scale[:, None] * scale)

    def solve(rows: Float[Array, "r v"]) -> Float[Array, "r v"]:
        return cho_solve(factor, (rows * scale).T).T * scale

    def inverse_weight(rows: Float[Array, "*r v"]) -> Float[Array, "*r"]:
        flat = rows.reshape(-1, model.nv)
        return (flat * solve(flat)).sum(axis=-1).reshape(rows.shape[:-1])

    mass = _field(model, fields, "body_mass")
    constants = {
        "body_subtreemass": jnp.asarray(rest.below, mass.dtype) @ mass,
        "dof_M0": dof_inertia,
        "body_invweight0": _per_body(model, mass, inverse_weight(linear), inverse_weight(angular)),
        "dof_invweight0": _per_joint(model, mass, inverse_weight(jnp.eye(model.nv))),
    }
    if model.ntendon:
        constants["tendon_invweight0"] = inverse_weight(jnp.asarray(rest.tendons))
    if model.nu:
        constants["actuator_acc0"] = jnp.linalg.norm(solve(jnp.asarray(rest.moments)), axis=-1)
    return constants


def _field(model: mujoco.MjModel, fields: dict[str, Array], name: str) -> Float[Array, "..."]:
    return jnp.asarray(fields.get(name, getattr(model, name)), jnp.result_type(float))


def _velocities(
    model: mujoco.MjModel, rest: Rest, fields: dict[str, Array]
) -> tuple[Float[Array, "b 3 v"], Float[Array, "b 3 v"]]:
    """Linear velocities of the centres of mass, and angular ones, per joint velocity."""
    linear, angular = jnp.asarray(rest.linear), jnp.asarray(rest.angular)
    if "body_ipos" in fields:
        shift = _field(model, fields, "body_ipos") - jnp.asarray(model.body_ipos)
        shift = jnp.einsum("bij,bj->bi", jnp.asarray(rest.frames), shift)
        linear = linear + jnp.cross(angular, shift[..., None], axis=1)
    return linear, angular


def _inertia(
    model: mujoco.MjModel,
    rest: Rest,
    fields: dict[str, Array],
    linear: Float[Array, "b 3 v"],
) -> tuple[Float[Array, "v v"], Float[Array, " v"]]:
    """The inertia matrix at rest with this world's bodies and armatures, and `dof_M0`."""
    quat = _field(model, fields, "body_iquat")
    axes = jnp.einsum("bij,bjk->bik", jnp.asarray(rest.frames), jax.vmap(_rotation)(quat))
    spin = jnp.einsum("bij,biv->bjv", axes, jnp.asarray(rest.angular))
    mass, inertia = (_field(model, fields, name) for name in ("body_mass", "body_inertia"))
    bodies = jnp.einsum("b,bjv,bjw->vw", mass, linear, linear)
    bodies += jnp.einsum("bj,bjv,bjw->vw", inertia, spin, spin)
    joints = _field(model, fields, "dof_armature") - jnp.asarray(model.dof_armature)
    inertia = bodies + jnp.asarray(rest.armature) + jnp.diag(joints)
    if model.ntendon:
        more = _field(model, fields, "tendon_armature") - jnp.asarray(model.tendon_armature)
        tendons = jnp.asarray(rest.tendons)
        inertia += jnp.einsum("t,tv,tw->vw", more, tendons, tendons) * rest.related
    # dof_M0 leaves the armature of tendons out.
    return inertia, jnp.diagonal(bodies) + jnp.asarray(rest.dof_armature) + joints


def _rotation(quat: Float[Array, " 4"]) -> Float[Array, "3 3"]:
    w, x, y, z = quat / jnp.linalg.norm(quat)
    return jnp.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )


def _per_body(
    model: mujoco.MjModel,
    mass: Float[Array, " b"],
    linear: Float[Array, "b 3"],
    angular: Float[Array, "b 3"],
) -> Float[Array, "b 2"]:
    """Means over the axes of translation and of rotation; zero for bodies that cannot move."""
    weights = jnp.stack([linear.mean(axis=1), angular.mean(axis=1)], axis=1)
    sliding = jnp.stack([1 / mass, jnp.zeros_like(mass)], axis=1)
    weights = jnp.where((model.body_simple == _SLIDING)[:, None], sliding, weights)
    return jnp.where((model.body_weldid > 0)[:, None], weights, 0)


def _per_joint(
    model: mujoco.MjModel, mass: Float[Array, " b"], weight: Float[Array, " v"]
) -> Float[Array, " v"]:
    """Means over the three translations and over the three rotations of each joint."""
    groups = np.arange(model.nv)
    for joint, first in enumerate(model.jnt_dofadr):
        kind = model.jnt_type[joint]
        if kind == mujoco.mjtJoint.mjJNT_FREE:
            groups[first : first + 3], groups[first + 3 : first + 6] = first, first + 3
        elif kind == mujoco.mjtJoint.mjJNT_BALL:
            groups[first : first + 3] = first
    mean = (groups[:, None] == groups).astype(float)
    weight = jnp.asarray(mean / mean.sum(axis=1, keepdims=True)) @ weight
    body = model.dof_bodyid
    return jnp.where(model.body_simple[body] == _SLIDING, 1 / mass[body], weight)
