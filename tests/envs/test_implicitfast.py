"""`implicitfast` on engine mjx: a muscle and a servo at its force's range, against C MuJoCo."""

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
import pytest
from mjxwm_envs.core import Initial
from mjxwm_envs.engines.mjx import Mjx

XML = """
<mujoco>
  <option timestep=".01" integrator="implicitfast"/>
  <worldbody>
    <body><joint name="a" axis="0 1 0" damping=".2"/><geom size=".1" pos=".3 0 0"/>
      <body pos=".4 0 0"><joint name="b" axis="0 1 0"/><geom size=".05" pos=".2 0 0"/></body>
    </body>
  </worldbody>
  <actuator>
    <muscle joint="a" lengthrange="-1 1" force="40"/>
    <muscle joint="b" lengthrange="-1 1" force="10"/>
    <position joint="a" kp="30" kv="4" forcerange="-2 2"/>
    <position joint="b" kp="30" kv="4" forcerange="-200 200"/>
  </actuator>
</mujoco>"""
STEPS, WIDTH = 3, 1e-6
START = np.array([0.2, -0.3, 0.9, -1.4, 0.6, 0.3])  # positions, velocities, activations
CTRL = np.array([0.8, 0.4, 0.7, -0.2])  # the first servo is at its range, the other is not


def in_c(start):
    model = mujoco.MjModel.from_xml_string(XML)
    data = mujoco.MjData(model)
    data.qpos[:], data.qvel[:], data.act[:] = np.split(start, 3)
    data.ctrl[:] = CTRL
    mujoco.mj_step(model, data, STEPS)
    assert abs(data.actuator_force[2]) == 2
    assert abs(data.actuator_force[3]) < 200
    return np.concatenate([data.qpos, data.qvel])


def end(engine, start):
    sim = engine.step(engine.reset(Initial(*jnp.split(start, 3))), jnp.asarray(CTRL))
    return jnp.concatenate([sim.physics.qpos, sim.physics.qvel])


def test_steps_are_c_mujoco_s():
    with jax.enable_x64(True):
        engine = Mjx(mujoco.MjModel.from_xml_string(XML), STEPS)
        value = jax.jit(lambda start: end(engine, start))(START)
    np.testing.assert_allclose(value, in_c(START), rtol=1e-12)


@pytest.mark.slow
def test_gradients_are_c_mujoco_s():
    weights = np.random.default_rng(0).normal(size=4)
    with jax.enable_x64(True):
        engine = Mjx(mujoco.MjModel.from_xml_string(XML), STEPS)
        gradient = jax.jit(jax.grad(lambda start: weights @ end(engine, start)))(START)
    differences = [
        weights @ (in_c(START + WIDTH * e) - in_c(START - WIDTH * e)) / (2 * WIDTH)
        for e in np.eye(len(START))
    ]
    np.testing.assert_allclose(gradient, differences, rtol=1e-6, atol=1e-7)
