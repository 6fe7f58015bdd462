"""Worlds that are looked at: the same as those of evaluations, and pushed exactly."""

from typing import Any

import jax
import jax.numpy as jnp
import mjxwm_envs as envs
import numpy as np
import pytest

from mjxwm import ConfigError
from mjxwm.algos import pwm
from mjxwm.models.actor_critic import Config as Policy
from mjxwm.models.world_model import Config as Model
from mjxwm.reports.viewer import opening
from mjxwm.reports.viewer.simulation import Simulation
from mjxwm.types import Sizes

CONFIG = pwm.Config(
    model=Model(latent=8, encoder=(4,), hidden=(4,)),
    policy=Policy((4,), (4,), critics=1),
    imagine_horizon=3,
)


@pytest.fixture(scope="module")
def simulation():
    env = envs.make("hopper", engine="native")
    agent = pwm.agent(CONFIG, Sizes.of(env.spec))
    return Simulation(env, agent, agent.init(jax.random.key(0)), worlds=2)


def test_steps_are_those_of_the_batch_and_the_policy(simulation):
    simulation.restart()
    worlds, batch = simulation.worlds, simulation.env.batch(2)
    for _ in range(3):
        action = simulation.agent.act(simulation.policy, worlds.obs)
        worlds, step = jax.jit(batch.step)(worlds, action)
        moment = simulation.step()
        np.testing.assert_allclose(moment.reward, step.reward, rtol=1e-5)
        np.testing.assert_allclose(moment.qpos, worlds.state.sim.physics.qpos, rtol=1e-5)
    assert moment.value.shape == moment.imagined.shape == (2,)
    assert simulation.horizon == 3


def test_a_kick_changes_the_velocity_of_one_world_by_as_much(simulation):
    simulation.restart()
    simulation.step()
    before = np.asarray(simulation.worlds.state.sim.physics.qvel)
    simulation.kick(1, np.array([2.0, 0.0, 0.0]))
    sim = simulation.worlds.state.sim
    change = np.asarray(sim.physics.qvel) - before
    np.testing.assert_array_equal(change[0], 0)
    np.testing.assert_allclose(change[1, 0], 2.0, rtol=1e-4)  # rootx, a slide
    nq = simulation.env.engine.model.nq
    rows = simulation.env.engine.rows(sim)  # what the engine steps from, in float64
    np.testing.assert_allclose(rows[:, 1 + nq : 2 + nq].ravel(), sim.physics.qvel[:, 0], rtol=1e-6)


def test_a_body_that_is_pulled_comes_nearer_whatever_the_time_step(simulation):
    simulation.restart()
    target = np.array([1.5, 0.0, 1.2])
    torso = 1
    for _ in range(60):
        simulation.pull(0, torso, np.zeros(3), target)
        simulation.step()
    moved, alone = simulation.positions[:, 0]
    assert abs(moved - target[0]) < 0.5
    assert abs(alone) < 0.5
    simulation.release()


def test_a_policy_of_other_sizes_is_not_taken_over(simulation):
    with pytest.raises(ConfigError, match="other sizes"):
        simulation.replace({"kernel": jnp.zeros(3)})
    simulation.replace(simulation.agent.init(jax.random.key(1)))


def test_what_cannot_be_drawn_is_refused():
    class Elsewhere:
        """A world without a MuJoCo model."""

        name, spec = "elsewhere", envs.make("cartpole-swingup").spec

        def batch(self, number):
            return envs.make("cartpole-swingup", engine="native").batch(number)

        def scene(self, fields, goal):
            return None

    elsewhere: Any = Elsewhere()
    task = opening.of_target("cartpole-swingup", None, {})
    arrays = task.policies.load("zero").arrays
    with pytest.raises(ConfigError, match="no body to draw"):
        Simulation(elsewhere, task.agent, arrays, 1)


@pytest.mark.parametrize(
    ("target", "policy", "words"),
    [
        ("antt", None, "neither a run's folder nor a task: .*did you mean 'ant'"),
        ("runs/nothing-of-that-name", None, "runs/nothing-of-that-name is not a run folder"),
        ("cartpole-swingup", "best", "policy 'best' is unknown.*random, zero"),
    ],
)
def test_what_is_not_there_is_refused_by_name(target, policy, words):
    with pytest.raises(ConfigError, match=words):
        opening.start(opening.of_target(target, None, {}), policy, 1, 0)
