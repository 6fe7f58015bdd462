"""PWM's policy gradient: slopes of the imagined return, and what values stand for."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree
from pwm_cases import TINY, noisy, tweak

from mjxwm.algos import pwm
from mjxwm.maths import returns
from mjxwm.models import actor_critic, world_model


@pytest.fixture(scope="module")
def imagination():
    """Model, actor, critics, start and noise in double precision."""
    with jax.enable_x64(True):
        keys = jax.random.split(jax.random.key(0), 8)
        model = world_model.WorldModel.create(TINY.model, 2, 1, key=keys[0])
        actor = actor_critic.Actor.create(TINY.policy, 8, 1, key=keys[1])
        critics = actor_critic.make_critics(TINY.policy, 8, key=keys[2])
        nets = [noisy(n, k) for n, k in zip((model, actor, critics), keys[3:6], strict=True)]
        z = nets[0].encode(jax.random.normal(keys[6], (5, 2)))
        yield (*nets, z, jax.random.normal(keys[7], (3, 5, 1)))


def policy_gradient(imagination, detach: bool):
    model, actor, critics, z, noise = imagination
    config, (flat, unravel) = tweak(detach=detach), ravel_pytree(actor)

    def loss(flat):
        return pwm.actor_loss(config, unravel(flat), model, critics, z, noise)[0]

    return flat, unravel, jax.jit(loss), jax.jit(jax.grad(loss))(flat)


def slope(f, x, direction, h=1e-5):
    return (f(x + h * direction) - f(x - h * direction)) / (2 * h)


def directions(size):
    return jax.random.normal(jax.random.key(9), (5, size))


def test_the_policy_gradient_is_the_slope_of_the_imagined_return(imagination):
    with jax.enable_x64(True):
        flat, _, loss, gradient = policy_gradient(imagination, detach=False)
        assert flat.dtype == jnp.float64
        for d in directions(flat.size):
            # Central differences with h = 1e-5: errors of h^2 and of rounding over h, near 1e-10.
            np.testing.assert_allclose(gradient @ d, slope(loss, flat, d), rtol=1e-6)


def test_the_detached_gradient_is_the_slope_with_what_the_policy_sees_held_fixed(imagination):
    model, _, critics, z, noise = imagination
    with jax.enable_x64(True):
        flat, unravel, loss, gradient = policy_gradient(imagination, detach=True)
        seen = pwm.actor_loss(TINY, unravel(flat), model, critics, z, noise)[1][0].z

        @jax.jit
        def cut(flat):
            """The same rollout; the policy looks at what it saw before it was changed."""
            actor, state, rewards, going_on = unravel(flat), z, [], []
            for t in range(TINY.imagine_horizon):
                action = actor.sample(seen[t], noise[t])
                rewards.append(model.reward(state, action))
                state = model.predict(state, action)
                going_on.append(jax.nn.sigmoid(model.continue_logit(state)))
            last = actor_critic.value(critics, state) * TINY.value_unit
            discount = TINY.gamma * jnp.stack(going_on)
            return -returns.discounted_sum(jnp.stack(rewards), discount, last).mean()

        np.testing.assert_allclose(cut(flat), loss(flat), rtol=1e-12)
        for d in directions(flat.size):
            np.testing.assert_allclose(gradient @ d, slope(cut, flat, d), rtol=1e-6)


def test_detaching_changes_the_gradient_and_not_the_loss(imagination):
    with jax.enable_x64(True):
        flat, _, loss, whole = policy_gradient(imagination, detach=False)
        _, _, detached_loss, detached = policy_gradient(imagination, detach=True)
        assert loss(flat) == detached_loss(flat)
        # Feedback is faint in so small a model, but far above rounding in double precision.
        assert jnp.linalg.norm(whole - detached) > 1e-5 * jnp.linalg.norm(whole)


class Still:
    """A model in which nothing happens, nothing is earned and nothing ends."""

    def predict(self, z, action):
        return z

    def reward(self, z, action):
        return jnp.zeros(z.shape[:-1])

    def going_on(self, z):
        return jax.nn.sigmoid(jnp.full(z.shape[:-1], jnp.inf))


def constant_critics(value: float):
    critics = actor_critic.make_critics(TINY.policy, 8, key=jax.random.key(0))
    critics = jax.tree.map(jnp.zeros_like, critics)
    last = critics.net.layers[-1].bias
    return jax.tree.map(lambda x: x + value if x is last else x, critics)


@pytest.mark.parametrize("horizon", [1, 4, 16])
def test_the_terminal_value_weighs_gamma_to_the_horizon(horizon):
    actor = actor_critic.Actor.create(TINY.policy, 8, 1, key=jax.random.key(0))
    noise = jnp.zeros((horizon, 2, 1))
    args = (TINY, actor, Still(), constant_critics(3.0), jnp.ones((2, 8)), noise)
    loss, (_, total) = pwm.actor_loss(*args)
    expected = 0.9**horizon * 3.0 * TINY.value_unit
    np.testing.assert_allclose(-loss, expected, rtol=1e-5)
    np.testing.assert_allclose(total, expected, rtol=1e-5)


# Bookkeeping


def test_a_value_of_one_stands_for_a_reward_of_one_for_ever():
    assert tweak(gamma=0.99).value_unit == pytest.approx(100)
    assert tweak(gamma=0.0).value_unit == 1
