"""The implicit gradient of the constraint solve: against C MuJoCo's differences, and its limits.

The bodies and their random states are those of `gradient_cases`; `scripts/gradient_accuracy.py`
makes the whole table of docs/gradients.md, of which the slow test here is the bar.
"""

import gradient_bodies as bodies
import gradient_cases as cases
import jax
import jax.numpy as jnp
import mujoco
import numpy as np
import pytest
from mjxwm_envs.engines import solver
from mjxwm_envs.engines.mjx import Mjx
from mujoco import mjx

BOUNCE = """
<mujoco>
  <option timestep=".004" tolerance="1e-15" {options}/>
  <worldbody>
    <geom type="plane" size="0 0 1"/>
    <body pos="0 0 .098"><freejoint/><geom size=".1" mass="1"/></body>
  </worldbody>
</mujoco>"""


@pytest.fixture(scope="module", autouse=True)
def double():
    with jax.enable_x64(True):
        yield


@pytest.fixture(scope="module")
def ball():
    """A ball resting in the floor: an mjx model and its data."""
    return placed(BOUNCE.format(options=""))


def placed(text):
    model = mujoco.MjModel.from_xml_string(text)
    data = mujoco.MjData(model)
    data.qvel[:] = [0.3, -0.2, -0.1, 1.0, 2.0, 0.5]
    mujoco.mj_forward(model, data)
    return mjx.put_model(model), mjx.put_data(model, data)


def speed_after(model, data, push, step=solver.step):
    data = data.replace(qfrc_applied=push)
    return step(model, data).qvel


def test_values_are_those_of_stock_mjx(ball):
    push = jnp.array([1.0, 0, -3, 0, 0.1, 0])
    np.testing.assert_allclose(
        jax.jit(speed_after)(*ball, push),
        jax.jit(speed_after, static_argnums=3)(*ball, push, mjx.step),
        rtol=1e-13,
    )


def test_forward_and_reverse_mode_agree_with_differences(ball):
    push = jnp.array([1.0, 0, -3, 0, 0.1, 0])
    speed = jax.jit(lambda f: speed_after(*ball, f))
    forward, reverse = jax.jit(jax.jacfwd(speed))(push), jax.jit(jax.jacrev(speed))(push)
    np.testing.assert_allclose(forward, reverse, rtol=1e-10, atol=1e-14)
    h = 1e-5
    differences = np.stack(
        [(speed(push + h * e) - speed(push - h * e)) / (2 * h) for e in np.eye(6)], 1
    )
    np.testing.assert_allclose(forward, differences, rtol=1e-6, atol=1e-9)
    # The floor takes most of a push along its normal: 4 ms / 1 kg would be 4e-3 in the air.
    assert 0 < forward[2, 2] < 1e-3


LEANING = """
<mujoco>
  <option timestep=".004" tolerance="1e-15"/>
  <worldbody>
    <geom type="plane" size="0 0 1"/>
    <body pos="0 0 .297"><freejoint/><geom type="capsule" size=".1 .2" mass="1"/></body>
  </worldbody>
</mujoco>"""


@pytest.mark.parametrize("tilt", [0.0, 1e-9, 0.1, 0.5, 1.5])
def test_friction_on_a_leaning_capsule_is_that_of_c_mujoco(tilt):
    """MJX's own frame is another one within 30 degrees of upright."""
    model = mujoco.MjModel.from_xml_string(LEANING)
    data = mujoco.MjData(model)
    data.qpos[2] = 0.097 + 0.2 * np.cos(tilt)
    data.qpos[3:7] = np.cos(tilt / 2), 0.6 * np.sin(tilt / 2), 0.8 * np.sin(tilt / 2), 0.0
    data.qvel[:] = [0.3, -0.2, -0.1, 1.0, 2.0, 0.5]
    step, start = jax.jit(solver.step), mjx.put_data(model, data)
    mujoco.mj_step(model, data)
    if tilt >= 0.1:  # on end it has no direction, and none is right
        np.testing.assert_allclose(
            step(mjx.put_model(model), start).qvel, data.qvel, rtol=1e-9, atol=1e-12
        )
    slope = jax.jit(jax.grad(lambda d: solver.step(mjx.put_model(model), d).qvel.sum(),
                             allow_int=True))(start).qvel  # fmt: skip
    assert np.isfinite(slope).all()


