"""What is drawn: each episode's own body and goal, between two steps, and what the mouse drags."""

from types import SimpleNamespace
from typing import Any

import jax
import mjxwm_envs as envs
import numpy as np
import pytest

pytest.importorskip("mjviser", reason="the extra viewer is not installed")

from mjxwm.reports.viewer import server
from mjxwm.reports.viewer.stage import Forces, Stage, travels


@pytest.fixture(scope="module")
def page():
    opened = server.serve("127.0.0.1", 0, "stage")
    yield opened
    server.close(opened)


def scene_of(env, seed):
    initial = jax.jit(env.initial)(jax.random.key(seed))
    return env.scene(initial.fields, initial.goal)


def test_bodies_of_episodes_that_differ_are_drawn_as_they_are(page):
    sizes = envs.Randomisation(mass=(0.5, 2.0), gravity=(0.5, 2.0))
    env = envs.as_env(envs.make("hopper", engine="native", randomise=sizes))
    first, second = (scene_of(env, seed).model for seed in (0, 1))
    assert not np.array_equal(first.body_mass, second.body_mass)
    stage = Stage(page, scene_of(env, 0))
    stage.show(scene_of(env, 1))
    np.testing.assert_array_equal(stage.mj_model.body_mass, second.body_mass)
    np.testing.assert_array_equal(stage.mj_model.opt.gravity, second.opt.gravity)


def test_a_goal_is_drawn_and_moves_with_the_episode(page):
    env = envs.as_env(envs.make("fish-swim", engine="native"))
    first, second = scene_of(env, 0), scene_of(env, 1)
    stage = Stage(page, first)
    before = stage.mj_model.geom_pos.copy(), len(stage._markers)
    stage.show(second)
    moved = not np.array_equal(before[0], stage.mj_model.geom_pos)
    assert moved or len(second.markers) == len(stage._markers) > 0


def test_the_pose_is_between_two_steps_and_the_camera_goes_along(page):
    env = envs.as_env(envs.make("ant", engine="native"))
    stage = Stage(page, scene_of(env, 0))
    before = np.array(jax.jit(env.initial)(jax.random.key(0)).qpos, float)
    after = before.copy()
    after[0] += 1.0
    model = stage.mj_model
    forces = Forces(np.zeros(model.nv), np.zeros(model.na), np.zeros(model.nu))
    stage.pose(before, after, 0.25, forces)
    assert stage.mj_data.qpos[0] == pytest.approx(before[0] + 0.25)
    np.testing.assert_allclose(stage.offset[:2], -stage.mj_data.qpos[:2], atol=1e-6)
    assert stage.offset[2] == 0
    stage.follow = False
    stage.pose(before, after, 1.0)
    assert stage.mj_data.qpos[0] == pytest.approx(after[0])
    assert not stage.offset.any()


def test_a_drag_keeps_its_grip_on_the_body(page):
    env = envs.as_env(envs.make("ant", engine="native"))
    stage = Stage(page, scene_of(env, 0))
    qpos = np.array(jax.jit(env.initial)(jax.random.key(0)).qpos, float)
    stage.pose(qpos, qpos, 1.0)
    torso = 1
    grip = stage.mj_data.xpos[torso] + stage.offset + (0.0, 0.0, 0.1)
    drag: Any = stage._dragged(np.array([torso]))

    def event(phase, end):
        return SimpleNamespace(
            phase=phase, instance_index=0, start_position=tuple(grip), end_position=end
        )

    drag(event("start", (1.0, 0.0, 1.0)))
    first = stage.pull
    assert first is not None
    drag(event("update", (2.0, 0.0, 1.0)))
    assert stage.pull is not None
    np.testing.assert_array_equal(stage.pull.grip, first.grip)
    np.testing.assert_allclose(np.linalg.norm(first.grip), 0.1, rtol=1e-5)
    np.testing.assert_array_equal(stage.pull.target, (2.0, 0.0, 1.0))
    drag(event("end", (2.0, 0.0, 1.0)))
    assert stage.pull is None


@pytest.mark.parametrize(
    ("task", "leaves"), [("ant", True), ("hopper", True), ("cartpole-swingup", False)]
)
def test_the_camera_follows_what_can_leave_the_picture(task, leaves):
    assert travels(envs.as_env(envs.make(task, engine="native")).engine.model) == leaves
