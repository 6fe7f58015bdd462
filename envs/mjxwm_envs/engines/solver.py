"""The physics step of MJX with an implicit gradient of its constraint solve.

MuJoCo finds the acceleration a that minimises 1/2 (a - a0)' M (a - a0) + s(J a - aref), where a0 is
the unconstrained acceleration and s a convex, piecewise quadratic cost of the constraint rows
(Todorov 2014, and "Computation" in MuJoCo's documentation). MJX does it in a `while_loop`, which
reverse mode cannot differentiate. It need not: at the minimum

    r(a, theta) = M a - tau - J' f(J a - aref) = 0,    f = -s',    tau: the forces without s,

so that by the implicit function theorem da = -H^-1 (dr/dtheta) dtheta with H = M + J' D_active J,
one linear system of size nv, whatever the number of iterations before. Only derivatives change, in
forward and reverse mode: the values of the solve, and its cost, are stock MJX's.

`forward` and `step` compose the public stages of `mujoco.mjx` as its own do, with the corrections
of `positions`; the package is not patched.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
from jax.scipy.linalg import cho_factor, cho_solve
from jaxtyping import Array, Float
from mujoco import mjx
from mujoco.mjx._src import forward as stages

from mjxwm_envs.engines import actuation, limit_rows
from mjxwm_envs.engines.contacts import Plan
from mjxwm_envs.engines.implicitfast import implicit
from mjxwm_envs.engines.joints import fwd_velocity
from mjxwm_envs.engines.positions import fwd_position
from mjxwm_envs.engines.precision import in_full
from mjxwm_envs.engines.rotations import advance


class Problem(NamedTuple):
    """Inputs of the constraint solve; v degrees of freedom, c constraint rows."""

    inertia: Float[Array, "v v"]
    smooth: Float[Array, " v"]
    """Force without constraints: applied, passive and actuator forces minus the bias."""
    jacobian: Float[Array, "c v"]
    aref: Float[Array, " c"]
    """Reference acceleration of each row."""
    weight: Float[Array, " c"]
    """D: force per acceleration below the reference, in the quadratic zone."""
    frictionloss: Float[Array, " c"]
    """Largest force of a friction row; zero for other rows."""


class Solution(NamedTuple):
    """Outputs of the constraint solve."""

    qacc: Float[Array, " v"]
    force: Float[Array, " c"]
    """Force along each constraint row."""
    joint_force: Float[Array, " v"]
    """J' force."""
    quadratic: Float[Array, " c"]
    """1 for rows in their quadratic zone, where force depends on acceleration, else 0."""


def obstacle(model: mjx.Model, data: mjx.Data) -> str | None:
    """Why `step` has no correct gradient for this model, with the remedy; None if it has one.

    Args:
        model: the model.
        data: any data made for it.
    """
    elliptic = model.opt.cone == mjx.ConeType.ELLIPTIC
    if elliptic and (data._impl.contact.dim > 1).any():
        return (
            "there is no gradient for elliptic friction cones; set cone='pyramidal' in the "
            "model's <option>, or use engine='native' or 'warp' where no gradient is needed"
        )
    if np.any(model._impl.is_wrap_inside):
        return (
            "there is no gradient for tendons that wrap inside of a geom (their sidesite lies in "
            "it): MJX's search for the path has none; move the sidesite outside, or use "
            "engine='native' or 'warp' where no gradient is needed"
        )
    if _has_rays_and_round_geoms(model):
        return (
            "there is no gradient for rangefinders where there are round geoms, whose distance "
            "MJX takes a root of where a ray misses them, too; leave sensordata out of `derived`, "
            "or use engine='native' or 'warp' where no gradient is needed"
        )
    return None


def _has_rays_and_round_geoms(model: mjx.Model) -> bool:
    kinds = mujoco.mjtGeom
    curved = (kinds.mjGEOM_SPHERE, kinds.mjGEOM_CAPSULE, kinds.mjGEOM_ELLIPSOID)
    rays = np.asarray(model.sensor_type) == int(mujoco.mjtSensor.mjSENS_RANGEFINDER)
    enabled = not model.opt.disableflags & mjx.DisableBit.SENSOR
    return bool(enabled and rays.any() and np.isin(model.geom_type, [int(k) for k in curved]).any())


