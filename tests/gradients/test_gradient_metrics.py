"""Statistics of gradient samples, on samples whose truth is known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mjxwm.gradients import bootstrap, metrics
from mjxwm.gradients import sums as sample_sums

RNG = np.random.default_rng(0)
MEAN = np.array([[1.0, 2.0, -1.0], [0.5, 0.0, 3.0]])
STD = np.array([0.5, 2.0, 1.0])


def draw(number, shift=0.0, seed=0):
    rng = np.random.default_rng(seed)
    return MEAN[:, None] + shift + STD * rng.normal(size=(2, number, 3))


def sums(*args, **kwargs):
    return sample_sums.of(draw(*args, **kwargs))


def in_chunks(samples, size):
    """Sums of samples [S, K, d] that come in chunks, as float32, and what float64 makes of them."""
    found, narrow = None, samples.astype(np.float32)
    for start in range(0, samples.shape[1], size):
        chunk = jnp.asarray(narrow[:, start : start + size])
        part = sample_sums.summed(chunk, jnp.isfinite(sample_sums.lengths(chunk)))
        found = part if found is None else JOINED(found, part)
    return sample_sums.finished(found), narrow.astype(float)


JOINED = jax.jit(sample_sums.joined)
HARD = {
    "easy": lambda x: x,
    "a large mean and a small variance": lambda x: 3e4 + 0.1 * x,
    "a mean that wanders": lambda x: x + 100 * np.linspace(0, 1, x.shape[1])[:, None],
    "tails without a variance": lambda x: np.sign(x) * np.abs(x) ** 8,
    "tiny numbers": lambda x: 1e-15 * x,
    "large numbers": lambda x: 1e15 * (1 + x),
    "none but the first differ": lambda x: np.where(np.arange(x.shape[1])[:, None] < 8, x, 7.3),
    "all the same": lambda x: 0 * x + 1.1,
}


@pytest.mark.parametrize("case", HARD)
def test_sums_on_the_device_are_those_of_float64(case):
    """Over 400 chunks: means and variances to 1e-5 of a deviation, squares to 1e-6."""
    samples = HARD[case](np.random.default_rng(0).normal(size=(2, 3200, 5)))
    found, wide = in_chunks(samples, 8)
    std = wide.std(axis=1, ddof=1)
    assert (np.abs(found.mean - wide.mean(axis=1)) <= 1e-5 * std).all()
    np.testing.assert_allclose(found.var, std**2, rtol=1e-5)
    np.testing.assert_allclose(found.square, (wide**2).sum(axis=-1).mean(axis=1), rtol=1e-6)
    np.testing.assert_array_equal(found.count, 3200)


def test_chunks_of_unequal_sizes_are_one_set():
    samples = draw(30)
    for one, other in zip(in_chunks(samples, 7)[0], sample_sums.of(samples), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5)


@pytest.mark.parametrize("size", [1, 4, 10])
def test_what_is_not_finite_is_counted_and_left_out(size):
    samples = draw(10)
    samples[0, 3, 1] = np.nan
    samples[1, :9] = np.inf
    found, _ = in_chunks(samples, size)
    np.testing.assert_array_equal(found.count, [9, 1])
    kept = samples[0, np.arange(10) != 3]
    np.testing.assert_allclose(found.mean[0], kept.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(found.var[0], kept.var(axis=0, ddof=1), rtol=1e-5)
    np.testing.assert_allclose(found.mean[1], samples[1, 9], rtol=1e-5)
    # A group with one sample left has no variance, and no say.
    norm = metrics.by_state(found, sums(10))(np.arange(2))["norm"]
    assert norm == pytest.approx(np.sqrt(found.square[0]))


def test_squared_lengths_and_biases_are_debiased():
    # With four samples a plain squared mean is too large by a quarter of the variance, 1.3.
    trials = [sums(4, seed=i) for i in range(4000)]
    mean = np.mean([metrics.length2(t) for t in trials], axis=0)
    np.testing.assert_allclose(mean, (MEAN**2).sum(axis=1), atol=0.15)
    truth = sums(20000, seed=5)
    shifted = [sums(4, shift=0.5, seed=i) for i in range(2000)]
    bias2 = [metrics.by_state(s, truth)(np.arange(2))["bias2"] for s in shifted]
    assert np.mean(bias2) == pytest.approx(3 * 0.25, abs=0.15)


def test_the_cosine_of_one_expectation_with_itself_is_one():
    a, b = sums(200, seed=1), sums(200, seed=2)
    assert metrics.by_state(a, b)(np.arange(2))["cosine"] == pytest.approx(1, abs=0.05)
    noise = sample_sums.of(RNG.normal(size=(2, 4, 3)))
    lost = noise._replace(var=noise.var * 100)
    assert np.isnan(metrics.by_state(lost, b)(np.arange(2))["cosine"])


def test_signal_to_noise():
    found = metrics.by_state(sums(50000), sums(50000, seed=1))(np.arange(2))
    assert found["variance"] == pytest.approx((STD**2).sum(), rel=0.02)
    signal = (MEAN**2).sum(axis=1).mean()
    assert found["esnr"] == pytest.approx(signal / (STD**2).sum(), rel=0.02)
    assert found["esnr_mean"] == pytest.approx((MEAN**2 / STD**2).mean(), rel=0.02)


def test_dead_entries_do_not_dilute_and_no_gradient_is_no_error():
    samples = draw(1000)
    padded = np.concatenate([samples, np.zeros((2, 1000, 30))], axis=-1)
    found = [
        metrics.by_state(*2 * (sample_sums.of(x),))(np.arange(2))["esnr_mean"]
        for x in (samples, padded)
    ]
    assert found[0] == pytest.approx(found[1])
    nothing = sample_sums.of(np.zeros((6, 10, 3)))
    for over in (metrics.by_state, metrics.over_states):
        assert np.isnan(over(nothing, nothing)(np.arange(6))["esnr"])


def states(number, shift, seed, spread=2.0, states=40):
    """Samples whose means differ from state to state: N(MEAN[0] + shift, spread)."""
    rng = np.random.default_rng(seed)
    own = MEAN[0] + shift + spread * np.random.default_rng(9).normal(size=(states, 1, 3))
    return sample_sums.of(own + STD * rng.normal(size=(states, number, 3)))


def test_over_states_is_about_the_mean_gradient():
    """Its expectations over draws of everything, against their closed forms."""
    found = []
    for seed in range(1000):
        rng = np.random.default_rng(seed)
        own = MEAN[0] + 2.0 * rng.normal(size=(12, 1, 3))
        # A bias that cancels over states, and one that does not.
        wrong = own + 3.0 * rng.normal(size=(12, 1, 3)) + 0.5
        a, truth = (sample_sums.of(x + STD * rng.normal(size=(12, 4, 3))) for x in (wrong, own))
        found.append(metrics.over_states(a, truth)(np.arange(12)))
    mean = {name: np.mean([f[name] for f in found]) for name in ("bias2", "variance", "truth2")}
    assert mean["bias2"] == pytest.approx(3 * 0.5**2, abs=0.3)
    assert mean["truth2"] == pytest.approx((MEAN[0] ** 2).sum(), abs=0.3)
    assert mean["variance"] == pytest.approx((STD**2).sum() + 3 * (2.0**2 + 3.0**2), rel=0.05)


def test_states_that_are_drawn_twice_do_not_count_as_two():
    a, truth = states(50, 0.0, 1), states(50, 0.0, 2)
    function = metrics.over_states(a, truth)
    rng = np.random.default_rng(0)
    drawn = [function(rng.integers(0, 40, 40))["truth2"] for _ in range(500)]
    assert np.mean(drawn) == pytest.approx(function(np.arange(40))["truth2"], rel=0.1)


def mean_of(x):
    return lambda ids: {"mean": float(x[ids].mean())}


def test_bootstrap_intervals_hold_the_truth_as_often_as_they_say():
    hits = 0
    for seed in range(200):
        x = np.random.default_rng(seed).normal(size=40)
        found = bootstrap.bootstrap(mean_of(x), [np.arange(40)], resamples=300)["mean"]
        hits += found.low <= 0 <= found.high
    assert 0.88 < hits / 200 < 0.99


def test_strata_are_drawn_from_alone_and_few_groups_have_no_interval():
    x = np.repeat([0.0, 10.0], 20)
    found = bootstrap.bootstrap(mean_of(x), [np.arange(20), np.arange(20, 40)])["mean"]
    assert found == (5.0, 5.0, 5.0)
    few = bootstrap.bootstrap(mean_of(x), [np.arange(3)])["mean"]
    assert few.value == 0
    assert np.isnan([few.low, few.high]).all()


def test_break_even():
    # A squared bias of 1 and 10 less variance: even at 10 samples.
    assert metrics.break_even(1.0, 2.0, 12.0) == pytest.approx(10)
    assert metrics.mse(1.0, 2.0, [10]) == [pytest.approx(12.0 / 10)]
    assert metrics.break_even(0.0, 2.0, 12.0) == float("inf")
    assert metrics.break_even(1.0, 12.0, 2.0) == 0
    assert np.isnan(metrics.break_even(float("nan"), 2.0, 12.0))


def test_tails():
    light = metrics.tails(np.abs(np.random.default_rng(0).normal(size=(10, 1000))))
    # The scale of a state is no tail.
    pareto = np.random.default_rng(0).pareto(1.5, size=(10, 1000)) + 1
    heavy = metrics.tails(pareto * np.geomspace(1, 1e6, 10)[:, None])
    assert heavy["hill"] == pytest.approx(1.5, rel=0.15)
    assert light["hill"] > 4
    assert heavy["dropped"] > 3 * light["dropped"]
    assert all(np.isnan(x) for x in metrics.tails(np.zeros((2, 100))).values())


def test_roughness_of_a_line_and_of_a_saw():
    assert metrics.roughness(np.linspace(0, 1, 20)) == pytest.approx(0, abs=1e-12)
    assert metrics.roughness(np.array([0.0, 1, 0, 1, 0, 1])) == pytest.approx(16 / 5)
