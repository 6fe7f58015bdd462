"""Draws that do not depend on the number of devices."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mjxwm_envs import shards


@given(st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=8), st.integers(1, 2**31 - 1))
def test_below_is_the_upper_half_of_a_product(bits, limit):
    """floor(bits * limit / 2^32), for any 32 bits and any limit that an int32 holds."""
    found = shards.cheap_randint(jnp.array(bits, jnp.uint32), jnp.int32(limit))
    assert found.tolist() == [b * limit >> 32 for b in bits]


@pytest.mark.parametrize(("num", "among"), [(8, 8), (4, 16), (64, 16), (6, 10)])
def test_strata_are_even_and_fair(num, among):
    """The i-th of N draws lies in the i-th of N equal parts; all things are equally likely."""
    bits = jax.random.bits(jax.random.key(0), (4000, num))
    drawn = np.asarray(jax.vmap(lambda b: shards.strata(b, among))(bits))
    part = np.arange(num) * among
    assert (drawn >= part // num).all()
    assert (drawn <= (part + among - 1) // num).all()
    counts = np.bincount(drawn.ravel(), minlength=among)
    expected = drawn.size / among
    assert np.abs(counts - expected).max() < 5 * np.sqrt(expected)


def test_without_devices_to_share_everything_is_one_shard():
    """Each function is then the identity."""
    x = jnp.arange(6.0)
    assert shards.count() == 1
    assert shards.local(x) is x
    assert shards.mean({"a": x})["a"] is x
    averaged, kept = shards.mean_and_all(x, x)
    assert averaged is x
    assert kept.shape == (1, 6)