def solve(model: mjx.Model, data: mjx.Data) -> mjx.Data:
    """`mujoco.mjx` solver.solve with a derivative: pyramidal cones and all other rows."""
    solved = mjx.solve(*jax.lax.stop_gradient((model, data)))
    impl, after = data._impl, solved._impl
    force = after.efc_force
    problem = Problem(
        inertia=mjx.full_m(model, data),
        smooth=data.qfrc_smooth,
        jacobian=impl.efc_J,
        aref=impl.efc_aref,
        weight=impl.efc_D,
        frictionloss=impl.efc_frictionloss,
    )
    quadratic = _in_quadratic_zone(data, force, after.efc_frictionloss)
    solution = Solution(solved.qacc, force, solved.qfrc_constraint, quadratic)
    pyramidal = model.opt.cone == mjx.ConeType.PYRAMIDAL
    if limit_rows.has_both(model, data) and pyramidal:
        solution = _polish(data, jax.lax.stop_gradient(problem), solution)
    solution = _implicit(problem, solution)
    return data.tree_replace(
        {
            "qacc": solution.qacc,
            "qfrc_constraint": solution.joint_force,
            "_impl.efc_force": solution.force,
        }
    )


Solve = Callable[[mjx.Model, mjx.Data], mjx.Data]


def _in_quadratic_zone(
    data: mjx.Data, force: Float[Array, " c"], frictionloss: Float[Array, " c"]
) -> Float[Array, " c"]:
    """1 for rows whose force depends on the acceleration, else 0.

    It does for equalities, for friction below its largest force, and for limits and contacts while
    they push. A friction row at its largest force has exactly that force: no tolerance is needed.
    """
    rows = jnp.arange(force.size)
    friction = (rows < data._impl.ne + data._impl.nf) & (frictionloss > 0)
    quadratic = jnp.where(friction, jnp.abs(force) < frictionloss, force > 0)
    quadratic |= (rows < data._impl.ne + data._impl.nf) & ~friction
    return quadratic.astype(force.dtype)


def _polish(data: mjx.Data, problem: Problem, solution: Solution) -> Solution:
    """One more Newton step, if the rows stay in their zones.

    Two limits that push against each other make the cost so large that float32 cannot resolve its
    decrease near the minimum, and MJX's solver stops early; the residual is still accurate.
    """
    pull = problem.jacobian.T @ _force(problem, solution.qacc, solution)
    residual = problem.inertia @ solution.qacc - problem.smooth - pull
    qacc = solution.qacc - cho_solve(cho_factor(_hessian(problem, solution)), residual)
    unbounded = problem.weight * (problem.aref - problem.jacobian @ qacc)
    same_zones = (
        _in_quadratic_zone(data, unbounded, problem.frictionloss) == solution.quadratic
    ).all()
    force = _force(problem, qacc, solution)
    better = Solution(qacc, force, problem.jacobian.T @ force, solution.quadratic)
    return jax.tree.map(lambda new, old: jnp.where(same_zones, new, old), better, solution)


def _hessian(problem: Problem, solution: Solution) -> Float[Array, "v v"]:
    active = problem.jacobian * (problem.weight * solution.quadratic)[:, None]
    hessian = problem.inertia + problem.jacobian.T @ active
    return (hessian + hessian.T) / 2


def _force(problem: Problem, qacc: Float[Array, " v"], solution: Solution) -> Float[Array, " c"]:
    """The rows' forces at `qacc`, with each row in the zone that it has in `solution`."""
    lacking = problem.aref - problem.jacobian @ qacc
    at_largest = (1 - solution.quadratic) * jnp.sign(solution.force) * problem.frictionloss
    return solution.quadratic * problem.weight * lacking + at_largest


@jax.custom_jvp
def _implicit(problem: Problem, solution: Solution) -> Solution:
    """`solution`, as a function of `problem`."""
    del problem
    return solution


@_implicit.defjvp
@in_full  # the rule may be traced outside of the step
def _implicit_jvp(
    primals: tuple[Problem, Solution], tangents: tuple[Problem, Solution]
) -> tuple[Solution, Solution]:
    problem, solution = primals[0], _implicit(*primals)

    def residual(p: Problem) -> Float[Array, " v"]:
        pull = p.jacobian.T @ _force(p, solution.qacc, solution)
        return p.inertia @ solution.qacc - p.smooth - pull

    def forces(p: Problem, qacc: Float[Array, " v"]) -> tuple[Array, Array]:
        force = _force(p, qacc, solution)
        return force, p.jacobian.T @ force

    _, residual_dot = jax.jvp(residual, (problem,), (tangents[0],))
    qacc_dot = -cho_solve(cho_factor(_hessian(problem, solution)), residual_dot)
    _, (force_dot, pull_dot) = jax.jvp(forces, (problem, solution.qacc), (tangents[0], qacc_dot))
    return solution, Solution(qacc_dot, force_dot, pull_dot, jnp.zeros_like(solution.quadratic))


def forward(
    model: mjx.Model, data: mjx.Data, solve: Solve = solve, plan: Plan | None = None
) -> mjx.Data:
    """`mjx.forward`, with the derivative of `solve`; see `fwd_position` for `plan`."""
    data = mjx.sensor_pos(model, fwd_position(model, data, plan))
    data = mjx.sensor_vel(model, fwd_velocity(model, data))
    data = mjx.fwd_acceleration(model, fwd_actuation(model, data))
    if data._impl.efc_J.size == 0:  # mjx.forward leaves acceleration sensors at zero here
        return mjx.sensor_acc(model, data.replace(qacc=data.qacc_smooth))
    return mjx.sensor_acc(model, solve(model, data))


