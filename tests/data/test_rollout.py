"""Collection and evaluation are closed loop, and count the first end of an episode only."""

import dataclasses

import jax
import jax.numpy as jnp
import mjxwm_envs as envs
import numpy as np
import probes
import pytest
from mjxwm_envs.env import Env

from mjxwm.data import rollout
from mjxwm.runs.evaluate import evaluate
from mjxwm.runs.log import evaluation_row


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


@dataclasses.dataclass(frozen=True)
class Measured(probes.Probe):
    """A probe that says how late it is and what sign it has."""

    def measure(self, physics):
        return {"time": physics.time, "sign": physics.qpos[0]}


@pytest.mark.parametrize(("steps", "last", "ended"), [(2.0, 1.0, True), (9.0, 2.0, False)])
def test_evaluation_says_who_ended_early_and_what_the_task_measures(steps, last, ended, key):
    # An episode is cut after three steps; the state before its last one is the last that is seen.
    numbers = probes.ENDLESS._replace(steps=steps, sign=1.0)
    env = Env("probe", Measured(numbers=numbers), probes.Analytic())
    result = evaluate(env, lambda obs: jnp.zeros((len(obs), 1)), key, 4)
    assert result.ended is not None
    np.testing.assert_array_equal(result.ended, ended)
    np.testing.assert_array_equal(result.measures["time"], last)
    assert result.measures["sign"][0] == result.qpos[0, 0]
    row = evaluation_row(result)
    assert (row["eval/ended"], row["eval/time"]) == (ended, last)


def test_worlds_that_cannot_end_early_have_no_share_of_ends(key):
    env = envs.make("cartpole-swingup", engine="native", episode_length=3)
    result = evaluate(env, lambda obs: jnp.zeros((len(obs), 1)), key, 2)
    assert result.ended is None
    assert result.measures == {}
    assert "eval/ended" not in evaluation_row(result)
