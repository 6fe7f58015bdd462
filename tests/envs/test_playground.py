"""Playground's environments as worlds of ours: true resets, kept observations, clear messages."""

import subprocess

import jax
import jax.numpy as jnp
import mjxwm_envs as envs
import numpy as np
import pytest
from mjxwm_envs.adapters import playground_loading

pytest.importorskip("mujoco_playground")
B, T = 8, 12
NAME = "playground/PendulumSwingup"


def unrolled(env, key):
    batch = env.batch(B)
    actions = jax.random.uniform(key, (T, B, env.action_size), minval=-1, maxval=1)

    @jax.jit
    def run(key):
        first = batch.reset(key)
        return first, jax.lax.scan(batch.step, first, actions), actions

    return run(key)


@pytest.fixture(scope="module")
def pendulum():
    env = envs.make(NAME, engine="mjx", episode_length=5)
    return env, unrolled(env, jax.random.key(0))


def test_an_episode_is_playground_s_own(pendulum):
    env, (first, (_, step), actions) = pendulum
    state = jax.tree.map(lambda x: x[0], first.state.sim.hidden)
    own = jax.jit(env.env.step)
    for t in range(5):
        state = own(state, actions[t, 0])
        np.testing.assert_allclose(step.next_obs[t, 0], state.obs, atol=1e-6)
        np.testing.assert_allclose(step.reward[t, 0], state.reward, atol=1e-6)


def test_every_episode_starts_anew_and_the_last_observation_is_kept(pendulum):
    _, (first, (worlds, step), _) = pendulum
    np.testing.assert_array_equal(step.truncated.all(axis=1), np.arange(T) % 5 == 4)
    assert step.valid.all()
    assert not step.terminated.any()
    # At 0.02 s a step the pendulum moves little, and to another start it is far.
    moved = np.linalg.norm(np.diff(np.asarray(step.next_obs)[:, :, :2], axis=0), axis=-1)
    assert moved[3].mean() < 0.3 < moved[4].mean()
    firsts = np.asarray(first.obs[:, :2])
    assert (np.linalg.norm(np.asarray(worlds.obs)[:, :2] - firsts, axis=1) > 1e-3).all()
    assert len(np.unique(np.asarray(worlds.obs)[:, 0])) == B


def test_sizes_and_times(pendulum):
    env, _ = pendulum
    spec = env.spec
    assert (spec.name, spec.engine, spec.obs_size, spec.action_size) == (NAME, "mjx", 3, 1)
    assert (spec.ctrl_dt, spec.sim_dt, spec.n_substeps) == (0.02, 0.01, 2)
    assert not spec.differentiable
    assert envs.make(NAME, engine="mjx", action_repeat=4).spec.episode_length == 250


def test_action_repeat_adds_rewards_up():
    env = envs.make(NAME, engine="mjx", action_repeat=2)
    state = jax.jit(env.reset)(jax.random.key(1))
    after = jax.jit(env.step)(state, jnp.ones(1))
    inner, total = state.sim.hidden, 0.0
    for _ in range(2):
        inner = jax.jit(env.env.step)(inner, jnp.ones(1))
        total += inner.reward
    np.testing.assert_allclose(after.obs, inner.obs, atol=1e-6)
    np.testing.assert_allclose(after.reward, total, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("worlds", [B, 3 * B])
def test_on_warp_worlds_end_and_restart_each_for_itself(worlds):
    env = envs.make("playground/HopperHop", engine="warp", episode_length=6)
    batch = env.batch(worlds)
    start = jax.jit(batch.reset)(jax.random.key(0))
    start = start._replace(clock=jnp.arange(worlds) % 6)
    step = jax.jit(batch.step)
    for _ in range(12):
        start, result = step(start, jnp.zeros((worlds, 4)))
        assert result.valid.all()
        assert jnp.isfinite(start.obs).all()
    assert len(np.unique(np.asarray(start.state.sim.physics.qpos)[:, 2])) == worlds


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("playground/CheetaRun", {}, "did you mean 'CheetahRun'"),
        (NAME, {"engine": "native"}, "use 'mjx' or 'warp'"),
        (NAME, {"episode_lenth": 3}, "did you mean 'episode_length'"),
    ],
)
def test_what_there_is_not_is_said(name, options, message):
    with pytest.raises(ValueError, match=message):
        envs.make(name, **options)


def test_a_download_that_fails_is_explained(monkeypatch):
    from mujoco_playground._src import mjx_env

    tries = []

    def offline():
        tries.append(1)
        raise subprocess.CalledProcessError(128, ["git", "clone"])

    monkeypatch.setattr(mjx_env, "ensure_menagerie_exists", offline)
    playground_loading.not_downloaded.cache_clear()
    for name in ("Go1Handstand", "PandaPickCube"):
        with pytest.raises(ValueError, match="mujoco_menagerie"):
            _ = envs.make(f"playground/{name}", engine="mjx").spec
    playground_loading.not_downloaded.cache_clear()
    assert len(tries) == 1, "it takes long each time"