def fwd_actuation(model: mjx.Model, data: mjx.Data) -> mjx.Data:
    """`mjx.fwd_actuation`, with finite derivatives for muscles.

    A muscle's time constant changes where excitation meets activation, at once or smoothly over
    the width dynprm[2]. MJX evaluates both and, where the width is 0, divides by 1e-15 on the way
    to the one that it discards; in float32 that overflows, and the derivative is NaN. Here the
    discarded one gets a harmless width, and the sharp change is computed apart.
    """
    muscles = np.nonzero(np.asarray(model.actuator_dyntype) == mjx.DynType.MUSCLE)[0]
    if not muscles.size or model.opt.disableflags & mjx.DisableBit.ACTUATION:
        return actuation.fwd_actuation(model, data)
    sharp = model.actuator_dynprm[:, 2] < mujoco.mjMINVAL
    width = jnp.where(sharp, 1.0, model.actuator_dynprm[:, 2])
    wide = model.replace(actuator_dynprm=model.actuator_dynprm.at[:, 2].set(width))
    data = actuation.fwd_actuation(wide, data)
    ctrl = data.ctrl[muscles]
    if not model.opt.disableflags & mjx.DisableBit.CLAMPCTRL:
        clamped = jnp.clip(ctrl, *model.actuator_ctrlrange[muscles].T)
        ctrl = jnp.where(model.actuator_ctrllimited[muscles], clamped, ctrl)
    address = np.asarray(model.actuator_actadr)[muscles]
    act_dot = _sharp_activation(ctrl, data.act[address], model.actuator_dynprm[muscles])
    act_dot = jnp.where(sharp[muscles], act_dot, data.act_dot[address])
    return data.replace(act_dot=data.act_dot.at[address].set(act_dot))


def _sharp_activation(
    ctrl: Float[Array, " m"], act: Float[Array, " m"], prm: Float[Array, "m p"]
) -> Float[Array, " m"]:
    """Rate of activation [1/s] with time constants after Millard et al. 2013."""
    stretch = 0.5 + 1.5 * jnp.clip(act, 0, 1)
    lack = jnp.clip(ctrl, 0, 1) - act
    tau = jnp.where(lack > 0, prm[:, 0] * stretch, prm[:, 1] / stretch)
    return lack / jnp.maximum(mujoco.mjMINVAL, tau)


def step(model: mjx.Model, data: mjx.Data, plan: Plan | None = None) -> mjx.Data:
    """`mjx.step`, with a derivative; for Runge-Kutta and the integrators in `INTEGRATORS`."""
    data = forward(model, data, plan=plan)
    if model.opt.integrator == mjx.IntegratorType.RK4:
        return _runge_kutta(model, data, plan)
    after = INTEGRATORS[model.opt.integrator](model, data)
    return after.replace(qpos=advance(model, data.qpos, after.qvel, model.opt.timestep))


def _runge_kutta(model: mjx.Model, first: mjx.Data, plan: Plan | None) -> mjx.Data:
    """The classical fourth order rule; `mjx.rungekutta4` calls stock `forward` inside."""
    dt = model.opt.timestep

    def slopes(data: mjx.Data, weight: Array | float) -> tuple[Array, Array, Array]:
        return weight * data.qvel, weight * data.qacc, weight * data.act_dot

    def stage(carry: Any, x: tuple[Array, Array]) -> tuple[Any, None]:
        (data, total), (ahead, weight) = carry, x
        qvel, qacc, act_dot = slopes(data, ahead)
        data = data.replace(
            qpos=advance(model, first.qpos, qvel, dt),
            qvel=first.qvel + dt * qacc,
            act=first.act + dt * act_dot,
            time=first.time + dt * ahead,
        )
        after = forward(model, data, plan=plan)
        after = jax.tree.map(lambda new, old: jnp.asarray(new, old.dtype), after, data)
        return (after, jax.tree.map(jnp.add, total, slopes(after, weight))), None

    tableau = jnp.array([1 / 2, 1 / 2, 1]), jnp.array([1 / 3, 1 / 3, 1 / 6])
    (last, total), _ = jax.lax.scan(stage, (first, slopes(first, 1 / 6)), tableau)
    qvel, qacc, act_dot = total
    start = {"qpos": first.qpos, "qvel": first.qvel, "act": first.act, "time": first.time}
    after = stages._advance(model, last.replace(**start), act_dot, qacc, qvel)
    return after.replace(qpos=advance(model, first.qpos, qvel, dt))


INTEGRATORS = {
    mjx.IntegratorType.EULER: mjx.euler,
    mjx.IntegratorType.IMPLICITFAST: implicit,
}
