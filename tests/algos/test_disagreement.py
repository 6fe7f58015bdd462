"""The ensemble of dynamics knows what the data cover: values of next states agree there alone."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mjxwm.algos import pwm
from mjxwm.algos.multitask import disagreement
from mjxwm.algos.multitask.pessimism import Pessimistic
from mjxwm.data.replay import Sequence
from mjxwm.models import actor_critic, world_model
from mjxwm.models.world_model import Conditioned, WorldModel

N, LATENT = 64, 8
CONFIG = world_model.Config(
    latent=LATENT, simnorm_group=4, encoder=(16,), hidden=(16,), continuation=0.0
)


@pytest.fixture(scope="module")
def model():
    one = WorldModel.create(CONFIG, 2, 1, key=jax.random.key(3), task_size=1)
    # Initial weights are small: an encoder that tells observations apart is needed here.
    one = jax.tree.map(lambda x: 8 * x if x.ndim == 2 else x, one)
    return Conditioned(one, jnp.zeros(1), jnp.ones(1))


@pytest.fixture(scope="module")
def critic():
    critics = actor_critic.make_critics(
        actor_critic.Config(critic=(16,), critics=2), LATENT, key=jax.random.key(4)
    )
    # A new critic says 0 everywhere.
    return jax.tree.map(lambda x: x + 0.3 * jax.random.normal(jax.random.key(7), x.shape), critics)


def windows(key):
    """Two steps; what is observed next is the action, and the data's actions are above 0.5."""
    key_obs, key_action = jax.random.split(key)
    obs = jax.random.uniform(key_obs, (N, 2), minval=-1)
    action = jax.random.uniform(key_action, (2, N, 1), minval=0.5)
    after = jnp.concatenate([action[0], -action[0]], axis=1)
    yes, no = jnp.ones((2, N), bool), jnp.zeros((2, N), bool)
    return Sequence(
        obs=jnp.stack([obs, after]), action=action, reward=jnp.zeros((2, N)),
        terminated=no, mask=yes, next_mask=yes,
    )  # fmt: skip


@pytest.fixture(scope="module")
def members(model):
    tx = disagreement.optimizer(3e-3)
    update = functools.partial(disagreement.update, tx)

    @jax.jit
    def learn(key):
        fresh = disagreement.create(tx, model, 4, 1, key=key)
        keys = jax.random.split(key, 300)
        return jax.lax.scan(lambda e, k: update(e, model, windows(k)), fresh, keys)[0].members

    return learn(jax.random.key(0))


@pytest.fixture(scope="module")
def measured(model, critic, members):
    """What the tests look at, in one compiled program."""
    equal = jax.tree.map(lambda x: jnp.broadcast_to(x[:1], x.shape), members)
    nothing: Any = None  # of what the penalty does not look at
    learner = pwm.Learner(model, nothing, critic, critic, *[nothing] * 6)
    config = pwm.Config(gamma=0.9)

    @jax.jit
    def measure(obs, action):
        z = model.encode(obs)
        wary = disagreement.wary(config, learner, disagreement.Ensemble(members, ()), 2.0)
        each = [jax.tree.map(lambda x, i=i: x[i], members).joined(z, action) for i in range(4)]
        doubt = disagreement.OfNextValues(members, critic)
        same = Pessimistic(model, disagreement.OfNextValues(equal, critic), jnp.ones(()))
        return {
            "on the data": doubt(model, z, action),
            "elsewhere": doubt(model, z, -action),
            "penalty": model.reward(z, action) - wary.reward(z, action),
            "values": jnp.stack([actor_critic.value(critic, after) for after in each]),
            "slope of equal members": jax.grad(lambda a: same.reward(z, a).sum())(action),
            "predictions": (wary.predict(z, action), model.predict(z, action)),
        }

    key_obs, key_action = jax.random.split(jax.random.key(5))
    obs = jax.random.uniform(key_obs, (N, 2), minval=-1)
    return jax.device_get(measure(obs, jax.random.uniform(key_action, (N, 1), minval=0.5)))


def test_members_agree_on_the_data_and_not_elsewhere(measured):
    assert measured["elsewhere"].mean() > 2 * measured["on the data"].mean()


def test_the_penalty_is_in_the_unit_of_returns(measured):
    deviation = measured["values"].std(axis=0) / (1 - 0.9)
    np.testing.assert_allclose(measured["penalty"], 2 * 0.9 * deviation, rtol=1e-2, atol=1e-4)


def test_rollouts_are_the_models_own(measured):
    np.testing.assert_array_equal(*measured["predictions"])


def test_members_that_are_equal_have_a_gradient(measured):
    assert np.isfinite(measured["slope of equal members"]).all()
