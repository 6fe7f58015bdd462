"""Running moments against numpy on everything seen so far."""

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mjxwm.maths import moments

SHAPE = (4, 3)
chunk = st.tuples(
    arrays(np.float32, SHAPE, elements=st.floats(-100, 100, width=32)), arrays(bool, SHAPE)
)


@jax.jit
def update(m, x, mask=None, max_count=1e6):
    new = moments.of(x, x.ndim - m.mean.ndim, mask)
    return moments.merge(m, jax.tree.map(lambda part: part[None], new), max_count)


@given(st.lists(chunk, min_size=1, max_size=5))
def test_moments_equal_numpy_on_all_that_was_not_masked(chunks):
    m, values = moments.init(), np.zeros(0, np.float64)
    for x, mask in chunks:
        m = update(m, x, mask)
        values = np.concatenate([values, x[mask]])
    assert m.count == len(values)
    if len(values):
        # float32 sums of squares up to 1e4: cancellation leaves about 1e-6 of 1e4.
        np.testing.assert_allclose(m.mean, values.mean(), rtol=1e-4, atol=1e-3)
        np.testing.assert_allclose(m.var, values.var(), rtol=1e-4, atol=1e-2)


def test_before_anything_is_seen_the_deviation_is_one():
    m = update(moments.init(), jnp.ones(SHAPE), jnp.zeros(SHAPE, bool))
    assert (m.mean, m.var, m.count) == (0, 1, 0)
    np.testing.assert_allclose(moments.std(m), 1, atol=1e-5)


def test_the_first_values_leave_nothing_of_the_placeholder():
    m = update(moments.init(), jnp.array([3.0, 5.0]))
    np.testing.assert_allclose((m.mean, m.var), (4, 1), rtol=1e-6)


def test_masked_values_do_not_count_even_if_they_are_not_finite():
    x = jnp.array([1.0, jnp.nan, 3.0, jnp.inf])
    m = update(moments.init(), x, jnp.isfinite(x))
    np.testing.assert_allclose((m.mean, m.var, m.count), (2, 1, 2), rtol=1e-6)


def test_a_bounded_count_forgets_the_past():
    old, new, size = jnp.zeros(100), jnp.full(100, 8.0), 100.0
    bounded = unbounded = moments.init()
    for x in [old] * 20 + [new] * 5:
        bounded = update(bounded, x, max_count=size)
        unbounded = update(unbounded, x)
    # With a bound of one chunk the past loses half of its weight with every chunk.
    np.testing.assert_allclose(bounded.mean, 8 * (1 - 0.5**5), rtol=1e-5)
    np.testing.assert_allclose(unbounded.mean, 8 * 5 / 25, rtol=1e-5)
    assert bounded.count == size


def test_the_deviation_is_kept_off_zero():
    m = update(moments.init(), jnp.full(10, 7.0))
    assert m.var == 0
    np.testing.assert_allclose(moments.std(m, epsilon=1e-4), 1e-2, rtol=1e-5)


@given(st.lists(chunk, min_size=1, max_size=4))
def test_vectors_have_moments_feature_by_feature(chunks):
    vector, scalars = moments.init((SHAPE[1],)), [moments.init() for _ in range(SHAPE[1])]
    for x, mask in chunks:
        rows = mask[:, 0]
        vector = update(vector, x, rows)
        scalars = [update(m, x[:, i], rows) for i, m in enumerate(scalars)]
    # Summation order differs: a few roundings of values up to 1e4.
    np.testing.assert_allclose(vector.mean, [m.mean for m in scalars], rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(vector.var, [m.var for m in scalars], rtol=1e-5, atol=1e-2)


def test_normalized_values_are_deviations_from_the_mean_within_the_limit():
    m = update(moments.init((2,)), jnp.array([[0.0, 1.0], [2.0, 1.0]]))
    got = moments.normalize(m, jnp.array([[2.0, 1.0], [1e6, -1e6]]), limit=10.0)
    np.testing.assert_allclose(got, [[1, 0], [10, -10]], atol=1e-4)


def test_sets_that_are_not_finite_are_left_out_and_counted():
    sound = moments.of(jnp.array([[1.0], [3.0]]), 1)
    broken = [sound._replace(mean=sound.mean * bad) for bad in (jnp.nan, jnp.inf, 1e30)]
    parts = jax.tree.map(lambda *x: jnp.stack(x), sound, *broken)
    merged, left_out = moments.merge_counting(moments.init((1,)), parts)
    assert left_out == 3
    jax.tree.map(np.testing.assert_allclose, merged, sound)
