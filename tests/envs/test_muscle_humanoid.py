"""The muscle humanoid's task: observation, reward, start, ends, and the three engines."""

import dataclasses

import jax
import jax.numpy as jnp
import mjxwm_envs as envs
import mujoco
import numpy as np
import pytest
from engine_cases import B, compiled
from mjxwm_envs.core import Initial, Physics
from mjxwm_envs.env import load_model
from mjxwm_envs.tasks.locomotion.muscle_body import poses
from mjxwm_envs.tasks.locomotion.muscle_humanoid import TASKS, MuscleHumanoid
from mujoco import mjx

pytest.importorskip("myo_sim")
BODIES = {name: make() for name, make in TASKS.items()}
EPS = float(np.finfo(np.float32).eps)
each = pytest.mark.parametrize("name", BODIES)


@pytest.mark.parametrize(
    ("name", "observations"),
    [
        ("muscle-humanoid", 1 + 4 + 3 + 3 + 17 + 17 + 2),
        ("muscle-humanoid-muscle", 47 + 152),
        ("muscle-humanoid-legs", 1 + 4 + 3 + 3 + 14 + 14 + 2),
        ("muscle-humanoid-full", 1 + 4 + 3 + 3 + 46 + 46 + 2 + 152),
    ],
)
def test_sizes_and_times(name, observations):
    spec = envs.make(name, engine="native").spec
    assert (spec.obs_size, spec.action_size, spec.episode_length) == (observations, 152, 1000)
    assert spec.ctrl_dt == pytest.approx(1 / 60)
    assert spec.sim_dt == pytest.approx(1 / 480 if name.endswith("full") else 1 / 240)


def physics(task, height=1.0, quat=(1, 0, 0, 0), linear=(0, 0, 0), angular=(0, 0, 0)) -> Physics:
    model = load_model(task)
    qpos = jnp.concatenate([jnp.array([3.0, 2, height, *quat]), 0.01 * jnp.arange(model.nq - 7)])
    qvel = jnp.concatenate([jnp.array([*linear, *angular], float), 10.0 + jnp.arange(model.nv - 6)])
    return Physics(jnp.zeros(()), qpos, qvel, jnp.linspace(0, 1, model.na), jnp.zeros(152), {})


@each
def test_the_observation_holds_what_it_says_in_this_order(name):
    task = BODIES[name]
    joints, na = load_model(task).nv - 6, load_model(task).na
    obs = task.observe(physics(task, 0.9, linear=(1, 2, 3), angular=(4, 5, 6)))
    parts = jnp.split(obs, np.cumsum([1, 4, 3, 3, joints, joints, 1, 1]))
    expected = [[0.9], [1, 0, 0, 0], [1, 2, 3], [4, 5, 6], 0.01 * np.arange(joints)]
    expected += [1 + 0.1 * np.arange(joints), [1], [1], np.linspace(0, 1, na)]
    for part, value in zip(parts, expected, strict=True):
        np.testing.assert_allclose(part, value, rtol=1e-5, atol=1e-6)


def test_the_reward_is_the_sum_of_its_hand_computed_terms():
    # Pitched forward by 60 degrees: up = heading = cos 60. Half of the muscles at 1, half at 0.25.
    task = MuscleHumanoid()
    after = physics(task, quat=(np.cos(np.pi / 6), 0, np.sin(np.pi / 6), 0), linear=(2.0, 9, 9))
    action = jnp.where(jnp.arange(152) < 76, 1.0, -0.5)
    reward, terms = task.reward(physics(task), action, after)
    expected = {"forward": 2.0, "up": 0.05, "heading": 0.5, "effort": -0.001 * 76 * 1.25}
    assert terms == {k: pytest.approx(v, rel=1e-5) for k, v in expected.items()}
    assert reward == pytest.approx(2.455, rel=1e-5)


@each
def test_standing_upright_at_rest_returns_1_1_per_step(name):
    task = BODIES[name]
    start = task_start(task)
    still = physics(task)._replace(qpos=start, qvel=jnp.zeros(load_model(task).nv))
    reward, _ = task.reward(still, -jnp.ones(152), still)
    assert reward == pytest.approx(1.1)


def task_start(task) -> jax.Array:
    return jnp.asarray(load_model(task).key_qpos[0])


def test_actions_are_mapped_onto_activations_from_0_to_1():
    env = envs.make("muscle-humanoid", engine="native")
    action = jnp.linspace(-1, 1, 152)
    np.testing.assert_allclose(env.to_ctrl(action), (action + 1) / 2, atol=1e-7)


