"""The walking task of the 152 muscles: a stance that is held, its actions, reward and ends."""

import dataclasses

import jax
import jax.numpy as jnp
import mjxwm_envs as envs
import mujoco
import numpy as np
import pytest
from mjxwm_envs.core import Physics
from mjxwm_envs.env import load_model
from mjxwm_envs.tasks.locomotion import muscle_body
from mjxwm_envs.tasks.locomotion.muscle_body import poses
from mjxwm_envs.tasks.locomotion.muscle_walk import TASKS, MuscleWalk

pytest.importorskip("myo_sim")
each = pytest.mark.parametrize("name", TASKS)
direct = pytest.mark.parametrize("name", ["muscle-humanoid-walk", "muscle-humanoid-walk-legs"])
_FEET = [f"{part}{i}_{side}" for side in "rl" for part, i in
         (("foot_col", 1), ("foot_col", 3), ("bofoot_col", 1), ("bofoot_col", 2))]  # fmt: skip


def standing(name: str) -> tuple[mujoco.MjModel, mujoco.MjData]:
    model = load_model(TASKS[name]())
    return model, _placed(model)


@each
def test_the_stance_is_on_both_feet_with_the_centre_of_mass_over_them(name):
    model, data = standing(name)
    touching = {model.geom(g).name for g in data.contact.geom.ravel()} - {"floor"}
    assert touching <= set(_FEET)
    assert {name[-1] for name in touching} == {"r", "l"}
    ankles = [data.xpos[model.body(f"leg/talus_{side}").id, 0] for side in "rl"]
    assert data.subtree_com[0, 0] - np.mean(ankles) == pytest.approx(0.05, abs=0.002)
    assert data.subtree_com[0, 1] == pytest.approx(0, abs=0.002)
    np.testing.assert_array_equal(data.qpos[3:7], [1, 0, 0, 0])


@direct
def test_activations_of_the_direct_law_hold_the_stance_in_equilibrium(name):
    model, data = standing(name)
    # Muscles that are relaxed let every joint go at some hundred rad/s^2.
    assert np.abs(data.qacc).max() < 2
    assert 0 <= data.ctrl.min() <= data.ctrl.max() < 0.8
    start = data.qpos.copy()
    mujoco.mj_step(model, data, nstep=60)  # 0.25 s
    assert np.abs(data.qpos - start).max() < 0.02
    data.ctrl[:] = 0
    mujoco.mj_step(model, data, nstep=60)
    assert np.abs(data.qpos - start).max() > 0.05


@direct
def test_stiff_muscles_hold_the_same_stance_for_longer(name):
    """The ankles are about as stiff as would balance the weight if all else were rigid."""
    model, data = standing(name)
    slack = load_model(dataclasses.replace(TASKS[name](), stiffness=0.0))
    np.testing.assert_array_equal(model.key_ctrl, slack.key_ctrl)
    np.testing.assert_allclose(data.qacc, _placed(slack).qacc, atol=1e-6)
    moment = np.zeros((model.nu, model.nv))
    mujoco.mju_sparse2dense(
        moment, data.actuator_moment.ravel(), data.moment_rownnz, data.moment_rowadr,
        data.moment_colind.ravel(),
    )  # fmt: skip
    ankles = [model.joint(f"leg/ankle_angle_{side}").dofadr[0] for side in "rl"]
    spring = -(moment[:, ankles] ** 2 * model.actuator_biasprm[:, 1:2]).sum()
    height = data.subtree_com[0, 2] - data.xpos[model.body("leg/talus_r").id, 2]
    assert 0.8 < spring / (model.body_mass.sum() * 9.81 * height) < 1.4
    assert _steps_up(model) > 2 * _steps_up(slack)


def test_stiff_muscles_only_pull():
    model, data = standing("muscle-humanoid-walk")
    data.qpos[7:] += 0.5
    mujoco.mj_forward(model, data)
    assert data.actuator_force.max() <= 0


def _placed(model: mujoco.MjModel) -> mujoco.MjData:
    data = mujoco.MjData(model)
    mujoco.mj_resetDataKeyframe(model, data, 0)
    mujoco.mj_forward(model, data)
    return data


def _steps_up(model: mujoco.MjModel) -> int:
    """Control steps until the pelvis is below 0.7 m, at most 300, without feedback."""
    data = _placed(model)
    data.qvel[0] = 0.05
    for step in range(300):
        mujoco.mj_step(model, data, nstep=4)
        if data.qpos[2] < 0.7:
            return step
    return 300


def test_muscles_of_mujoco_hold_it_for_half_a_second():
    # A torque of the trunk is beyond them: length and speed take from their force.
    model, data = standing("muscle-humanoid-walk-muscle")
    np.testing.assert_array_equal(data.act, data.ctrl)
    mujoco.mj_step(model, data, nstep=120)
    assert data.qpos[2] > 0.85


def test_an_action_changes_the_stance_s_activations():
    env = envs.make("muscle-humanoid-walk", engine="native")
    assert isinstance(env, envs.Env)
    held = load_model(MuscleWalk()).key_ctrl[0]
    np.testing.assert_allclose(env.to_ctrl(jnp.zeros(152)), held, atol=1e-6)
    for action in (-1, -0.5, 0.1, 1):
        expected = np.clip(held + 0.5 * action, 0, 1)
        np.testing.assert_allclose(env.to_ctrl(jnp.full(152, action)), expected, atol=1e-6)


