"""Ant, anymal and humanoid: models, observation, reward, start, ends, and the three engines."""

import jax
import jax.numpy as jnp
import mjxwm_envs as envs
import mujoco
import numpy as np
import pytest
from engine_cases import B, actions, compiled
from mjxwm_envs.core import Initial, Physics
from mjxwm_envs.env import load_model
from mjxwm_envs.tasks.locomotion.ant import Ant
from mjxwm_envs.tasks.locomotion.anymal import Anymal
from mjxwm_envs.tasks.locomotion.floating import root, rotate
from mjxwm_envs.tasks.locomotion.humanoid import Humanoid
from mjxwm_envs.tasks.locomotion.start import tilt

BODIES = [Ant(), Anymal(), Humanoid()]
ids = {"ids": lambda body: type(body).__name__.lower()}
EPS = float(np.finfo(np.float32).eps)


def physics(task, height=1.0, quat=(1, 0, 0, 0), linear=(0, 0, 0), angular=(0, 0, 0), ctrl=0.0):
    joints = load_model(task).nu
    qpos = jnp.concatenate([jnp.array([3.0, 2, height, *quat]), 0.1 * jnp.arange(joints)])
    qvel = jnp.concatenate([jnp.array([*linear, *angular], float), 10.0 + jnp.arange(joints)])
    return Physics(jnp.zeros(()), qpos, qvel, jnp.zeros(0), jnp.full(joints, ctrl), {})


@pytest.mark.parametrize(
    ("task", "sizes", "mass"),
    [
        # The sphere and twelve capsules of the Gym ant at 1000 kg/m^3.
        (Ant(), (37, 8), 182.18),
        (Anymal(), (49, 12), 19.2035 + 4 * (1.42462 + 1.63498 + 0.472163)),
        (Humanoid(), (76, 21), 40.844),  # as dm_control's
    ],
    ids=["ant", "anymal", "humanoid"],
)
def test_sizes_and_masses(task, sizes, mass):
    spec = envs.make(type(task).__name__.lower(), engine="native").spec
    assert (spec.obs_size, spec.action_size) == sizes
    assert load_model(task).body_mass.sum() == pytest.approx(mass, rel=1e-3)


@pytest.mark.parametrize("task", BODIES, **ids)
def test_the_body_is_symmetric_left_to_right(task):
    model = load_model(task)
    data = mujoco.MjData(model)
    mujoco.mj_resetDataKeyframe(model, data, 0)
    mujoco.mj_forward(model, data)
    assert data.subtree_com[0, 1] == pytest.approx(0, abs=1e-9)
    assert data.subtree_com[0, 2] > 0.2


@pytest.mark.parametrize("task", BODIES, **ids)
def test_nothing_but_the_floor_is_touched_and_every_foot_can_touch_it(task):
    model, rng, seen = load_model(task), np.random.default_rng(0), set()
    data, start = mujoco.MjData(model), load_model(task).key_qpos[0]
    for _ in range(200):
        data.qpos[:] = start
        data.qpos[2] = rng.uniform(0.1, start[2])
        data.qpos[3:7] += 0.5 * rng.normal(size=4)
        data.qpos[7:] = rng.uniform(*model.jnt_range[1:].T)
        mujoco.mj_forward(model, data)
        pairs = [{model.geom(int(g)).name for g in contact.geom} for contact in data.contact]
        assert all("floor" in pair for pair in pairs)
        seen |= {name for pair in pairs for name in pair}
    feet = {"ant": "lower", "anymal": "foot", "humanoid": "foot"}[type(task).__name__.lower()]
    names = {model.geom(i).name for i in range(model.ngeom)}
    assert {name for name in names if feet in name} <= seen


def test_a_quarter_turn_about_the_vertical_swaps_heading_and_sideways():
    quarter = jnp.array([np.sqrt(0.5), 0, 0, np.sqrt(0.5)])
    qpos, qvel = jnp.array([0, 0, 1.0, *quarter]), jnp.array([1.0, 2, 3, 4, 5, 6])
    r = root(qpos, qvel)
    assert r.heading == pytest.approx(0, abs=1e-6)
    assert r.up == pytest.approx(1)
    np.testing.assert_allclose(r.linear, [1, 2, 3])  # already in the world's axes
    np.testing.assert_allclose(r.angular, [-5, 4, 6], atol=1e-5)  # turned out of the body's


def test_both_signs_of_a_quaternion_are_one_orientation():
    key_tilt, key_v = jax.random.split(jax.random.key(0))
    quat, v = tilt(key_tilt, 3.0), jax.random.normal(key_v, (6,))
    same = [root(jnp.concatenate([jnp.ones(3), s * quat]), v) for s in (1, -2)]
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), *same)


