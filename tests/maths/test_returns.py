"""Returns along time: hand-computed numbers, identities, and a plain loop."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mjxwm.maths import returns

SHAPE = (5, 3)
numbers = arrays(np.float32, SHAPE, elements=st.floats(-10, 10, width=32))
discounts = arrays(np.float32, SHAPE, elements=st.floats(0, 1, width=32))
lambda_return = jax.jit(returns.lambda_return)
discounted_sum = jax.jit(returns.discounted_sum)


def column(*values):
    return jnp.array(values)


def test_hand_computed_numbers():
    # G_1 = 2 + 0.5 * 20 = 12, whatever lambda is; G_0 = 1 + 0.5 * (0.5 * 10 + 0.5 * 12) = 6.5.
    got = lambda_return(column(1.0, 2.0), column(0.5, 0.5), column(10.0, 20.0), 0.5)
    np.testing.assert_allclose(got, [6.5, 12.0])


def test_a_discount_of_zero_cuts_off_everything_after_it():
    reward, value = column(1.0, 2.0, 3.0), column(7.0, 8.0, 9.0)
    discount = column(0.9, 0.0, 0.9)
    got = lambda_return(reward, discount, value, 0.95)
    assert got[1] == 2
    other = lambda_return(reward.at[2].set(1e6), discount, value.at[1:].set(-1e6), 0.95)
    np.testing.assert_array_equal(got[:2], other[:2])


@given(numbers, discounts, numbers)
def test_lambda_zero_is_the_one_step_target(reward, discount, value):
    got = lambda_return(reward, discount, value, 0.0)
    np.testing.assert_allclose(got, reward + discount * value, rtol=1e-6, atol=1e-5)


@given(numbers, discounts, numbers)
def test_lambda_one_is_the_discounted_sum_with_the_last_value(reward, discount, value):
    got = lambda_return(reward, discount, value, 1.0)[0]
    expected = discounted_sum(reward, discount, value[-1])
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-4)


@given(numbers, discounts, numbers, st.floats(0, 1))
def test_lambda_return_equals_a_loop(reward, discount, value, lam):
    following = value[-1].astype(float)
    expected = np.zeros(SHAPE)
    for t in reversed(range(len(reward))):
        following = reward[t] + discount[t] * ((1 - lam) * value[t] + lam * following)
        expected[t] = following
    np.testing.assert_allclose(
        lambda_return(reward, discount, value, lam), expected, rtol=1e-5, atol=1e-4
    )


@given(numbers, discounts, numbers)
def test_discounted_sum_equals_a_loop(reward, discount, value):
    weight, expected = np.ones(SHAPE[1]), np.zeros(SHAPE[1])
    for r, d in zip(reward, discount, strict=True):
        expected += weight * r
        weight = weight * d
    expected += weight * value[-1]
    got = discounted_sum(reward, discount, value[-1])
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("horizon", [1, 4])
def test_the_last_value_weighs_gamma_to_the_horizon(horizon):
    zero, gamma = jnp.zeros(horizon), jnp.full(horizon, 0.9)
    got = discounted_sum(zero, gamma, jnp.array(5.0))
    np.testing.assert_allclose(got, 5 * 0.9**horizon, rtol=1e-6)


def test_the_gradient_of_the_discounted_sum_is_its_weights():
    discount = column(0.9, 0.5, 0.8)
    grad = jax.grad(returns.discounted_sum, argnums=(0, 2))
    by_reward, by_value = grad(jnp.zeros(3), discount, jnp.array(1.0))
    np.testing.assert_allclose(by_reward, [1, 0.9, 0.45], rtol=1e-6)
    np.testing.assert_allclose(by_value, 0.36, rtol=1e-6)


def test_the_gradient_of_the_lambda_return_reaches_rewards_and_values():
    discount, lam = column(0.9, 0.5), 0.4
    first = jax.grad(lambda r, v: returns.lambda_return(r, discount, v, lam)[0], argnums=(0, 1))
    by_reward, by_value = first(jnp.zeros(2), jnp.zeros(2))
    np.testing.assert_allclose(by_reward, [1, 0.9 * lam], rtol=1e-6)
    np.testing.assert_allclose(by_value, [0.9 * (1 - lam), 0.9 * lam * 0.5], rtol=1e-6)
