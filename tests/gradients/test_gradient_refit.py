"""Models and critics that are trained anew for a fixed policy, on its own episodes."""

import dataclasses

import jax
import jax.numpy as jnp
import mjxwm_envs as envs
import numpy as np
import pytest

from mjxwm.algos import pwm
from mjxwm.algos.pwm import learner as pwm_learner
from mjxwm.gradients import refit
from mjxwm.gradients.config import Config
from mjxwm.gradients.subject import take
from mjxwm.maths.moments import Moments
from mjxwm.models import actor_critic, world_model
from mjxwm.types import Transition

RUN = pwm.Config(
    worlds=1,
    batch=16,
    capacity=64,
    warmup=2,
    model=world_model.Config(latent=16, encoder=(16,), hidden=(16,), continuation=1.0),
    policy=actor_critic.Config(actor=(16,), critic=(16,), critics=2),
)


@pytest.fixture(scope="module")
def env():
    return envs.make("hopper", "native")


@pytest.fixture(scope="module")
def networks(env):
    config = RUN
    fresh = pwm_learner.init_networks(config, 11, 3, jax.random.key(0))
    # Wide enough not to clip what a hopper sees.
    return fresh._replace(obs=Moments(jnp.zeros(11), jnp.full(11, 4.0), jnp.ones(())))


def test_a_model_is_trained_anew_and_the_policy_stays_the_same_function(env, networks):
    config = Config(refit_data=1, refit_updates=250, refit_window=4, refit_values=1, worlds=4)
    found = refit.refit(config, RUN, env, networks)
    assert found.facts["env steps"] == 64 * 4
    assert set(found.facts["model errors"]) == {"consistency", "reward", "continuation"}
    new, old = found.networks, networks
    for part in ("actor", "obs"):
        for a, b in zip(*(jax.tree.leaves(getattr(x, part)) for x in (new, old)), strict=True):
            np.testing.assert_array_equal(a, b)
    obs = jax.random.normal(jax.random.key(1), (5, 11))
    np.testing.assert_array_equal(pwm.encode(new, obs), pwm.encode(old, obs))
    before, after = (take(RUN, x).model.dynamics for x in (old, new))
    assert any(
        np.any(np.asarray(a) != np.asarray(b))
        for a, b in zip(jax.tree.leaves(before), jax.tree.leaves(after), strict=True)
    )


def test_nothing_is_collected_where_nothing_is_asked_for(env, networks):
    found = refit.refit(Config(), RUN, env, networks)
    assert found.networks is networks
    assert found.facts == {}


def test_returns_are_all_that_followed_and_end_with_the_episode():
    """Three worlds: one goes on, one terminates after its second step, one is cut there."""
    false = np.zeros((3, 3), bool)
    terminated, cut = false.copy(), false.copy()
    terminated[1, 1], cut[1, 2] = True, True
    record = Transition(
        obs=jnp.zeros((3, 3, 1)), action=jnp.zeros((3, 3, 1)), reward=jnp.ones((3, 3)),
        terminated=jnp.asarray(terminated), truncated=jnp.asarray(cut),
        valid=jnp.ones((3, 3), bool), next_obs=jnp.zeros((3, 3, 1)),
    )  # fmt: skip
    found = refit.returns_of(record, jnp.full((3, 3), 8.0), 0.5)
    last = 1 + 0.5 * 8
    np.testing.assert_allclose(found[:, 0], [1 + 0.5 * (1 + 0.5 * last), 1 + 0.5 * last, last])
    np.testing.assert_allclose(found[:, 1], [1.5, 1.0, last])
    np.testing.assert_allclose(found[:, 2], [1 + 0.5 * last, last, last])


def test_critics_are_fitted_to_those_returns(env, networks):
    """A reward that the state says, and no future: the value is the reward."""
    rng = np.random.default_rng(0)
    obs = jnp.asarray(rng.normal(size=(4, 64, 8, 11)), float)
    reward = obs[..., 0] * 3
    every = jnp.ones((4, 64, 8), bool)
    record = Transition(obs, jnp.zeros((4, 64, 8, 3)), reward, every, ~every, every, obs)
    run = dataclasses.replace(RUN, critic_lr=1e-2)
    config = Config(refit_updates=2000)
    critic, facts = refit.fit_values(config, run, networks, record, jax.random.key(0))
    unit = run.value_unit * pwm.reward_scale(run, networks)
    found = actor_critic.value(critic, pwm.encode(networks, obs)) * unit
    assert np.corrcoef(np.ravel(found), np.ravel(reward))[0, 1] > 0.8
    assert 0 < facts["unexplained"] < 0.5
