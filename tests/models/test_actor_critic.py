"""Actor and critics: noise, squashing, entropy, pessimism."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mjxwm.models import actor_critic
from mjxwm.models.actor_critic import Actor, Config

IN, A = 3, 2
CONFIG = Config(actor=(8,), critic=(8,), critics=3, init_std=0.5, min_std=0.2)


@pytest.fixture
def actor(key):
    return Actor.create(CONFIG, IN, A, key=key)


def with_std(actor: Actor, std) -> Actor:
    log_std = jnp.broadcast_to(jnp.log(jnp.asarray(std, actor.log_std.dtype)), actor.log_std.shape)
    return dataclasses.replace(actor, log_std=log_std)


def shifted(actor: Actor, mean: float) -> Actor:
    """The actor with `mean` added to its output before tanh."""
    last = actor.mean_net.layers[-1].bias
    return jax.tree.map(lambda x: x + mean if x is last else x, actor)


def test_the_deviation_starts_as_configured_and_stops_at_its_floor(actor):
    np.testing.assert_allclose(actor.std(), 0.5, rtol=1e-6)
    for std, projected in [(0.1, 0.2), (0.2, 0.2), (1.0, 1.0)]:
        actor = actor_critic.project(with_std(actor, std))
        np.testing.assert_allclose(actor.std(), projected, rtol=1e-6)


def test_noise_at_its_floor_can_grow_again(actor):
    gradient = jax.grad(lambda a: a.std().sum())(with_std(actor, CONFIG.min_std))
    assert (gradient.log_std > 0).all()


def test_actions_stay_within_their_limits(actor, key):
    x, noise = 100 * jax.random.normal(key, (50, IN)), 100 * jax.random.normal(key, (50, A))
    for action in (actor.sample(x, noise), actor.mean(x)):
        assert action.shape == (50, A)
        assert jnp.abs(action).max() <= 1


def test_without_noise_a_sample_is_the_mean(actor, key):
    x = jax.random.normal(key, (5, IN))
    np.testing.assert_array_equal(actor.sample(x, jnp.zeros((5, A))), actor.mean(x))


def test_entropy_is_minus_the_log_density_up_to_a_constant(actor, key):
    # The density of a = tanh(u), u ~ N(mean, std): the Gaussian's at u over the slope of tanh.
    x = jax.random.normal(key, (20, IN))
    noise = jax.random.normal(jax.random.key(1), (20, A))
    mean, std, action = actor.mean_net(x), actor.std(), actor.sample(x, noise)
    gaussian = jax.scipy.stats.norm.logpdf(mean + std * noise, mean, std)
    log_density = (gaussian - jnp.log(1 - action**2)).sum(-1)
    # What is left is -log N(noise; 0, 1), the same whatever the network: a constant on average.
    constant = -jax.scipy.stats.norm.logpdf(noise).sum(-1)
    np.testing.assert_allclose(actor.entropy(x, noise) + constant, -log_density, atol=1e-4)


def test_a_wider_policy_has_more_entropy_until_it_saturates(actor, key):
    x, noise = jnp.zeros((4000, IN)), jax.random.normal(key, (4000, A))
    entropy = [with_std(actor, s).entropy(x, noise).mean() for s in (0.2, 0.6, 10.0)]
    assert entropy[0] < entropy[1]
    assert entropy[2] < entropy[1]


@pytest.mark.parametrize("mean", [-30.0, -8.0, 8.0, 30.0])
def test_the_gradient_of_entropy_brings_a_saturated_actor_back(actor, mean):
    x, noise = jnp.zeros((6, IN)), jnp.zeros((6, A))

    def shift_gradient(objective):
        return jax.grad(lambda m: objective(shifted(actor, m)).mean())(mean)

    # d/du log(1 - tanh(u)^2) = -2 tanh(u) for each action, however far out u is.
    pull = shift_gradient(lambda a: a.entropy(x, noise))
    np.testing.assert_allclose(pull, -2 * A * np.sign(mean), rtol=1e-4)
    # A return, in contrast, is felt only through 1 - a^2.
    assert jnp.abs(shift_gradient(lambda a: a.sample(x, noise))) < 1e-5


def test_the_value_is_the_least_of_the_critics(key):
    critics = actor_critic.make_critics(CONFIG, IN, key=key)
    x = jax.random.normal(key, (4, 5, IN))
    np.testing.assert_array_equal(actor_critic.value(critics, x), 0)  # as it starts
    # The heads are zero at first; with weights, members that were made from one key would agree.
    critics = jax.tree.map(lambda p: p + 0.1 * jax.random.normal(key, p.shape[1:]), critics)
    all_values = actor_critic.values(critics, x)
    assert all_values.shape == (3, 4, 5)
    np.testing.assert_array_equal(actor_critic.value(critics, x), all_values.min(axis=0))
    spread = all_values.max(axis=0) - all_values.min(axis=0)
    assert spread.min() > 1e-3  # the members were not all made from one key


@pytest.mark.parametrize(("low", "start"), [(0.0, 0.5), (0.6, 0.5), (-1.0, 0.5)])
def test_noise_bounds_out_of_order_are_refused(key, low, start):
    config = Config(min_std=low, init_std=start)
    with pytest.raises(ValueError, match=f"min_std={low} and init_std={start} are out of range"):
        Actor.create(config, IN, A, key=key)


def test_an_empty_ensemble_is_refused(key):
    with pytest.raises(ValueError, match="critics=0 is out of range; it must be at least 1"):
        actor_critic.make_critics(Config(critics=0), IN, key=key)
