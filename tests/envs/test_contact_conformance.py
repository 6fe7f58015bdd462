"""Contacts of engine mjx against C MuJoCo's: number, place and the acceleration that comes of them.

MJX makes others between a plane and a box, mesh or cylinder, between parallel capsules and between
a sphere and what it touches; engine mjx puts them right. What it cannot put right it says.
"""

import warnings

import contact_worlds as worlds
import jax
import jax.numpy as jnp
import mujoco
import numpy as np
import pytest
from mjxwm_envs.core import Initial
from mjxwm_envs.engines.mjx import Mjx

PAIRS = [
    ("plane", "box", ""),
    ("plane", "box", 'margin=".1" gap=".03" condim="4"'),
    ("plane", "cylinder", ""),
    ("plane", "mesh", ""),
    ("plane", "prism", 'condim="6"'),
    ("plane", "ellipsoid", ""),
    ("sphere", "capsule", ""),
    ("sphere", "cylinder", 'margin=".02"'),
    ("sphere", "box", 'margin=".05"'),
    ("capsule", "capsule", ""),
]
SIDE_BY_SIDE = [("capsule", "capsule", 'margin=".05" gap=".01"')] * 3


@pytest.fixture(autouse=True)
def double():
    with jax.enable_x64(True):
        yield


def flat(model, states, name, rng):
    """The states with a body of a plane lying on it, as it would after a fall."""
    body = model.geom(name).bodyid[0]
    adr = model.jnt_qposadr[model.body_jntadr[body]]
    angle = rng.uniform(0, np.pi, len(states.qpos))
    height = {"box": 0.2, "cylinder": 0.15, "prism": 0.1}[name.rstrip("0123456789b")]
    states.qpos[:, adr + 2] = height - 0.002
    zero = np.zeros_like(angle)
    states.qpos[:, adr + 3 : adr + 7] = np.stack([np.cos(angle), zero, zero, np.sin(angle)], 1)


def beside(model, states, rng):
    """The states with each pair of capsules parallel, shifted along their axes.

    Half of them exactly, some head to tail; the others by about the angle at which C MuJoCo stops
    to take them as parallel.
    """
    turned, axis = np.zeros(9), np.zeros(3)
    for first in range(0, model.nq, 14):
        for qpos in states.qpos:
            qpos[first + 10 : first + 14] = qpos[first + 3 : first + 7]
            mujoco.mju_quat2Mat(turned, qpos[first + 3 : first + 7])
            if rng.random() < 0.5:
                turn = np.append(1, rng.normal(size=3) * 5e-5)
                mujoco.mju_mulQuat(
                    qpos[first + 10 : first + 14], qpos[first + 10 : first + 14], turn
                )
            elif rng.random() < 0.5:
                flip = np.array([0, 1.0, 0, 0])
                mujoco.mju_mulQuat(
                    qpos[first + 10 : first + 14], qpos[first + 10 : first + 14], flip
                )
            along, across = turned.reshape(3, 3)[:, 2], turned.reshape(3, 3)[:, 0]
            gap = 0.12 + rng.uniform(-0.01, 0.06)
            axis = along * rng.uniform(-0.45, 0.45) + across * gap
            qpos[first + 7 : first + 10] = qpos[first : first + 3] + axis


def assert_equal_accelerations(model, states):
    expected, numbers = worlds.c_accelerations(model, states)
    found, found_numbers = worlds.mjx_accelerations(model, states)
    np.testing.assert_array_equal(found_numbers, numbers)
    scale = np.abs(expected).max(axis=1, keepdims=True)
    np.testing.assert_allclose(found / scale, expected / scale, atol=1e-9)
    return numbers


@pytest.mark.slow
def test_contacts_put_right_are_those_of_c_mujoco():
    model = worlds.world(PAIRS)
    states, rng = worlds.touching(model, 48), np.random.default_rng(5)
    lying = worlds.States(*(x[:16] for x in states))  # views: the first 16 states lie flat
    for name in ("box0b", "cylinder2b", "prism4b"):
        flat(model, lying, name, rng)
    numbers = assert_equal_accelerations(model, states)
    assert numbers[:16, [0, 2]].max(axis=0).tolist() == [4, 3]  # the cases are not empty
    assert numbers[16:, 1].max() == 4


def test_parallel_capsules_touch_twice_as_in_c_mujoco():
    model = worlds.world(SIDE_BY_SIDE)
    states, rng = worlds.touching(model, 64), np.random.default_rng(6)
    beside(model, states, rng)
    numbers = assert_equal_accelerations(model, states)
    assert {0, 1, 2} <= set(np.ravel(numbers).tolist())


@pytest.mark.slow
def test_gradients_of_contacts_put_right_are_c_mujocos_differences():
    model = worlds.world([pair for pair in PAIRS if pair[1] != "ellipsoid"])
    model.opt.timestep = 0.004
    qpos, qvel = (x[0] for x in worlds.touching(model, 1, seed=4))
    rng = np.random.default_rng(7)
    weights, engine = rng.normal(size=model.nv), Mjx(model, 1)
    zero = engine.reset(Initial(jnp.asarray(qpos), jnp.asarray(qvel), jnp.zeros(0)))

    def end(qpos, qvel):
        sim = zero._replace(physics=zero.physics._replace(qpos=qpos, qvel=qvel))
        return engine.step(sim, jnp.zeros(0)).physics.qvel @ weights

    slopes = jax.jit(jax.grad(end, argnums=(0, 1)))(jnp.asarray(qpos), jnp.asarray(qvel))

    def moved(direction, by):
        data = mujoco.MjData(model)
        data.qpos[:], data.qvel[:] = qpos, qvel + by * direction[model.nv :]
        mujoco.mj_integratePos(model, data.qpos, direction[: model.nv], by)
        start = data.qpos.copy()
        mujoco.mj_step(model, data)
        return start, data.qvel @ weights

    for _ in range(12):
        direction = rng.normal(size=2 * model.nv)
        (ahead, high), (behind, low) = moved(direction, 1e-6), moved(direction, -1e-6)
        found = slopes[0] @ (ahead - behind) / 2e-6 + slopes[1] @ direction[model.nv :]
        np.testing.assert_allclose(found, (high - low) / 2e-6, rtol=1e-6)


def test_contacts_that_mjx_has_otherwise_are_named_when_the_engine_is_made():
    model = worlds.world([("capsule", "box", ""), ("box", "mesh", ""), ("sphere", "ellipsoid", "")])
    with (
        pytest.warns(UserWarning, match="only approximates contacts of sphere-ellipsoid"),
        pytest.warns(UserWarning, match="makes contacts of capsule-box, box-mesh in other places"),
    ):
        Mjx(model, 1)


def test_contacts_put_right_need_no_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Mjx(worlds.world(PAIRS), 1)


def test_frictionless_contacts_under_elliptic_cones_are_refused_by_name():
    model = worlds.world([("sphere", "box", ""), ("plane", "box", 'condim="1"')], 'cone="elliptic"')
    with pytest.raises(ValueError, match=r"condim=1.*'plane' and 'box1b'.*'pyramidal'"):
        Mjx(model, 1)


def test_no_contact_is_dropped_for_mjxs_own_limits_in_the_model_file():
    text = """
      <mujoco>
        <custom><numeric name="max_contact_points" data="1"/></custom>
        <worldbody><geom type="plane" size="1 1 1"/>
          <body><freejoint/><geom type="box" size=".1 .1 .1"/></body></worldbody>
      </mujoco>"""
    assert Mjx(mujoco.MjModel.from_xml_string(text), 1)._template._impl.ncon == 4