@each
def test_an_episode_ends_at_0_46_of_the_start_height(name):
    task = BODIES[name]
    assert task.fall_height / float(task_start(task)[2]) == pytest.approx(0.46, abs=0.005)
    assert task.terminated(physics(task, task.fall_height - 0.01))
    assert not task.terminated(physics(task, task.fall_height + 0.01, quat=(0, 1, 0, 0)))


@each
def test_start_states_are_the_start_pose_with_the_stated_noise(name, key):
    task, model = BODIES[name], load_model(BODIES[name])
    starts = jax.jit(jax.vmap(task.initial))(jax.random.split(key, 2000))
    moved = np.asarray(starts.qpos - model.key_qpos[0])
    low, high = moved.min(axis=0), moved.max(axis=0)
    np.testing.assert_allclose(low[:2], -0.1, atol=2e-3)
    np.testing.assert_allclose(high[:2], 0.1, atol=2e-3)
    assert low[2] > -1e-6  # never lowered, lifted where a foot would be in the floor
    np.testing.assert_allclose(np.linalg.norm(starts.qpos[:, 3:7], axis=1), 1, rtol=1e-5)
    angle = 2 * np.arccos(np.clip(starts.qpos[:, 3], -1, 1))
    assert np.pi / 24 * 0.95 < angle.max() < np.pi / 24 * 1.01
    leaders = ~np.isin(np.arange(1, model.njnt), poses.couplings(model).follower)
    least, most = model.jnt_range[1:].T
    np.testing.assert_allclose(low[7:][leaders], np.maximum(-0.2, least)[leaders], atol=4e-3)
    np.testing.assert_allclose(high[7:][leaders], np.minimum(0.2, most)[leaders], atol=4e-3)
    fastest = np.abs(starts.qvel).max(axis=0)
    np.testing.assert_allclose(fastest[:6], 0.25, atol=4e-3)
    np.testing.assert_allclose(fastest[6:][leaders], 0.25, atol=4e-3)
    assert starts.act.shape == (2000, model.na)
    assert not starts.act.any()
    still = dataclasses.replace(task, noise=0.0).initial(key)
    assert float(jnp.abs(still.qpos - model.key_qpos[0]).max()) < 1e-6
    assert not still.qvel.any()


def test_the_full_body_starts_on_its_couplings_and_moves_along_them(key):
    task, model = BODIES["muscle-humanoid-full"], load_model(BODIES["muscle-humanoid-full"])
    data = mujoco.MjData(model)
    for k in jax.random.split(key, 20):
        start = task.initial(k)
        data.qpos[:], data.qvel[:] = start.qpos, start.qvel
        mujoco.mj_forward(model, data)
        assert data.ne == 29
        assert np.abs(data.efc_pos[:29]).max() < 10 * EPS
        assert np.abs(data.efc_vel[:29]).max() < 10 * EPS


def finished_returns(name: str, action: float, steps: int, key) -> np.ndarray:
    worlds = envs.BatchEnv(envs.make(name, engine="native"), B)

    def step(state, _):
        state, result = worlds.step(state, jnp.full((B, 152), action))
        return state, (result.terminated | result.truncated, result.episode_return, result.valid)

    run = jax.jit(lambda state: jax.lax.scan(step, state, None, steps)[1])
    done, returns, valid = run(worlds.reset(key))
    assert valid.all()
    return np.asarray(returns)[np.asarray(done)]


# A body without a controller falls within a second or so; docs/tasks.md states these.
@pytest.mark.parametrize(
    ("name", "least", "most"),
    [("muscle-humanoid", 20, 50), ("muscle-humanoid-muscle", 10, 35)],
)
def test_the_return_of_relaxing_all_muscles(name, least, most, key):
    returns = finished_returns(name, -1.0, 100, key)
    assert len(returns) >= B
    assert least < returns.mean() < most


@pytest.mark.slow
@each
def test_no_world_diverges_under_random_full_activations(name, key):
    worlds, steps = 64, 2000
    env = envs.BatchEnv(envs.make(name, engine="native"), worlds)

    def step(carry, key):
        action = jnp.sign(jax.random.normal(key, (worlds, 152)))
        carry, result = env.step(carry, action)
        return carry, (result.valid, jnp.abs(carry.state.sim.physics.qvel).max())

    run = jax.jit(lambda state, keys: jax.lax.scan(step, state, keys)[1])
    valid, fastest = run(env.reset(key), jax.random.split(key, steps))
    assert valid.all()
    assert fastest.max() < 100  # [m/s, rad/s]


# Engines.


