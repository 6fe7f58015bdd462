"""Random states of bodies in contact, and central differences of C MuJoCo's own steps there."""

import dataclasses
from collections.abc import Callable, Iterator
from typing import NamedTuple

import gradient_bodies as bodies
import jax
import jax.numpy as jnp
import mujoco
import numpy as np
from jaxtyping import Array, Float
from mjxwm_envs.core import Initial
from mjxwm_envs.engines.mjx import Mjx
from mjxwm_envs.env import load_model
from mjxwm_envs.tasks.locomotion.ant import Ant
from mjxwm_envs.tasks.locomotion.hopper import Hopper
from mjxwm_envs.tasks.locomotion.humanoid import Humanoid

HELD = 4
"""Physics steps for which a control is held where there are several."""
H, NARROW = 1e-6, 1e-7
"""Half width of the differences: rounding then weighs about as much as curvature. Near a change of
zone curvature is much larger, and a tenth of the width the better difference."""
OFF = 1e-5
"""Relative error from which the narrow differences are asked."""


@dataclasses.dataclass(frozen=True)
class Case:
    """A body, and how its random states are drawn: by rolling out random controls."""

    make: Callable[[], mujoco.MjModel]
    spread: float = 0.1
    """Of the uniform noise on the start pose's joints [rad, m] and a tenth of that on velocities"""
    steps: tuple[int, int] = (10, 200)
    """Physics steps rolled out, fewest and most."""
    lifted: float = 0.0
    """Height above the model's own pose at the start [m]."""

    def model(self) -> mujoco.MjModel:
        """The model with a solver that converges as far as float64 goes."""
        model = self.make()
        model.opt.iterations, model.opt.tolerance = 100, 1e-15
        return model


class Point(NamedTuple):
    """Where a gradient is taken, or a gradient there."""

    qpos: Float[Array, " nq"]
    qvel: Float[Array, " nv"]
    act: Float[Array, " na"]
    ctrls: Float[Array, "t nu"]


def xml(text: str) -> Callable[[], mujoco.MjModel]:
    return lambda: mujoco.MjModel.from_xml_string(text)


CASES = {
    "hopper": Case(lambda: load_model(Hopper()), spread=0.05),
    "biped": Case(xml(bodies.biped()), lifted=0.02),
    "ant": Case(lambda: load_model(Ant()), lifted=-0.2),
    "humanoid": Case(lambda: load_model(Humanoid()), spread=0.05, steps=(5, 60), lifted=-0.03),
    "finger": Case(xml(bodies.FINGER), spread=0.3),
    "linkage": Case(xml(bodies.LINKAGE.format(integrator="RK4")), spread=0.02),
    "rubbing": Case(xml(bodies.RUBBING), spread=0.5),
}