def test_rotation_agrees_with_mujoco():
    quat, v, expected = tilt(jax.random.key(1), 3.0), np.array([1.0, -2, 3]), np.zeros(3)
    mujoco.mju_rotVecQuat(expected, v, np.asarray(quat, float))
    np.testing.assert_allclose(rotate(quat, jnp.asarray(v)), expected, atol=1e-5)


@pytest.mark.parametrize("task", BODIES, **ids)
def test_the_observation_holds_what_it_says_in_this_order(task):
    n = load_model(task).nu
    obs = task.observe(physics(task, 0.9, linear=(1, 2, 3), angular=(4, 5, 6), ctrl=0.25))
    parts = np.split(np.asarray(obs), np.cumsum([1, 4, 3, 3, n, n, 1, 1]))
    expected = [[0.9], [1, 0, 0, 0], [1, 2, 3], [4, 5, 6], 0.1 * np.arange(n)]
    expected += [1 + 0.1 * np.arange(n), [1], [1], np.full(n, 0.25)]
    for part, value in zip(parts, expected, strict=True):
        np.testing.assert_allclose(part, value, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("task", "height", "height_term", "effort"),
    [
        (Ant(), 0.57, 0.3, 0.0),
        (Anymal(), 0.45, 0.2, 0.005),
        (Humanoid(), 0.89, 0.5, 0.002),  # 10 per metre above 0.84 m
        (Humanoid(), 1.3, 1.0, 0.002),  # at most 0.1 m of it
        (Humanoid(), 0.79, -0.5, 0.002),  # -200 x 0.05^2
    ],
)
def test_the_reward_is_the_sum_of_its_hand_computed_terms(task, height, height_term, effort):
    # Pitched forward by 60 degrees: up = heading = cos 60.
    after = physics(task, height, (np.cos(np.pi / 6), 0, np.sin(np.pi / 6), 0), (2.0, 9, 9))
    n = load_model(task).nu
    reward, terms = task.reward(physics(task), jnp.full(n, 0.5), after)
    expected = {"forward": 2.0, "up": 0.05, "heading": 0.5, "height": height_term}
    expected["effort"] = -effort * n * 0.25
    assert terms == {k: pytest.approx(v, rel=1e-4, abs=1e-6) for k, v in expected.items()}
    assert reward == pytest.approx(sum(expected.values()), rel=1e-4)


@pytest.mark.parametrize("task", BODIES, **ids)
def test_an_episode_ends_below_the_fall_height_and_only_there(task):
    assert task.terminated(physics(task, task.fall_height - 0.01))
    assert not task.terminated(physics(task, task.fall_height + 0.01, quat=(0, 1, 0, 0)))


@pytest.mark.parametrize("task", BODIES, **ids)
def test_start_states_are_the_keyframe_with_the_stated_noise(task, key):
    pose = load_model(task).key_qpos[0]
    starts = jax.jit(jax.vmap(task.initial))(jax.random.split(key, 1000))
    moved = np.asarray(starts.qpos - pose)
    low, high = moved.min(axis=0), moved.max(axis=0)
    np.testing.assert_allclose(low[:2], -0.1, atol=2e-3)
    np.testing.assert_allclose(high[:2], 0.1, atol=2e-3)
    assert low[2] > -1e-6  # never lowered, lifted where a foot would be in the floor
    np.testing.assert_allclose(np.linalg.norm(starts.qpos[:, 3:7], axis=1), 1, rtol=1e-5)
    angle = 2 * np.arccos(np.clip(starts.qpos[:, 3], -1, 1))
    assert np.pi / 24 * 0.95 < angle.max() < np.pi / 24 * 1.01
    below, above = load_model(task).jnt_range[1:].T - pose[7:]
    np.testing.assert_allclose(low[7:], np.clip(below, -0.2, 0), atol=4e-3)
    np.testing.assert_allclose(high[7:], np.clip(above, 0, 0.2), atol=4e-3)
    np.testing.assert_allclose(np.abs(starts.qvel).max(axis=0), 0.25, atol=4e-3)
    assert float(jnp.abs(type(task)(noise=0.0).initial(key).qpos - pose).max()) < 1e-6


# What doing nothing returns in 1000 steps; docs/tasks.md states these.
@pytest.mark.parametrize(
    ("name", "least", "most"), [("ant", 1100, 1160), ("anymal", 1220, 1270), ("humanoid", 40, 100)]
)
def test_the_return_of_doing_nothing(name, least, most, key):
    worlds = envs.BatchEnv(envs.make(name, engine="native"), B)

    def step(state, _):
        state, result = worlds.step(state, jnp.zeros((B, worlds.env.action_size)))
        return state, (result.terminated | result.truncated, result.episode_return, result.valid)

    run = jax.jit(lambda state: jax.lax.scan(step, state, None, 1000)[1])
    done, returns, valid = run(worlds.reset(key))
    assert valid.all()
    assert least < returns[done].mean() < most


