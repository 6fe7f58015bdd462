"""Meta-World by TD-MPC2's protocol; ManiSkill where it can be used, and what is said where not."""

import builtins

import jax
import jax.numpy as jnp
import mjxwm_envs as envs
import numpy as np
import pytest
from mjxwm_envs.adapters import metaworld

pytest.importorskip("metaworld")
B = 2


def test_an_episode_is_a_hundred_actions_of_two_steps_with_a_goal_of_its_own():
    env = envs.make("mw-reach")
    assert (env.spec.obs_size, env.spec.action_size, env.spec.episode_length) == (39, 4, 100)
    batch = env.batch(B)

    @jax.jit
    def run(key):
        actions = jax.random.uniform(key, (101, B, 4), minval=-1, maxval=1)
        worlds = batch.reset(key)
        return worlds, jax.lax.scan(batch.step, worlds, actions)

    first, (later, step) = jax.block_until_ready(run(jax.random.key(0)))
    np.testing.assert_array_equal(step.truncated[:, 0], np.arange(101) == 99)
    assert step.valid.all()
    assert not step.terminated.any()
    assert step.success is not None
    assert 0 <= float(step.reward.min()) <= float(step.reward.max()) <= 20  # two of 10
    goals = [np.asarray(w.obs[:, -3:]) for w in (first, later)]
    assert (goals[0][0] != goals[0][1]).any()
    assert (goals[0] != goals[1]).any(axis=1).all()
    np.testing.assert_array_equal(run(jax.random.key(0))[1][1].reward, step.reward)
    assert env.failures() == []


@pytest.mark.parametrize("task", ["reach", "drawer-close"])
def test_meta_world_s_own_policies_solve_its_tasks(task):
    from metaworld import policies

    name = "".join(word.capitalize() for word in task.split("-"))
    policy = getattr(policies, f"Sawyer{name}V3Policy")()
    metaworld.names()
    env = metaworld._env(f"{task}-v3")
    obs, _ = env.reset(seed=0)
    solved = False
    for _ in range(200):
        obs, _, _, _, info = env.step(np.clip(policy.get_action(obs), -1, 1))
        solved = solved or bool(info["success"])
    assert solved


def test_all_fifty_have_tdmpc2_s_names():
    names = metaworld.names()
    assert len(names) == 50
    assert {"mw-pick-place-wall", "mw-shelf-place", "mw-hand-insert"} <= set(names)


@pytest.mark.parametrize("name", ["mw-rech", "metaworld/rech-v3"])
def test_a_task_that_it_has_not_is_said_with_the_nearest(name):
    with pytest.raises(ValueError, match="reach"):
        envs.make(name)


@pytest.mark.parametrize(
    ("module", "name", "remedy"),
    [
        ("mani_skill", "maniskill/PickCube-v1", "pip install mani_skill"),
        ("gymnasium", "gymnasium/HalfCheetah-v5", r"pip install 'mjxwm\[suites\]'"),
        ("metaworld", "mw-reach", r"pip install 'mjxwm\[suites\]'"),
        ("mujoco_playground", "playground/CheetahRun", r"pip install 'mjxwm\[playground\]'"),
    ],
)
def test_a_package_that_is_missing_is_named_with_the_remedy(monkeypatch, module, name, remedy):
    original = builtins.__import__

    def missing(wanted, *args, **kwargs):
        if wanted.split(".")[0] == module:
            raise ModuleNotFoundError(f"No module named {module!r}", name=module)
        return original(wanted, *args, **kwargs)

    metaworld._tasks.cache_clear()
    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(ValueError, match=remedy):
        envs.make(name)


def test_the_idle_step_after_a_reset_leaves_the_hand_where_it_is():
    env = metaworld._env("reach-v3")
    before, _ = env.reset(seed=1)
    after, *_ = env.step(np.zeros(4))
    assert np.linalg.norm(after[:3] - before[:3]) < 0.02
    batch = envs.make("mw-reach").batch(1)
    assert jnp.isfinite(jax.jit(batch.reset)(jax.random.key(0)).obs).all()