def points(case: Case, number: int, steps: int, seed: int = 0) -> Iterator[Point]:
    """Random states of `case` with constraint forces, each with random controls for `steps`."""
    model, rng = case.model(), np.random.default_rng(seed)
    data = mujoco.MjData(model)
    low, high = model.actuator_ctrlrange.T
    found = 0
    while found < number:
        start(case, model, data, rng)
        for _ in range(rng.integers(*case.steps) // HELD):
            data.ctrl[:] = rng.uniform(low, high)
            mujoco.mj_step(model, data, nstep=HELD)
        mujoco.mj_forward(model, data)
        if pushed(model, data):
            found += 1
            # Not at the very ends of the range, where a clamp would have two slopes.
            ctrls = rng.uniform(0.99 * low + 0.01 * high, high, (-(-steps // HELD), model.nu))
            yield Point(data.qpos.copy(), data.qvel.copy(), data.act.copy(), ctrls)


def start(case: Case, model: mujoco.MjModel, data: mujoco.MjData, rng: np.random.Generator) -> None:
    mujoco.mj_resetData(model, data)
    if model.nkey:
        mujoco.mj_resetDataKeyframe(model, data, 0)
    mujoco.mj_integratePos(model, data.qpos, rng.uniform(-1, 1, model.nv) * case.spread, 1.0)
    data.qvel[:] = rng.uniform(-1, 1, model.nv) * case.spread
    data.act[:] = rng.uniform(0, 1, model.na)
    vertical = [j for j in range(model.njnt) if model.jnt_type[j] == mujoco.mjtJoint.mjJNT_FREE]
    if vertical:
        data.qpos[model.jnt_qposadr[vertical[0]] + 2] += case.lifted


def pushed(model: mujoco.MjModel, data: mujoco.MjData) -> bool:
    """Whether a contact pushes; in a model that can have none, any constraint."""
    if not model.geom_contype.any() and not model.npair:
        return bool((data.efc_force != 0).any())
    first = [data.contact.efc_address[i] for i in range(data.ncon)]
    return any(data.efc_force[i] > 0 for i in first if i >= 0)


class Slope(NamedTuple):
    """Central differences of a linear function of the state after some steps."""

    central: Float[np.ndarray, " x"]
    ahead: Float[np.ndarray, " x"]
    behind: Float[np.ndarray, " x"]
    """One-sided ones."""
    smooth: Float[np.ndarray, " x"]
    """Whether every constraint stays in its zone between the three points, at every step."""


def differences(
    model: mujoco.MjModel, point: Point, weights: np.ndarray, steps: int, h: float = H
) -> Slope:
    """The slope of `weights @ (qpos, qvel, act)` after `steps` along every number in `point`."""
    data = mujoco.MjData(model)
    x = flat(point)
    ends = np.cumsum([model.nq, model.nv, model.na])

    def run(x: np.ndarray) -> tuple[float, bytes]:
        mujoco.mj_resetData(model, data)
        data.qpos[:], data.qvel[:], data.act[:], ctrls = np.split(x, ends)
        ctrls, zones = ctrls.reshape(-1, model.nu), b""
        for i in range(steps):
            data.ctrl[:] = ctrls[i // HELD]
            mujoco.mj_step(model, data)
            zones += data.efc_state.tobytes() + data.efc_id.tobytes() + b"|"
        return weights @ np.concatenate([data.qpos, data.qvel, data.act]), zones

    here, zones = run(x)
    sides = [[run(x + s * h * e) for e in np.eye(x.size)] for s in (1, -1)]
    values = np.array([[value for value, _ in side] for side in sides])
    same = np.array([[seen == zones for _, seen in side] for side in sides])
    return Slope(
        central=(values[0] - values[1]) / (2 * h),
        ahead=(values[0] - here) / h,
        behind=(here - values[1]) / h,
        smooth=same.all(axis=0),
    )


def flat(point: Point) -> np.ndarray:
    return np.concatenate([np.ravel(x) for x in point])


def gradient(model: mujoco.MjModel, steps: int) -> Callable[[Point, Array], tuple[Array, Point]]:
    """The same by MJX: a jitted function of (point, weights) to (value, gradient)."""
    engine = Mjx(model, min(steps, HELD))

    def value(point: Point, weights: Array) -> Array:
        sim = engine.reset(Initial(point.qpos, point.qvel, point.act))
        end, _ = jax.lax.scan(lambda sim, ctrl: (engine.step(sim, ctrl), None), sim, point.ctrls)
        return jnp.concatenate([end.physics.qpos, end.physics.qvel, end.physics.act]) @ weights

    return jax.jit(jax.value_and_grad(value))


class Found(NamedTuple):
    """A gradient against differences at one state."""

    error: float
    """Relative, of the whole gradient."""
    kinked: bool
    """Whether a constraint changes its zone within the differences' width: no gradient is there."""
    one_sided: float
    """How far the differences ahead and behind are from each other, relative."""
    single: float
    """Of the gradient in float32 from that in float64, relative; NaN where not asked for."""
    width: float
    """Half width of the differences."""


def apart(a: np.ndarray, b: np.ndarray) -> float:
    """Distance in units of b's length."""
    return float(np.linalg.norm(a - b) / np.linalg.norm(b))


def errors(case: Case, steps: int, number: int, single: bool = False) -> Iterator[Found]:
    """The gradient after `steps` at random states against differences of C MuJoCo; in float64.

    Args:
        case: the body.
        steps: physics steps.
        number: of states.
        single: also differentiate in float32.
    """
    model = case.model()
    function, in_single = gradient(model, steps), None
    if single:
        with jax.enable_x64(False):
            rough = case.make()
            rough.opt.iterations = 100
            in_single = gradient(rough, steps)
    rng = np.random.default_rng(steps)
    for point in points(case, number, steps):
        weights = rng.normal(size=model.nq + model.nv + model.na)
        found = flat(function(point, weights)[1])
        slope, width = differences(model, point, weights, steps), H
        if apart(found, slope.central) > OFF and slope.smooth.all():
            slope, width = differences(model, point, weights, steps, NARROW), NARROW
        one_sided, far = apart(slope.ahead, slope.behind), float("nan")
        if in_single is not None:
            with jax.enable_x64(False):
                arguments = jax.tree.map(np.float32, (point, weights))
                far = apart(flat(in_single(*arguments)[1]), found)
        yield Found(apart(found, slope.central), not slope.smooth.all(), one_sided, far, width)
