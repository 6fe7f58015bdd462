"""MyoSuite's tasks: what they pay, when they end, what a muscle does with an action.

Agreement with MyoSuite itself is in test_myosuite_parity.py.
"""

import importlib.util
import subprocess
import sys
import types

import jax
import jax.numpy as jnp
import mjxwm_envs as envs
import mujoco
import numpy as np
import pytest
from mjxwm_envs.core import Physics
from mjxwm_envs.packages import compose
from mjxwm_envs.tasks.myosuite import TASKS, hold, models, muscles, pen, pose
from mjxwm_envs.tasks.myosuite import key as key_turn
from mjxwm_envs.tasks.myosuite.hold import HandHold
from mjxwm_envs.tasks.myosuite.key import HandKey
from mjxwm_envs.tasks.myosuite.pen import HandPen
from mjxwm_envs.tasks.myosuite.pose import HandPose
from mjxwm_envs.tasks.myosuite.reach import FingerReach, HandReach
from mjxwm_envs.tasks.myosuite.walk import LegWalk

PACKAGES = ("myo_sim", "myosuite")
needs_bodies = pytest.mark.skipif(
    not all(map(importlib.util.find_spec, PACKAGES)), reason="needs pip install 'mjxwm[muscles]'"
)
SIZES = {
    "myo-elbow-pose": (9, 6),
    "myo-finger-pose": (17, 5),
    "myo-finger-reach": (19, 5),
    "myo-hand-reach": (115, 39),
    "myo-hand-pose": (108, 39),
    "myo-hand-obj-hold": (91, 39),
    "myo-hand-key-turn": (93, 39),
    "myo-hand-pen-twirl": (83, 39),
    "myo-leg-walk": (403, 80),
}


def physics(qpos=(), sensordata=(), goal=(), act=(0.0,), time=1.0):
    """A state in which only what is given matters."""
    qpos, sensordata, act = (jnp.array(x, float) for x in (qpos, sensordata, act))
    goal = jnp.array(goal, float) if len(goal) else ()
    derived = {"sensordata": sensordata}
    return Physics(jnp.array(time), qpos, jnp.zeros_like(qpos), act, act, derived, goal)


def terms(task, state):
    reward, named = task.reward(state, jnp.zeros(1), state)
    assert reward == pytest.approx(sum(float(x) for x in named.values()), rel=1e-6)
    return {k: pytest.approx(float(x), rel=1e-5, abs=1e-6) for k, x in named.items()}


def test_neither_package_is_loaded_until_a_body_is_needed():
    wanted = "{'myo_sim', 'myosuite', 'gymnasium'}"
    code = f"import mjxwm_envs, sys; print(*{wanted} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == []


@pytest.mark.parametrize(("name", "package"), [("myo-elbow-pose", 0), ("myo-key-turn", 1)])
def test_a_missing_package_is_named_with_the_way_to_get_it(monkeypatch, name, package):
    def find(module):
        return (
            None
            if module == PACKAGES[package]
            else types.SimpleNamespace(submodule_search_locations=["."])
        )

    monkeypatch.setattr(models.importlib.util, "find_spec", find)
    for body in (pose._elbow, key_turn._body):
        body.cache_clear()
    with pytest.raises(ValueError, match=rf"{PACKAGES[package]}.*pip install 'mjxwm\[muscles\]'"):
        envs.make(name, engine="native")


def test_reaching_pays_minus_the_distance_and_8_within_near():
    # One tip: near is 1.25 cm, so 1 cm pays both halves of the bonus and 2 cm one of them.
    for distance, bonus, solved in ((0.01, 8, True), (0.02, 4, False), (0.03, 0, False)):
        state = physics(sensordata=(distance, 0, 0), goal=(0.0, 0.0, 0.0))
        assert {"reach": -distance, "bonus": bonus, "penalty": 0} == terms(FingerReach(), state)
        assert FingerReach().success(state) == solved


def test_reaching_ends_far_away_from_the_second_step_on():
    # Five tips: far is 5 x 0.044 = 0.22 m of all together.
    far = {"sensordata": [0.3] + 14 * [0.0], "goal": 15 * [0.0]}
    for steps in range(4):
        # A clock that has summed float32 steps is not exact.
        state = physics(**far, time=0.02 * steps * (1 - 1e-6))
        assert HandReach().terminated(state) == (steps >= 2)
        assert terms(HandReach(), state)["penalty"] == (-50 if steps >= 2 else 0)
    assert not HandReach(terminates=False).terminated(state)
    assert not HandReach(far=0.075).terminated(state)


