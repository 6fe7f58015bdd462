"""Two-hot encoding in symlog space."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mjxwm.maths import twohot

BINS = 101
LARGEST = np.expm1(10.0)
inside = arrays(np.float32, 8, elements=st.floats(-20000, 20000, width=32))
encode = jax.jit(lambda x: twohot.encode(x, BINS))
decode, cross_entropy = jax.jit(twohot.decode), jax.jit(twohot.cross_entropy)


@given(arrays(np.float32, 8, elements=st.floats(-1e6, 1e6, width=32)))
def test_symexp_undoes_symlog(x):
    # symlog carries a relative error of one rounding, which symexp multiplies by |symlog x| < 15.
    np.testing.assert_allclose(twohot.symexp(twohot.symlog(x)), x, rtol=3e-6, atol=1e-30)


def test_symlog_is_odd_and_nearly_the_identity_at_zero():
    x = jnp.array([0.0, 1e-4, 3.0])
    np.testing.assert_array_equal(twohot.symlog(-x), -twohot.symlog(x))
    np.testing.assert_allclose(twohot.symlog(x)[:2], x[:2], rtol=1e-3)
    np.testing.assert_allclose(twohot.symlog(x)[2], np.log(4), rtol=1e-6)


@given(inside)
def test_decoding_the_encoded_value_gives_it_back(x):
    weights = encode(x)
    # log(0) = -inf is a softmax weight of exactly 0.
    back = decode(jnp.log(weights))
    # A symlog value is of size 10 with bins 0.2 apart: about 2e-6 absolute, relative once expanded.
    np.testing.assert_allclose(back, x, rtol=2e-5, atol=1e-5)


@given(inside)
def test_weights_sum_to_one_and_lie_on_neighbours(x):
    weights = np.asarray(encode(x))
    np.testing.assert_allclose(weights.sum(axis=-1), 1, atol=1e-5)
    assert (weights >= 0).all()
    for row in weights:
        used = np.flatnonzero(row)
        assert len(used) <= 2
        assert used[-1] - used[0] <= 1


@pytest.mark.parametrize(("x", "bin_"), [(1e9, BINS - 1), (LARGEST, BINS - 1), (-1e9, 0), (0, 50)])
def test_limits_and_zero_fall_on_one_bin(x, bin_):
    weights = encode(jnp.array(x, jnp.float32))
    np.testing.assert_allclose(weights, jax.nn.one_hot(bin_, BINS), atol=2e-5)


def test_the_weights_are_the_linear_split_between_two_bins():
    # Bins are 0.2 apart: 0.05 in symlog space is a quarter of the way from bin 50 to 51.
    weights = encode(twohot.symexp(jnp.array(0.05)))
    np.testing.assert_allclose(weights[50:52], [0.75, 0.25], atol=1e-5)


def test_cross_entropy_is_least_at_the_target():
    x = jnp.array([0.3, -4.0, 100.0])
    target = encode(x)
    at_target = cross_entropy(jnp.log(target + 1e-9), x)
    entropy = -(target * jnp.log(target + 1e-9)).sum(axis=-1)
    np.testing.assert_allclose(at_target, entropy, atol=1e-4)
    noise = jax.random.normal(jax.random.key(0), (50, 3, BINS))
    assert (cross_entropy(jnp.log(target + 1e-9) + noise, x) > at_target - 1e-6).all()


def test_the_gradient_of_cross_entropy_is_softmax_minus_target():
    x, logits = jnp.array([0.7]), jax.random.normal(jax.random.key(1), (1, BINS))
    grad = jax.grad(lambda l: twohot.cross_entropy(l, x).sum())(logits)
    # Positions among 101 bins are rounded to 4e-6, differently with and without jit.
    np.testing.assert_allclose(grad, jax.nn.softmax(logits) - encode(x), atol=1e-5)
