"""Reward terms against their published definitions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from dm_control.utils import rewards as reference
from hypothesis import given, settings
from hypothesis import strategies as st
from mjxwm_envs.tasks.rewards import height_bonus, tolerance

SIGMOIDS = ("gaussian", "quadratic", "linear", "long_tail")
# Exact in float32, so that both sides see the same point on the same side of a bound.
reals = st.floats(-100, 100, width=32, allow_subnormal=False)


@settings(deadline=None, max_examples=300)  # cheap: nothing is compiled per example
@given(
    x=reals,
    ends=st.tuples(reals | st.just(-np.inf), reals | st.just(np.inf)),
    margin=st.just(0.0) | st.floats(0.0625, 100, width=32),
    sigmoid=st.sampled_from(SIGMOIDS),
    value=st.floats(0.015625, 0.984375, width=32),
)
def test_tolerance_is_that_of_dm_control(x, ends, margin, sigmoid, value):
    bounds = (min(ends), max(ends))
    ours = tolerance(jnp.float32(x), bounds, margin, sigmoid, value)
    theirs = reference.tolerance(x, bounds, margin, sigmoid, value)
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


@pytest.mark.parametrize("sigmoid", ["quadratic", "linear"])
def test_tolerance_may_reach_zero_at_the_margin(sigmoid):
    x = jnp.array([0.0, 0.5, 1.0, 2.0])
    ours = tolerance(x, margin=1, sigmoid=sigmoid, value_at_margin=0)
    theirs = reference.tolerance(np.asarray(x), margin=1, sigmoid=sigmoid, value_at_margin=0)
    np.testing.assert_allclose(ours, theirs, atol=1e-6)


@pytest.mark.parametrize("sigmoid", SIGMOIDS)
def test_the_gradient_of_tolerance_is_finite_everywhere(sigmoid):
    # A policy gradient goes through both branches of the where, also through the unused one.
    grad = jax.vmap(jax.grad(lambda x: tolerance(x, (-1, jnp.inf), 2, sigmoid)))
    assert jnp.isfinite(grad(jnp.linspace(-5, 5, 41))).all()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"bounds": (1, 0)}, "the lower bound is above the upper one"),
        ({"margin": -1}, "margin=-1 is negative"),
        ({"margin": 1, "value_at_margin": 1}, "value_at_margin=1 is outside of"),
        ({"margin": 1, "value_at_margin": 0}, "for 'gaussian'"),
        ({"margin": 1, "sigmoid": "cubic"}, "sigmoid='cubic' is unknown; choose gaussian"),
    ],
)
def test_a_wrong_argument_of_tolerance_is_named(arguments, words):
    with pytest.raises(ValueError, match=words):
        tolerance(jnp.zeros(()), **arguments)


def test_the_height_bonus_is_linear_above_the_target_and_quadratic_below():
    height = jnp.array([-2.0, -0.4, -0.3, -0.2, 0.0, 1.0])
    # d = height + 0.3, within -1 and the slack; -200 d^2 below zero, d above.
    expected = [-200.0, -2.0, 0.0, 0.1, 0.3, 0.3]
    got = height_bonus(height, target=-0.3, slack=0.3)
    np.testing.assert_allclose(got, expected, atol=1e-5)
    np.testing.assert_allclose(height_bonus(jnp.array(0.1), 0.0, 0.3, gain=10.0), 1.0, atol=1e-6)