def test_a_pose_is_solved_within_its_threshold_and_effort_costs():
    state = physics(qpos=(3 * [0.3]), goal=(3 * [0.0]), act=(0.6, 0.8))
    d = np.sqrt(3) * 0.3
    expected = {"pose": -d, "bonus": 8, "act_reg": -0.5, "penalty": 0}
    assert expected == terms(HandPose(), state)
    assert HandPose().success(state)
    assert not HandPose(near=0.5).success(state)


def test_a_held_object_pays_near_its_goal_and_costs_when_dropped():
    for height, bonus, penalty in ((0.005, 8, 0), (0.015, 4, 0), (0.31, 0, -10)):
        state = physics(sensordata=(0, 0, height), goal=(0.0, 0.0, 0.0))
        expected = {"goal_dist": -100 * height, "bonus": bonus, "penalty": penalty}
        assert expected == terms(HandHold(), state)
        assert HandHold().terminated(state) == (penalty < 0)


def test_fingers_belong_3_cm_from_the_middle_of_the_key():
    # Head at the origin, index finger on it, thumb 8 cm too far: beyond 5 cm it costs.
    state = physics(qpos=(0, 2.0), sensordata=(0, 0, 0, 0.03, 0, 0, 0, 0.11, 0), act=(1.0, 0.0))
    expected = {
        "key_turn": 2,
        "IFtip_approach": 0,
        "THtip_approach": -0.8,
        "act_reg": -0.5,
        "bonus": 4,
        "penalty": -25,
    }
    assert expected == terms(HandKey(), state)
    assert not HandKey().terminated(state)
    assert HandKey(angle=1.9).success(state)
    assert not HandKey().success(state)


def test_a_pen_in_the_goal_direction_pays_60_unless_dropped():
    top, bottom = np.array([0, 0, 0.065]), np.array([0, 0, -0.065])
    for drop, bonus in ((0.07, 60), (0.08, 0)):
        place = np.array([-0.23, -0.53, 1.445 - drop])
        sensors = np.concatenate([place + top, place + bottom, place])
        state = physics(sensordata=sensors, goal=(0.0, 0.0, 1.0), act=(1.0, 0.0))
        expected = {
            "pos_align": -drop,
            "rot_align": 1,
            "act_reg": -2.5,
            "drop": 0 if bonus else -5,
            "bonus": bonus,
        }
        assert expected == terms(HandPen(), state)
        assert HandPen().success(state) == (bonus > 0)


def test_a_pens_goal_is_its_z_axis_turned_about_x_then_about_the_new_y():
    for x, y in ((0.3, -0.8), (-1.0, 0.5)):
        goal, quat = pen.direction(jnp.array(x), jnp.array(y))
        expected, turned = np.zeros(4), np.zeros(3)
        mujoco.mju_euler2Quat(expected, np.array([x, y, 0]), "xyz")
        mujoco.mju_rotVecQuat(turned, np.array([0, 0, 1.0]), expected)
        np.testing.assert_allclose(quat, expected, atol=1e-6)
        np.testing.assert_allclose(goal, turned, atol=1e-6)


def test_muscle_forces_are_mujocos():
    # Lengths and velocities in every branch of the curves, muscles of both kinds of strength.
    random, n = np.random.default_rng(0), 400
    prm = np.tile([0.75, 1.05, -1, 200, 0.5, 1.6, 1.5, 1.3, 1.2], (n, 1))
    prm[::2, 2] = 300
    model = types.SimpleNamespace(
        actuator_gainprm=prm,
        actuator_biasprm=prm,
        actuator_lengthrange=np.tile([0.2, 0.3], (n, 1)),
        actuator_acc0=random.uniform(1, 50, n),
    )
    length, velocity = random.uniform(0.05, 0.6, n), random.uniform(-1, 1, n)
    act = random.uniform(0, 1, n)
    with jax.enable_x64(True):
        ours = muscles.force(model, *map(jnp.array, (length, velocity, act)))
    for i in range(n):
        fixed = model.actuator_lengthrange[i][:, None], model.actuator_acc0[i], prm[i][:, None]
        gain = mujoco.mju_muscleGain(length[i], velocity[i], *fixed)
        expected = gain * act[i] + mujoco.mju_muscleBias(length[i], *fixed)
        assert ours[i] == pytest.approx(expected, rel=1e-12, abs=1e-9)