def standing(task, worlds: int = B) -> Initial:
    """Feet 4 mm in the floor, a little crooked, on the couplings, muscles at work."""
    model, rng = load_model(task), np.random.default_rng(3)
    qpos = np.tile(model.key_qpos[0], (worlds, 1)) - 0.005 * (np.arange(model.nq) == 2)
    qpos[:, 7:] += rng.uniform(0, 0.01, qpos[:, 7:].shape)
    qvel = rng.uniform(-0.3, 0.3, (worlds, model.nv))
    follow = jax.vmap(lambda q, v: poses.follow(model, q, v))
    act = rng.uniform(0, 0.5, (worlds, model.na))
    return Initial(*follow(jnp.asarray(qpos), jnp.asarray(qvel)), jnp.asarray(act))


def activations(steps: int, worlds: int = B) -> jax.Array:
    return jnp.asarray(np.random.default_rng(1).uniform(0, 1, (steps, worlds, 152)))


@each
def test_native_equals_a_loop_over_mj_step(name):
    task = BODIES[name]
    engine, reset, step = compiled("native", task)
    start, ctrl = standing(task), activations(100)
    sim, _ = jax.lax.scan(lambda s, c: (step(s, c), None), reset(start), ctrl)
    model = load_model(task)
    for world in range(2):
        data = mujoco.MjData(model)
        data.qpos[:], data.qvel[:], data.act[:] = (np.asarray(x[world]) for x in start[:3])
        for control in np.asarray(ctrl[:, world]):
            data.ctrl[:] = control
            mujoco.mj_step(model, data, nstep=engine.n_substeps)
        np.testing.assert_array_equal(sim.physics.qpos[world], data.qpos.astype(np.float32))
        np.testing.assert_array_equal(sim.physics.act[world], data.act.astype(np.float32))


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["muscle-humanoid", "muscle-humanoid-muscle", "muscle-humanoid-full"]
)
def test_tendons_and_forces_in_mjx_are_those_of_c(name):
    # In float64. Poses off the couplings would be another matter: see
    # mjxwm_envs.tasks.locomotion.muscle_body.
    task, worlds = BODIES[name], 16
    model, rng = load_model(task), np.random.default_rng(5)
    with jax.enable_x64(True):
        put = mjx.put_model(model)
        empty = mjx.make_data(model)

        @jax.jit
        @jax.vmap
        def in_mjx(qpos, qvel, act, ctrl):
            data = empty.replace(qpos=qpos, qvel=qvel, act=act, ctrl=ctrl)
            data = mjx.fwd_velocity(put, mjx.fwd_position(put, data))
            data = mjx.fwd_actuation(put, data)
            return {k: getattr(data, k) for k in ("ten_length", "actuator_force", "qfrc_actuator")}

        low, high = 0.6 * model.jnt_range[1:].T
        qpos = np.tile(model.key_qpos[0], (worlds, 1))
        qpos[:, 7:] = rng.uniform(low, high, (worlds, model.njnt - 1))
        qvel = rng.uniform(-1, 1, (worlds, model.nv))
        follow = jax.vmap(lambda q, v: poses.follow(model, q, v))
        qpos, qvel = follow(jnp.asarray(qpos), jnp.asarray(qvel))
        act = rng.uniform(0, 1, (worlds, model.na))
        ctrl = rng.uniform(0, 1, (worlds, model.nu))
        ours = in_mjx(qpos, qvel, jnp.asarray(act), jnp.asarray(ctrl))
    data = mujoco.MjData(model)
    for i in range(worlds):
        data.qpos[:], data.qvel[:], data.act[:], data.ctrl[:] = qpos[i], qvel[i], act[i], ctrl[i]
        mujoco.mj_forward(model, data)
        for field, values in ours.items():
            true = getattr(data, field)
            np.testing.assert_allclose(
                values[i], true, rtol=1e-6, atol=1e-6 * np.abs(true).max(), err_msg=field
            )


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["mjx", "warp"])
@pytest.mark.parametrize("name", ["muscle-humanoid", "muscle-humanoid-muscle"])
def test_a_control_step_in_contact_agrees_with_native(name, engine):
    # The tolerance of the hopper's test, for the same reason: see tests/envs/test_engines.py.
    task, results = BODIES[name], []
    start, ctrl = standing(task), activations(1)[0]
    for kind in ("native", engine):
        _, reset, step = compiled(kind, task)
        results.append(step(reset(start), ctrl).physics)
    ours, native = results[1], results[0]
    change = float(jnp.abs(native.qvel - start.qvel).max())
    assert float(jnp.abs(ours.qvel - native.qvel).max()) < EPS**0.5 * change
    tolerance = EPS**0.5 * change * task.ctrl_dt + 8 * EPS
    assert float(jnp.abs(ours.qpos - native.qpos).max()) < tolerance
    np.testing.assert_allclose(ours.act, native.act, atol=8 * EPS)
