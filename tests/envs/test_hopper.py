"""The hopper's model, observation, reward and termination."""

import jax
import jax.numpy as jnp
import mjxwm_envs as envs
import mujoco
import numpy as np
import pytest
from mjxwm_envs.core import Physics
from mjxwm_envs.env import load_model
from mjxwm_envs.tasks.locomotion.hopper import Hopper


@pytest.fixture(scope="module")
def model():
    return load_model(Hopper())


def physics(qpos=(0.0,) * 6, qvel=(0.0,) * 6) -> Physics:
    zero = jnp.zeros(())
    return Physics(zero, jnp.array(qpos), jnp.array(qvel), jnp.zeros(0), jnp.zeros(3), {})


def capsule_mass(length, radius, density=1000):
    return density * np.pi * (radius**2 * length + 4 / 3 * radius**3)


def test_the_links_have_the_lengths_and_masses_of_the_gym_hopper(model):
    # Length between the centres of the caps, and radius [m].
    expected = {
        "torso": (0.4, 0.05),
        "thigh": (0.45, 0.05),
        "shin": (0.5, 0.04),
        "foot": (0.39, 0.06),
    }
    for name, (length, radius) in expected.items():
        assert 2 * model.geom(name).size[1] == pytest.approx(length)
        assert model.body(name).mass[0] == pytest.approx(capsule_mass(length, radius))
    total = sum(capsule_mass(*x) for x in expected.values())
    assert model.body_mass.sum() == pytest.approx(total)
    assert 14 < total < 16  # [kg]


def test_standing_the_sole_is_just_above_the_floor(model):
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    foot = model.geom("foot").id
    sole = data.geom_xpos[foot, 2] - model.geom_size[foot, 0]
    assert sole == pytest.approx(0.04)
    assert data.ncon == 0


def test_only_the_leg_and_the_floor_touch(model):
    allowed = {frozenset(("floor", link)) for link in ("foot", "shin", "thigh")}
    data, rng, seen = mujoco.MjData(model), np.random.default_rng(0), set()
    for _ in range(300):
        data.qpos[:] = rng.uniform(-2, 2, 6)
        data.qpos[1] = rng.uniform(-1.2, 0)
        mujoco.mj_forward(model, data)
        names = [[model.geom(g).name for g in contact.geom] for contact in data.contact]
        seen |= {frozenset(pair) for pair in names}
    assert seen == allowed


def test_the_observation_leaves_out_the_position_along_x():
    obs = Hopper().observe(physics(qpos=range(6), qvel=range(10, 16)))
    np.testing.assert_array_equal(obs, [1, 2, 3, 4, 5, 10, 11, 12, 13, 14, 15])


def test_the_reward_is_the_sum_of_its_hand_computed_terms():
    after = physics(qpos=(9.0, -0.4, 0.1, 0, 0, 0), qvel=(1.5, 7, 7, 7, 7, 7))
    reward, terms = Hopper().reward(physics(), jnp.array([1.0, -0.5, 0.0]), after)
    expected = {
        "forward": 1.5,
        "height": -200 * 0.1**2,  # 0.1 m below the target of -0.3 m
        "upright": 1 - (0.1 / (np.pi / 6)) ** 2,
        "effort": -0.1 * (1 + 0.25),
    }
    assert terms == {k: pytest.approx(v, rel=1e-5) for k, v in expected.items()}
    assert reward == pytest.approx(sum(expected.values()), rel=1e-5)


def test_standing_upright_at_the_zero_state_earns_1_3_per_step():
    # No speed, 0.3 for the height (its cap), 1 for being upright, no effort.
    reward, _ = Hopper().reward(physics(), jnp.zeros(3), physics())
    assert reward == pytest.approx(1.3)


def test_an_episode_ends_below_the_fall_height_and_only_there():
    task = Hopper(fall_height=-0.4)
    assert task.terminated(physics(qpos=(0, -0.41, 0, 0, 0, 0)))
    assert not task.terminated(physics(qpos=(0, -0.39, 3.0, 0, 0, 0)))


def test_start_states_are_uniform_within_five_hundredths(key):
    initial = jax.vmap(Hopper().initial)(jax.random.split(key, 2000))
    for x in initial[:2]:
        assert x.shape == (2000, 6)
        np.testing.assert_allclose(x.min(axis=0), -0.05, atol=5e-4)
        np.testing.assert_allclose(x.max(axis=0), 0.05, atol=5e-4)
        np.testing.assert_allclose(x.mean(axis=0), 0, atol=5 * 0.1 / np.sqrt(12 * 2000))


def test_an_idle_hopper_falls_and_its_episode_terminates(key):
    env = envs.make("hopper", engine="native")
    state = jax.jit(env.reset)(key)
    step = jax.jit(env.step)
    for _ in range(200):
        state = step(state, jnp.zeros(3))
        if state.terminated:
            break
    assert state.terminated
    assert state.obs[0] < -0.45


def test_its_spec():
    spec = envs.make("hopper", engine="native").spec
    assert (spec.obs_size, spec.action_size, spec.n_substeps) == (11, 3, 4)
    assert spec.ctrl_dt == pytest.approx(1 / 60)
