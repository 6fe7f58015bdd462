"""Collection and evaluation are closed loop, and count the first end of an episode only."""

import jax
import jax.numpy as jnp
import mjxwm_envs as envs
import numpy as np
import pytest

from mjxwm.data import rollout
from mjxwm.runs.evaluate import evaluate


@pytest.fixture(scope="module")
def env():
    return envs.make("hopper", engine="native", episode_length=12)


def test_each_action_is_of_the_observation_it_follows(env, key):
    worlds = envs.BatchEnv(env, 3)

    @jax.jit
    def run(key):
        def policy(obs, noise):
            return jnp.tanh(obs[:, :3])

        return rollout.unroll(worlds, policy, worlds.reset(key), jnp.zeros(15))

    after, trajectory, _ = run(key)
    np.testing.assert_array_equal(trajectory.action, jnp.tanh(trajectory.obs[..., :3]))
    ended = trajectory.terminated | trajectory.truncated
    assert ended.any()
    # Where the episode goes on, what a step led to is what the policy sees next.
    going_on = ~ended[:-1]
    np.testing.assert_array_equal(trajectory.next_obs[:-1][going_on], trajectory.obs[1:][going_on])
    assert (trajectory.next_obs[:-1][~going_on] != trajectory.obs[1:][~going_on]).any()
    np.testing.assert_array_equal(after.obs[~ended[-1]], trajectory.next_obs[-1][~ended[-1]])


def test_metrics_count_episodes_that_ended(env, key):
    worlds = envs.BatchEnv(env, 4)

    @jax.jit
    def run(key):
        def policy(obs, noise):
            return jnp.zeros((4, 3))

        return rollout.unroll(worlds, policy, worlds.reset(key), jnp.zeros(24))[1:]

    trajectory, metrics = run(key)
    assert metrics["episodes"] == 8  # two whole episodes of 12 steps in each of 4 worlds
    assert metrics["length_sum"] == 8 * 12
    assert metrics["diverged"] == 0
    np.testing.assert_allclose(metrics["return_sum"], trajectory.reward.sum(), rtol=1e-5)
    terms = sum(metrics[f"reward_{n}"] for n in ("forward", "height", "upright", "effort"))
    np.testing.assert_allclose(terms, metrics["reward"], rtol=1e-5)


def test_evaluation_stops_at_the_first_end(key):
    env = envs.make("hopper", engine="native", episode_length=200)

    def collapse(obs):
        return jnp.tile(jnp.array([-1.0, -1.0, 0.0]), (obs.shape[0], 1))

    result = jax.jit(lambda key: evaluate(env, collapse, key, 5))(key)
    assert (result.length < 200).all()
    assert (result.length > 1).all()
    # The first world's positions stand still after its end.
    end = int(result.length[0])
    np.testing.assert_array_equal(result.qpos[end:], jnp.tile(result.qpos[-1], (201 - end, 1)))
    assert (result.qpos[: end - 1] != result.qpos[1:end]).any(axis=1).all()
