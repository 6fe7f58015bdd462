"""The cartpole is dm_control's: start states, observations, rewards and physics."""

import jax
import jax.numpy as jnp
import mjxwm_envs as envs
import numpy as np
import pytest
from dm_control import suite
from mjxwm_envs import Initial

VARIANTS = {
    "cartpole-balance": "balance",
    "cartpole-balance-sparse": "balance_sparse",
    "cartpole-swingup": "swingup",
    "cartpole-swingup-sparse": "swingup_sparse",
}


@pytest.fixture(params=VARIANTS)
def pair(request):
    """Our environment and the suite's."""
    theirs = suite.load("cartpole", VARIANTS[request.param], task_kwargs={"random": 0})
    return envs.make(request.param, engine="native"), theirs


def start_theirs(theirs, qpos, qvel):
    theirs.reset()
    with theirs.physics.reset_context():
        theirs.physics.data.qpos[:], theirs.physics.data.qvel[:] = qpos, qvel


def observation(step):
    return np.concatenate([step.observation["position"], step.observation["velocity"]])


def start_ours(env, qpos, qvel):
    """The state of a world at given positions and velocities, as Env.reset makes it."""
    sim = env.engine.reset(Initial(qpos, qvel, jnp.zeros(0)))
    return env.reset(jax.random.key(0))._replace(sim=sim)


def test_fifty_random_transitions_give_the_same_observation_and_reward(pair):
    ours, theirs = pair
    rng = np.random.default_rng(0)
    spread = np.repeat([1.0, 0.05], 25)[:, None]  # half of them near the sparse reward's goal
    qpos = jnp.asarray(rng.uniform(-1, 1, (50, 2)) * [1.9, np.pi] * spread, jnp.float32)
    qvel = jnp.asarray(rng.uniform(-5, 5, (50, 2)) * spread, jnp.float32)
    actions = jnp.asarray(rng.uniform(-1, 1, (50, 1)), jnp.float32)

    @jax.jit
    @jax.vmap
    def transition(qpos, qvel, action):
        state = ours.step(start_ours(ours, qpos, qvel), action)
        return state.obs, state.reward

    obs, reward = transition(qpos, qvel, actions)
    rewards = []
    for i in range(50):
        start_theirs(theirs, qpos[i], qvel[i])
        step = theirs.step(np.asarray(actions[i]))
        np.testing.assert_allclose(obs[i], observation(step), atol=1e-5)
        np.testing.assert_allclose(reward[i], step.reward, atol=1e-5)
        rewards.append(step.reward)
    assert max(rewards) > 0.5 > min(rewards)  # both ends of the reward were seen


def test_a_trajectory_of_twenty_steps_is_the_same(pair):
    ours, theirs = pair
    qpos, qvel = jnp.array([0.2, 2.0]), jnp.array([-0.5, 1.0])
    start_theirs(theirs, qpos, qvel)
    state, step_ours = start_ours(ours, qpos, qvel), jax.jit(ours.step)
    for action in np.random.default_rng(1).uniform(-1, 1, (20, 1)).astype(np.float32):
        state, step = step_ours(state, jnp.asarray(action)), theirs.step(action)
        np.testing.assert_allclose(state.obs, observation(step), atol=1e-5)
        np.testing.assert_allclose(state.reward, step.reward, atol=1e-5)


def test_start_states_have_the_same_distribution(pair, key):
    ours, theirs = pair
    initial = jax.vmap(ours.task.initial)(jax.random.split(key, 4096))
    samples = []
    for _ in range(1000):
        theirs.task.initialize_episode(theirs.physics)
        samples.append(theirs.physics.get_state())
    theirs_all, ours_all = np.stack(samples), np.concatenate(initial[:2], axis=1)
    std = theirs_all.std(axis=0)
    # Five standard errors of the rarer sample: of a mean std/sqrt(n), of a std at most that again.
    allowed = 5 * std / np.sqrt(1000)
    assert (np.abs(ours_all.mean(axis=0) - theirs_all.mean(axis=0)) < allowed).all()
    assert (np.abs(ours_all.std(axis=0) - std) < allowed).all()
    if "balance" in ours.name:
        assert np.abs(ours_all[:, :2]).max(axis=0) == pytest.approx([0.1, 0.034], rel=0.01)


def test_nothing_ends_an_episode_early_and_its_length_is_the_suite_s(pair):
    ours, theirs = pair
    state = start_ours(ours, jnp.array([1.9, 3.0]), jnp.array([50.0, 50.0]))
    assert not ours.step(state, jnp.ones(1)).terminated
    spec = ours.spec
    assert (spec.obs_size, spec.action_size, spec.episode_length) == (5, 1, 1000)
    assert spec.ctrl_dt == theirs.control_timestep()