@pytest.mark.slow
def test_what_holds_bodies_together_asks_for_what_c_mujoco_asks_for():
    """`connect` and `weld` in rotation; stock MJX leaves out how their Jacobian turns."""
    model = mujoco.MjModel.from_xml_string(bodies.LINKAGE.format(integrator="Euler"))
    data = mujoco.MjData(model)
    rng = np.random.default_rng(0)
    mujoco.mj_integratePos(model, data.qpos, rng.uniform(-0.3, 0.3, model.nv), 1.0)
    data.qvel[:] = rng.uniform(-3, 3, model.nv)
    found = jax.jit(solver.forward)(mjx.put_model(model), mjx.put_data(model, data))
    mujoco.mj_forward(model, data)
    asked = found._impl.efc_aref[: data.nefc]
    np.testing.assert_allclose(asked, data.efc_aref, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(found.qacc, data.qacc, rtol=1e-6, atol=1e-6)


@pytest.mark.slow
def test_one_step_of_a_body_in_contact():
    found = list(cases.errors(cases.CASES["hopper"], steps=1, number=4))
    assert_near(found, median=1e-7, most=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("steps", [1, 32])
@pytest.mark.parametrize("name", cases.CASES)
def test_every_body_in_contact(name, steps):
    found = list(cases.errors(cases.CASES[name], steps, number=20))
    assert_near(found, median=1e-7 if steps == 1 else 1e-6, most=1e-5)


def assert_near(found, median, most):
    errors = [f.error for f in found]
    assert np.median(errors) <= median
    # Where a contact comes or goes between the two points there is no gradient to be had.
    assert all(f.kinked for f in found if f.error > most)
    assert np.mean(np.array(errors) <= most) >= 0.95


def test_elliptic_cones_are_refused_with_the_remedy():
    model = mujoco.MjModel.from_xml_string(BOUNCE.format(options='cone="elliptic"'))
    engine = Mjx(model, 1)
    assert not engine.differentiable
    assert "cone='pyramidal'" in engine.obstacle


def test_tendons_inside_of_geoms_are_refused_with_the_remedy():
    text = """
    <mujoco>
      <worldbody>
        <site name="start" pos="-.3 0 .2"/><geom name="ring" size=".1"/>
        <site name="side" pos="0 0 {height}"/>
        <body pos="1 0 0"><joint/><geom size=".1"/><site name="end"/></body>
      </worldbody>
      <tendon><spatial>
        <site site="start"/><geom geom="ring" sidesite="side"/><site site="end"/>
      </spatial></tendon>
    </mujoco>"""
    inside, outside = (
        Mjx(mujoco.MjModel.from_xml_string(text.format(height=height)), 1) for height in (0.05, 0.2)
    )
    assert outside.differentiable
    assert "move the sidesite outside" in inside.obstacle


@pytest.mark.parametrize(("kind", "right"), [("sphere", False), ("box", True)])
def test_rangefinders_among_round_geoms_are_refused_with_the_remedy(kind, right):
    model = mujoco.MjModel.from_xml_string(f"""
    <mujoco>
      <asset><material name="grey"/></asset>
      <worldbody>
        <geom type="{kind}" size=".1 .1 .1"/>
        <body pos="0 0 1"><joint/><geom type="box" size=".1 .1 .1"/><site name="eye"/></body>
      </worldbody>
      <sensor><rangefinder site="eye"/></sensor>
    </mujoco>""")
    assert Mjx(model, 1, ("sensordata",)).differentiable is right
    assert Mjx(model, 1).differentiable


def test_single_precision_is_finite_and_near(ball):
    push = jnp.array([1.0, 0, -3, 0, 0.1, 0])
    slope = jax.jit(jax.jacrev(lambda f: speed_after(*ball, f)))(push)
    with jax.enable_x64(False):
        single = placed(BOUNCE.format(options=""))
        found = jax.jit(jax.jacrev(lambda f: speed_after(*single, f)))(jnp.float32(push))
    assert found.dtype == jnp.float32
    np.testing.assert_allclose(found, slope, atol=1e-3 * np.abs(slope).max())


def test_a_point_holds_every_number_that_the_state_after_depends_on():
    model = mujoco.MjModel.from_xml_string(bodies.FINGER)
    point = next(cases.points(cases.CASES["finger"], 1, steps=1))
    assert cases.flat(point).size == model.nq + model.nv + model.na + model.nu
