"""HL-Gauss histograms."""

import jax
import jax.numpy as jnp
import numpy as np

from mjxwm.maths import hl_gauss

LOW, HIGH, BINS = -20.0, 30.0, 51  # bins of width 1


def test_the_histogram_is_a_distribution_whose_mean_is_the_value():
    """Inside of the bins; at an end half of the Gaussian is missing, and the mean is drawn in."""
    x = jnp.array([-16.0, -3.7, 0.0, 0.25, 12.5, 26.0])
    weights = hl_gauss.encode(x, LOW, HIGH, BINS)
    np.testing.assert_allclose(weights.sum(axis=-1), 1, rtol=1e-5)
    assert (weights >= 0).all()
    # log(0) = -inf is a softmax weight of exactly 0.
    np.testing.assert_allclose(hl_gauss.decode(jnp.log(weights), LOW, HIGH), x, atol=1e-3)
    ends = hl_gauss.encode(jnp.array([LOW, HIGH]), LOW, HIGH, BINS)
    drawn_in = hl_gauss.decode(jnp.log(ends), LOW, HIGH) - jnp.array([LOW, HIGH])
    np.testing.assert_allclose(drawn_in, [0.38, -0.38], atol=0.02)


def test_values_beyond_the_ends_are_taken_to_them():
    both = hl_gauss.encode(jnp.array([HIGH, 1e6]), LOW, HIGH, BINS)
    np.testing.assert_array_equal(both[0], both[1])


def test_shares_are_those_of_the_gaussian():
    """Around the middle of a bin: the share within half a width of a deviation of 3/4."""
    weights = hl_gauss.encode(jnp.array(4.0), LOW, HIGH, BINS)
    within = jax.scipy.stats.norm.cdf(0.5 / 0.75) - jax.scipy.stats.norm.cdf(-0.5 / 0.75)
    np.testing.assert_allclose(weights[24], within, rtol=1e-5)


def test_cross_entropy_is_least_where_the_logits_are_the_histogram():
    x = jnp.array(7.3)
    best = jnp.log(hl_gauss.encode(x, LOW, HIGH, BINS) + 1e-30)
    slope = jax.grad(lambda logits: hl_gauss.cross_entropy(logits, x, LOW, HIGH))(best)
    np.testing.assert_allclose(slope, 0, atol=1e-6)
    other = hl_gauss.cross_entropy(jnp.zeros(BINS), x, LOW, HIGH)
    np.testing.assert_allclose(other, np.log(BINS), rtol=1e-5)
    assert hl_gauss.cross_entropy(best, x, LOW, HIGH) < other