def test_noise_in_actions_does_not_change_the_mean_tension(key):
    """Equal slopes: what a policy learns under noise holds for its mean, too."""
    env = envs.make("muscle-humanoid-walk", engine="native")
    assert isinstance(env, envs.Env)
    held = load_model(MuscleWalk()).key_ctrl[0]
    actions = jnp.tanh(0.2 * jax.random.normal(key, (4000, 152)))
    mean = jax.jit(jax.vmap(env.to_ctrl))(actions).mean(axis=0)
    inside = (held > 0.2) & (held < 0.8)
    assert inside.sum() > 76
    np.testing.assert_allclose(mean[inside], held[inside], atol=0.01)


@each
def test_starts_are_near_the_stance_with_its_activations_and_above_the_floor(name, key):
    task, model = TASKS[name](), load_model(TASKS[name]())
    starts = jax.jit(jax.vmap(task.initial))(jax.random.split(key, 100))
    moved = np.abs(starts.qpos - model.key_qpos[0])
    assert 0.01 < moved[:, 7:].max() < 0.0201  # a tenth of 0.2 rad
    assert 0.02 < np.abs(starts.qvel).max() < 0.0251
    np.testing.assert_allclose(starts.act, np.tile(model.key_act[0], (100, 1)), rtol=1e-6)
    data = mujoco.MjData(model)
    for qpos in starts.qpos[:20]:
        data.qpos[:] = qpos
        mujoco.mj_kinematics(model, data)
        assert poses.lowest(model, data) > -0.001


def physics(task, quat=(1, 0, 0, 0), height=0.93, linear=(0, 0, 0), x=0.0, time=0.0) -> Physics:
    model = load_model(task)
    stance = jnp.asarray(model.key_qpos[0])
    qpos = jnp.concatenate([jnp.array([x, 0, height, *quat], float), stance[7:]])
    qvel = jnp.concatenate([jnp.array(linear, float), jnp.zeros(model.nv - 3)])
    return Physics(jnp.asarray(time), qpos, qvel, jnp.zeros(model.na), jnp.zeros(152), {})


def test_the_reward_is_the_sum_of_its_hand_computed_terms():
    task = MuscleWalk(up_weight=0.5, speed=2.0, speed_weight=3.0, bend=0.5, effort=0.2)
    # Yawed by 60 degrees; walking backwards at a quarter of the speed; the spine bent by 0.1 rad.
    yawed = np.cos(np.pi / 6), 0, 0, np.sin(np.pi / 6)
    state = physics(task, yawed, linear=(-0.5, 9, 9), time=3.0)
    state = state._replace(qpos=state.qpos.at[21:].add(jnp.array([0.1, 0, 0])))
    reward, terms = task.reward(state, jnp.ones(152), state)
    held = load_model(task).key_ctrl[0]
    effort = -0.2 * np.mean((np.minimum(held + 0.5, 1) - held) ** 2)
    expected = {"up": 0.5, "speed": -0.75, "heading": 0.1, "bend": -0.005, "effort": effort}
    assert terms == {k: pytest.approx(v, abs=1e-6) for k, v in expected.items()}
    assert reward == pytest.approx(sum(expected.values()), abs=1e-6)
    for time, expected in ((0.0, 0), (0.5, 0.75), (2.0, 3), (9.0, 3)):
        fast = physics(task, linear=(50, 0, 0), time=time)
        assert task.reward(state, jnp.ones(152), fast)[1]["speed"] == pytest.approx(expected)
    still = task.reward(state, jnp.zeros(152), state)[1]
    assert still["effort"] == pytest.approx(0, abs=1e-9)


def test_starts_move_ahead_by_up_to_the_start_speed(key):
    keys = jax.random.split(key, 64)
    still = jax.vmap(MuscleWalk().initial)(keys)
    moving = jax.vmap(MuscleWalk(start_speed=0.6).initial)(keys)
    ahead = moving.qvel - still.qvel
    assert (ahead[:, 0] >= 0).all()
    assert (ahead[:, 0] <= 0.6).all()
    assert ahead[:, 0].mean() == pytest.approx(0.3, abs=0.1)
    np.testing.assert_array_equal(ahead[:, 1:], 0)
    np.testing.assert_array_equal(moving.qpos, still.qpos)


def test_an_evaluation_is_told_distance_and_time():
    task = MuscleWalk()
    assert task.measure(physics(task, x=1.5, time=4.0)) == {"distance": 1.5, "upright": 4.0}


def test_a_fall_is_a_low_or_a_tilted_pelvis():
    task = MuscleWalk()
    assert not task.terminated(physics(task))
    assert task.terminated(physics(task, height=0.69))
    for angle, fallen in ((0.7, False), (0.85, True)):
        for axis in ((1, 0, 0), (0, 1, 0)):
            quat = (np.cos(angle / 2), *np.sin(angle / 2) * np.array(axis))
            assert bool(task.terminated(physics(task, quat))) == fallen


@pytest.mark.parametrize(
    ("x", "time", "solved"), [(2.1, 5.0, True), (1.9, 9.0, False), (2.1, 4.9, False)]
)
def test_success_is_two_metres_and_five_seconds(x, time, solved):
    task = MuscleWalk()
    assert bool(task.success(physics(task, x=x, time=time))) == solved


def test_the_unreduced_body_has_no_stance():
    with pytest.raises(ValueError, match="body='full' is unknown; choose one of direct, muscle"):
        muscle_body.standing("full")
