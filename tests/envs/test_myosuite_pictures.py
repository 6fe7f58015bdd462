"""What MyoSuite shows of a goal, pictures of our tasks show, too."""

import functools

import jax
import mjxwm_envs as envs
import mujoco
import numpy as np
import pytest

pytest.importorskip("myo_sim")


@functools.cache
def show(name):
    env = envs.make(name, "native")
    sim = env.reset(jax.random.key(3)).sim
    return env.task, sim, env.scene(sim.fields, sim.physics.goal)


def places(scene, tips):
    """Where the targets of `tips` are drawn: at a site of the model, or as markers."""
    if scene.markers:
        return np.array([marker.place for marker in scene.markers])
    return np.array([scene.model.site(f"{tip}_target").pos for tip in tips])


@pytest.mark.parametrize("name", ["myo-finger-reach-random", "myo-hand-reach-random"])
def test_reach_shows_its_targets(name):
    task, sim, scene = show(name)
    np.testing.assert_allclose(places(scene, task.tips).ravel(), sim.physics.goal, atol=1e-6)


@pytest.mark.parametrize("name", ["myo-elbow-pose-random", "myo-finger-pose", "myo-hand-pose"])
def test_pose_shows_where_the_tips_should_be(name):
    task, sim, scene = show(name)
    data = mujoco.MjData(scene.model)
    data.qpos[:] = sim.physics.goal
    mujoco.mj_forward(scene.model, data)
    expected = [data.site(tip).xpos for tip in task.tips]
    np.testing.assert_allclose(places(scene, task.tips), expected, atol=1e-6)


def test_hold_shows_the_object_s_own_size_at_the_goal():
    _, sim, scene = show("myo-hand-obj-hold-random")
    (marker,) = scene.markers
    np.testing.assert_allclose(marker.place, sim.physics.goal)
    np.testing.assert_allclose(scene.model.geom("object").size, marker.radius)
    nominal = envs.make("myo-hand-obj-hold", "native").engine.model.geom("object").size
    assert np.abs(marker.radius - nominal).max() > 1e-3


def test_pen_and_key_are_drawn_as_the_episode_has_them():
    _, sim, scene = show("myo-hand-pen-twirl-random")
    data = mujoco.MjData(scene.model)
    mujoco.mj_kinematics(scene.model, data)
    np.testing.assert_allclose(data.body("target").xmat[2::3], sim.physics.goal, atol=1e-6)
    task, sim, scene = show("myo-hand-key-turn-random")
    np.testing.assert_array_equal(scene.model.body_pos, sim.fields["body_pos"])
    assert np.abs(scene.model.body("key").pos - task.body().body("key").pos).max() > 1e-4