def standing(task) -> Initial:
    """Feet pressed into the floor, a little crooked."""
    pose, rng = load_model(task).key_qpos[0], np.random.default_rng(3)
    sunk = {"Ant": 0.2, "Anymal": 0.005, "Humanoid": 0.018}[type(task).__name__]
    qpos = np.tile(pose, (B, 1)) - sunk * (np.arange(pose.size) == 2)
    qpos[:, 7:] += rng.uniform(-0.01, 0.01, qpos[:, 7:].shape)
    qvel = rng.uniform(-0.3, 0.3, (B, pose.size - 1))
    return Initial(*(jnp.asarray(x, jnp.float32) for x in (qpos, qvel, np.zeros((B, 0)))))


@pytest.mark.parametrize("task", BODIES, **ids)
def test_native_equals_a_loop_over_mj_step(task):
    engine, reset, step = compiled("native", task)
    start, ctrl = standing(task), actions(load_model(task).nu, 100)
    sim, _ = jax.lax.scan(lambda s, c: (step(s, c), None), reset(start), ctrl)
    model = load_model(task)
    for world in range(2):
        data = mujoco.MjData(model)
        data.qpos[:], data.qvel[:] = start.qpos[world], start.qvel[world]
        for control in np.asarray(ctrl[:, world]):
            data.ctrl[:] = control
            mujoco.mj_step(model, data, nstep=engine.n_substeps)
        np.testing.assert_array_equal(sim.physics.qpos[world], data.qpos.astype(np.float32))


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["mjx", "warp"])
@pytest.mark.parametrize("task", BODIES, **ids)
def test_a_control_step_in_contact_agrees_with_native(task, engine):
    # The tolerance of the hopper's test, for the same reason: see tests/envs/test_engines.py.
    start, ctrl, results = standing(task), actions(load_model(task).nu, 1)[0], []
    for name in ("native", engine):
        _, reset, step = compiled(name, task)
        results.append(step(reset(start), ctrl).physics)
    ours, native = results[1], results[0]
    change = float(jnp.abs(native.qvel - start.qvel).max())
    assert float(jnp.abs(ours.qvel - native.qvel).max()) < EPS**0.5 * change
    tolerance = EPS**0.5 * change * task.ctrl_dt + 8 * EPS
    assert float(jnp.abs(ours.qpos - native.qpos).max()) < tolerance


def test_the_stiff_variants_are_the_same_bodies_on_harder_contacts():
    for task in BODIES:
        soft, hard = (
            envs.make(type(task).__name__.lower() + end, engine="native") for end in ("", "-stiff")
        )
        assert (soft.engine.model.geom_solref[:, 0] == 0.02).all()
        assert (hard.engine.model.geom_solref[:, 0] == 0.005).all()
        np.testing.assert_array_equal(soft.engine.model.body_mass, hard.engine.model.body_mass)
        assert hard.task.sim_dt == soft.task.sim_dt / 2


def test_a_contact_that_mujoco_would_soften_is_refused():
    with pytest.raises(
        ValueError, match=r"contact_time=0.005 is below .* lower sim_dt, to 0.00238"
    ):
        envs.make("ant", engine="native", contact_time=0.005)
    with pytest.raises(ValueError, match=r"contact_time=0 is out of range; it must be above 0"):
        envs.make("hopper", engine="native", contact_time=0)


@pytest.mark.parametrize("name", ["ant", "anymal", "humanoid", "muscle-humanoid"])
def test_no_start_is_in_the_floor_or_beyond_a_limit(name):
    """By C MuJoCo's collisions: half a centimetre, where noise alone gave up to seven."""
    if name.startswith("muscle"):
        pytest.importorskip("myo_sim")
    task = envs.make(name, engine="native").task
    model = load_model(task)
    starts = jax.jit(jax.vmap(task.initial))(jax.random.split(jax.random.key(1), 300))
    data, low, high = mujoco.MjData(model), *model.jnt_range[1:].T
    deepest = 0.0
    for qpos in np.asarray(starts.qpos, float):
        data.qpos[:] = qpos
        mujoco.mj_fwdPosition(model, data)
        deepest = min(deepest, data.contact.dist.min(initial=0.0))
        assert (qpos[7:] > low - 1e-6).all()
        assert (qpos[7:] < high + 1e-6).all()
    assert deepest > -0.005


@pytest.mark.parametrize("name", ["hopper", "ant"])
def test_the_remedy_for_too_stiff_contacts_works(name):
    with pytest.raises(ValueError, match=r"lower sim_dt, to \S+$") as refused:
        envs.make(name, engine="native", contact_time=0.004)
    sim_dt = float(str(refused.value).split()[-1])
    model = envs.make(name, engine="native", contact_time=0.004, sim_dt=sim_dt).engine.model
    assert (model.pair_solref[:, 0] == 0.004).all()
    assert (model.opt.timestep, sim_dt <= 0.002) == (sim_dt, True)
