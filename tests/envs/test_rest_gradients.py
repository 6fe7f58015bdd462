"""Gradients at rest: where a velocity, a turn or a force is exactly zero, as at every reset.

The right values are differences of C MuJoCo's own steps, and closed forms.
"""

import gradient_cases as cases
import jax
import jax.numpy as jnp
import mujoco
import numpy as np
import pytest
import rest_bodies as bodies
from gradient_cases import Point
from mjxwm_envs.core import Initial
from mjxwm_envs.engines import rotations, solver
from mjxwm_envs.engines.mjx import Mjx
from mujoco import mjx
from mujoco.mjx._src import math

QUICK = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}
"""The same program, compiled in a third of the time."""
PENDULUM = """
<mujoco>
  <default><geom contype="0" conaffinity="0"/></default>
  <worldbody>
    <body>
      <joint name="ball" type="ball" stiffness="2" damping=".02"/>
      <geom type="capsule" size=".03" fromto="0 0 0 .1 .05 -.3"/>
      <body pos=".1 .05 -.3">
        <joint name="hinge" axis="0 1 0"/>
        <geom type="capsule" size=".02" fromto="0 0 0 .2 0 0"/>
      </body>
    </body>
  </worldbody>
  <tendon>
    <fixed name="cable" actuatorfrclimited="true" actuatorfrcrange="-1 1">
      <joint joint="hinge" coef=".5"/>
    </fixed>
  </tendon>
  <actuator>
    <position jointinparent="ball" gear="1 0 .5" kp="4"/>
    <motor tendon="cable"/>
  </actuator>
</mujoco>"""


@pytest.fixture(scope="module", autouse=True)
def double():
    with jax.enable_x64(True):
        yield


def gradient(model):
    """The reverse-mode gradient, at a point, of weights @ (qpos, qvel, act) after a step."""
    put, start = mjx.put_model(model), mjx.make_data(model)

    def value(point, weights):
        before = start.replace(qpos=point.qpos, qvel=point.qvel, act=point.act, ctrl=point.ctrls[0])
        after = solver.step(put, before)
        return jnp.concatenate([after.qpos, after.qvel, after.act]) @ weights

    return jax.jit(jax.grad(value), compiler_options=QUICK)


def through_the_engine(model):
    """The same by `reset` and `step` of the engine."""
    engine = Mjx(model, 1)

    def value(point, weights):
        sim = engine.reset(Initial(point.qpos, point.qvel, point.act))
        after = engine.step(sim, point.ctrls[0]).physics
        return jnp.concatenate([after.qpos, after.qvel, after.act]) @ weights

    return jax.jit(jax.grad(value), compiler_options=QUICK)


def errors(model, of=gradient):
    """Of the gradient at rest, and of that one step later."""
    model.opt.iterations, model.opt.tolerance = 100, 1e-15
    function, data, rng = of(model), mujoco.MjData(model), np.random.default_rng(1)
    for _ in range(2):
        point = Point(data.qpos.copy(), data.qvel.copy(), data.act.copy(), np.zeros((1, model.nu)))
        weights = rng.normal(size=model.nq + model.nv + model.na)
        slope = cases.differences(model, point, weights, steps=1)
        yield cases.apart(cases.flat(function(point, weights)), slope.central)
        data.ctrl[:] = rng.uniform(-0.2, 0.2, model.nu)
        mujoco.mj_step(model, data)


def test_a_pendulum_on_a_sprung_ball_joint_answers_to_its_motors():
    assert max(errors(mujoco.MjModel.from_xml_string(PENDULUM))) < 1e-8


@pytest.mark.slow
@pytest.mark.parametrize("integrator", ["Euler", "implicitfast", "RK4"])
@pytest.mark.parametrize("body", ["JOINTS", "CONTACTS"])
def test_everything_at_rest(body, integrator):
    text = getattr(bodies, body).format(integrator=integrator)
    assert max(errors(mujoco.MjModel.from_xml_string(text), through_the_engine)) < 1e-6


@pytest.mark.parametrize("mode", [jax.jacfwd, jax.jacrev])
def test_from_rest_a_velocity_turns_by_half_of_itself(mode):
    start, zero, time = np.array([1.0, 0, 0, 0]), np.zeros(3), 0.02
    slope = jax.jit(mode(rotations.integrate, argnums=1))(start, zero, time)
    np.testing.assert_allclose(slope, np.vstack([zero, np.eye(3) * time / 2]), atol=1e-18)


@pytest.mark.parametrize("mode", [jax.jacfwd, jax.jacrev])
def test_at_the_identity_a_turn_is_twice_its_quaternion(mode):
    slope = jax.jit(mode(rotations.vector))(np.array([1.0, 0, 0, 0]))
    np.testing.assert_allclose(slope, np.hstack([np.zeros((3, 1)), 2 * np.eye(3)]), atol=1e-18)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("angle", [1e-14, 1e-9, 1e-5, 0.1, 0.4, 0.6, 1.9, 2.1, 3.1, 4.0, 6.2])
def test_turning_and_the_way_back_are_mujocos(angle, dtype):
    axis = np.array([0.6, -0.48, 0.64])
    quat, back = np.array([1.0, 0, 0, 0]), np.zeros(3)
    mujoco.mju_quatIntegrate(quat, axis, angle)
    mujoco.mju_quat2Vel(back, quat, 1.0)
    turn = jax.jit(rotations.integrate)(dtype([1, 0, 0, 0]), dtype(axis), dtype(angle))
    assert turn.dtype == dtype
    np.testing.assert_allclose(turn, quat, rtol=4 * np.finfo(dtype).eps, atol=1e-7 * angle)
    found = jax.jit(rotations.vector)(dtype(quat))
    np.testing.assert_allclose(found, back, rtol=20 * np.finfo(dtype).eps)
    slope = jax.jit(jax.jacrev(rotations.vector))(dtype(quat))
    assert np.isfinite(slope).all()
    if angle > 1e-3:  # where MJX's own formula has a derivative
        stock = jax.jit(jax.jacfwd(lambda q: jnp.multiply(*math.quat_to_axis_angle(q))))(quat)
        error = 1e-5 if dtype == np.float32 else 1e-12
        np.testing.assert_allclose(slope, stock, rtol=error, atol=error)
