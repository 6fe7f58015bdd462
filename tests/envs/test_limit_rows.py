"""Joints and tendons between both of their limits, which margins as wide make active at once."""

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
import pytest
from mjxwm_envs.core import Initial
from mjxwm_envs.engines import contacts, mjx_data
from mjxwm_envs.engines.mjx import Mjx
from mjxwm_envs.engines.warp import Warp

ARM = """
<mujoco>
  <compiler angle="radian"/>
  <option timestep=".004" tolerance="1e-14" iterations="50"/>
  <worldbody>
    <body pos="0 0 .4">
      <joint name="cart" type="slide" axis="1 0 0" limited="true" range="-.1 .2" margin=".2"
             frictionloss=".2"/>
      <geom size=".05" mass="1"/>
      <body pos="0 0 -.1">
        <joint name="elbow" axis="0 1 0" limited="true" range="-.4 .3" margin=".6"
               solreflimit="-300 -8"/>
        <geom type="capsule" size=".03" fromto="0 0 0 0 0 -.2" mass=".4"/>
      </body>
    </body>
  </worldbody>
  <tendon>
    <fixed name="belt" limited="true" range="-.05 .06" margin=".1">
      <joint joint="cart" coef="1"/><joint joint="elbow" coef=".5"/>
    </fixed>
  </tendon>
  <actuator><motor joint="elbow" gear="2"/><motor joint="cart" gear="5"/></actuator>
</mujoco>"""


@pytest.fixture
def double():
    with jax.enable_x64(True):
        yield


@pytest.fixture
def model():
    return mujoco.MjModel.from_xml_string(ARM)


def states(model, count, seed=0):
    rng = np.random.default_rng(seed)
    qpos = rng.uniform(-0.2, 0.25, (count, model.nq))
    qpos[0] = 0.05, -0.05  # cart and elbow as far from one limit as from the other
    return qpos, rng.normal(size=(count, model.nv)) * 0.3, rng.uniform(-1, 1, (count, model.nu))


def start(engine, qpos, qvel, fields=None):
    initial = Initial(qpos, qvel, jnp.zeros(0))
    return engine.reset(initial if fields is None else initial._replace(fields=fields))


def in_c(model, qpos, qvel, ctrl, steps):
    """Positions and velocities after steps, and the most limits that were active."""
    data, most = mujoco.MjData(model), 0
    data.qpos[:], data.qvel[:], data.ctrl[:] = qpos, qvel, ctrl
    for _ in range(steps):
        mujoco.mj_step(model, data)
        most = max(most, data.nl)
    return data.qpos, data.qvel, most


def in_mjx(engine, qpos, qvel, ctrl, steps, fields=None):
    @jax.jit
    @jax.vmap
    def run(qpos, qvel, ctrl):
        sim = start(engine, qpos, qvel, fields)
        sim, _ = jax.lax.scan(lambda s, _: (engine.step(s, ctrl), None), sim, length=steps)
        return sim.physics.qpos, sim.physics.qvel

    real = jnp.result_type(float)
    return run(*(jnp.asarray(x, real) for x in (qpos, qvel, ctrl)))


def test_both_limits_push_as_in_c_mujoco_for_twenty_steps(model, double):
    # The model itself has narrow margins; those that let both limits push are each world's own.
    state = states(model, 8)
    ends = [in_c(model, q, v, u, 20) for q, v, u in zip(*state, strict=True)]
    *expected, most = zip(*ends, strict=True)
    assert max(most) == 6  # cart, elbow and tendon twice: the case is not an empty one
    fields = {name: jnp.array(getattr(model, name)) for name in ("jnt_margin", "tendon_margin")}
    model.jnt_margin[:], model.tendon_margin[:] = 0.001, 0.001
    found = in_mjx(Mjx(model, 1), *state, 20, fields)
    np.testing.assert_allclose(found[0], expected[0], atol=1e-10)
    np.testing.assert_allclose(found[1], expected[1], atol=1e-9)


@pytest.mark.slow
def test_in_float32_too_joints_stay_where_two_limits_hold_them(model):
    state = states(model, 4, seed=2)
    expected = [in_c(model, q, v, u, 20)[0] for q, v, u in zip(*state, strict=True)]
    np.testing.assert_allclose(in_mjx(Mjx(model, 1), *state, 20)[0], expected, atol=3e-5)


@pytest.mark.slow
def test_the_gradient_between_two_limits_is_c_mujocos(model, double):
    point = [x[0] for x in states(model, 1)]
    weights = np.random.default_rng(1).normal(size=model.nv)
    engine = Mjx(model, 1)

    def end(qpos, qvel, ctrl):
        sim = start(engine, qpos, qvel)
        return engine.step(sim, ctrl).physics.qvel @ weights

    slope = jax.jit(jax.grad(end, argnums=(0, 1, 2)))(*map(jnp.asarray, point))
    for i, old in enumerate(point):
        for j in range(old.size):
            sides = []
            for move in (1e-6, -1e-6):
                moved = [x.copy() for x in point]
                moved[i][j] += move
                sides.append(in_c(model, *moved, steps=1)[1] @ weights)
            expected = (sides[0] - sides[1]) / 2e-6
            np.testing.assert_allclose(slope[i][j], expected, rtol=1e-6, atol=1e-7)


def test_a_model_whose_limits_cannot_meet_has_no_row_more(model):
    assert mjx_data.make_data(model, contacts.make_plan(model))._impl.nl == 6
    model.jnt_margin[:], model.tendon_margin[:] = 0.01, 0.01
    assert mjx_data.make_data(model, contacts.make_plan(model))._impl.nl == 3


def test_warp_refuses_by_name_what_it_would_do_with_one_limit(model):
    with pytest.raises(ValueError, match="joint 'cart', joint 'elbow', tendon 'belt'"):
        Warp(model, 1)