@needs_bodies
@pytest.mark.parametrize("name", ["myo-elbow-pose", "myo-hand-pose", "myo-leg-walk"])
def test_actions_become_excitations_between_0_and_1(name):
    env = envs.make(name, engine="native")
    low = env.engine.model.actuator_ctrlrange[0, 0]  # 0.001 for the elbow
    for a in (-1.0, -0.2, 0.0, 0.5, 1.0):
        expected = (a + 1) / 2 if name == "myo-leg-walk" else 1 / (1 + np.exp(-5 * (a - 0.5)))
        ctrl = env.to_ctrl(jnp.full(env.action_size, a))
        np.testing.assert_allclose(ctrl, max(expected, low), atol=1e-6)


@needs_bodies
@pytest.mark.parametrize("name", SIZES)
def test_sizes_and_a_first_step(name, key):
    env = envs.make(name, engine="native")
    assert (env.spec.obs_size, env.spec.action_size) == SIZES[name]
    state = env.step(env.reset(key), jnp.zeros(env.action_size))
    assert np.isfinite(state.obs).all()
    assert np.isfinite(state.reward)


@needs_bodies
def test_models_are_compiled_once_and_each_environment_has_its_own():
    first, second = (envs.make("myo-elbow-pose", engine="native") for _ in range(2))
    assert first.task.body() is second.task.body()
    assert first.engine.model is not second.engine.model
    assert not first.task.body().opt.disableflags  # what an environment changes is its copy's


@needs_bodies
def test_an_object_of_another_size_is_what_the_compiler_makes_of_it(key):
    env = envs.make("myo-hand-obj-hold-random", engine="native")
    size = jnp.array([0.021, 0.029, 0.024])
    text = "{} {} {}".format(*hold._SIZE)
    compiled = models.hand_with(hold._OBJECT.replace(text, "0.021 0.029 0.024")).compile()
    for field, values in hold.sized(env.engine.model, size).items():
        expected = getattr(compiled, field).reshape(values.shape)
        np.testing.assert_allclose(values, expected, atol=1e-7, err_msg=field)
    # So small an object has the least inertia that the model allows, whatever its size.
    body = compiled.body("object").id
    np.testing.assert_allclose(compiled.body_inertia[body], env.engine.model.body_inertia[body])
    drawn = jax.vmap(env.task.initial)(jax.random.split(key, 500)).fields["geom_size"][:, -1]
    np.testing.assert_allclose([drawn.min(), drawn.max()], [0.02, 0.03], atol=1e-4)


@needs_bodies
def test_walkers_forces_are_those_of_the_new_state():
    # MuJoCo leaves actuator_force at the start of its last step.
    env = envs.make("myo-leg-walk", engine="native")
    model, data = env.engine.model, mujoco.MjData(env.engine.model)
    mujoco.mj_resetDataKeyframe(model, data, 2)
    data.act[:] = np.linspace(0, 1, model.na)
    mujoco.mj_forward(model, data)
    inputs = data.actuator_length, data.actuator_velocity, data.act
    with jax.enable_x64(True):
        ours = muscles.force(model, *map(jnp.array, inputs))
    np.testing.assert_allclose(ours, data.actuator_force, rtol=1e-9, atol=1e-9)


def test_the_phase_of_a_stride_comes_from_an_inexact_clock():
    clock = np.float32(0)
    for substep in range(2 * 1000):
        if substep % 10 == 0:
            phase = LegWalk()._phase(physics(time=float(clock)))
            assert phase == pytest.approx(substep // 10 % 100 / 100, abs=1e-6)
        clock += np.float32(0.001)


def test_the_names_of_tdmpc2_never_end_and_last_100_steps():
    for word in ("reach", "pose", "obj-hold", "key-turn", "pen-twirl"):
        for ending, other in (("", ""), ("-hard", "-random")):
            task, full = TASKS[f"myo-{word}{ending}"](), TASKS[f"myo-hand-{word}{other}"]()
            assert type(task) is type(full)
            assert (task.terminates, task.episode_length) == (False, 100)
            assert task.random == full.random == bool(ending)
            assert full.terminates


@needs_bodies
def test_what_mjx_lacks_is_refused_and_what_it_does_roughly_is_said():
    with pytest.raises(ValueError, match=r"ELLIPSOID.*BOX.*use engine='native'"):
        envs.make("myo-hand-key-turn", engine="mjx")
    with pytest.warns(UserWarning, match="only approximates contacts of capsule-ellipsoid"):
        envs.make("myo-hand-obj-hold", engine="mjx")


def test_a_package_of_another_version_that_does_not_compose_names_the_remedy():
    def broken():
        raise KeyError("hand")

    with pytest.raises(ValueError, match=r"pip install 'pytest==0\.1'"):
        compose(broken, {"pytest": "0.1"})
    with pytest.raises(KeyError):  # not the version's fault
        compose(broken, {"pytest": pytest.__version__})
