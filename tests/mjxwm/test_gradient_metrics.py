"""Statistics of gradient samples, on samples whose truth is known."""

import numpy as np
import pytest

from mjxwm.gradients import metrics

RNG = np.random.default_rng(0)
MEAN = np.array([[1.0, 2.0, -1.0], [0.5, 0.0, 3.0]])
STD = np.array([0.5, 2.0, 1.0])


def draw(number, shift=0.0, seed=0):
    rng = np.random.default_rng(seed)
    return MEAN[:, None] + shift + STD * rng.normal(size=(2, number, 3))


def sums(*args, **kwargs):
    return metrics.summarize(draw(*args, **kwargs))[0]


def test_merged_chunks_are_one_set():
    samples = draw(30)
    whole, _ = metrics.summarize(samples)
    parts = [metrics.summarize(samples[:, s])[0] for s in (slice(7), slice(7, 20), slice(20, 30))]
    for one, other in zip(metrics.merge(parts), whole, strict=True):
        np.testing.assert_allclose(one, other)


def test_what_is_not_finite_is_counted_and_left_out():
    samples = draw(10)
    samples[0, 3, 1] = np.nan
    samples[1, :9] = np.inf
    found, nonfinite = metrics.summarize(samples)
    assert nonfinite == 10
    np.testing.assert_array_equal(found.count, [9, 1])
    kept = samples[0, np.arange(10) != 3]
    np.testing.assert_allclose(found.mean[0], kept.mean(axis=0))
    np.testing.assert_allclose(found.var[0], kept.var(axis=0, ddof=1))
    # A group with one sample left has no variance, and no say.
    norm = metrics.statistics(found, sums(10))["norm"](np.arange(2))
    assert norm == pytest.approx(np.sqrt(found.square[0]))


def test_squared_lengths_and_biases_are_debiased():
    # With four samples a plain squared mean is too large by a quarter of the variance, 1.3.
    trials = [sums(4, seed=i) for i in range(4000)]
    mean = np.mean([metrics.length2(t) for t in trials], axis=0)
    np.testing.assert_allclose(mean, (MEAN**2).sum(axis=1), atol=0.15)
    truth = sums(20000, seed=5)
    shifted = [sums(4, shift=0.5, seed=i) for i in range(2000)]
    bias2 = [metrics.statistics(s, truth)["bias2"](np.arange(2)) for s in shifted]
    assert np.mean(bias2) == pytest.approx(3 * 0.25, abs=0.15)


def test_the_cosine_of_one_expectation_with_itself_is_one():
    a, b = sums(200, seed=1), sums(200, seed=2)
    assert metrics.statistics(a, b)["cosine"](np.arange(2)) == pytest.approx(1, abs=0.05)
    noise = metrics.summarize(RNG.normal(size=(2, 4, 3)))[0]
    lost = noise._replace(var=noise.var * 100)
    assert np.isnan(metrics.statistics(lost, b)["cosine"](np.arange(2)))


def test_signal_to_noise():
    found = metrics.statistics(sums(50000), sums(50000, seed=1))
    ids = np.arange(2)
    assert found["variance"](ids) == pytest.approx((STD**2).sum(), rel=0.02)
    signal = (MEAN**2).sum(axis=1).mean()
    assert found["esnr"](ids) == pytest.approx(signal / (STD**2).sum(), rel=0.02)
    assert found["esnr_mean"](ids) == pytest.approx((MEAN**2 / STD**2).mean(), rel=0.02)


def test_bootstrap_intervals_hold_the_truth_as_often_as_they_say():
    hits = 0
    for seed in range(200):
        x = np.random.default_rng(seed).normal(size=40)
        found = metrics.bootstrap(lambda ids, x=x: float(x[ids].mean()), 40, resamples=300)
        hits += found.low <= 0 <= found.high
    assert 0.88 < hits / 200 < 0.99


def test_break_even():
    # A squared bias of 1 and 10 less variance: even at 10 samples.
    assert metrics.break_even(1.0, 2.0, 12.0) == pytest.approx(10)
    assert metrics.mse(1.0, 2.0, [10]) == [pytest.approx(12.0 / 10)]
    assert metrics.break_even(0.0, 2.0, 12.0) == float("inf")
    assert metrics.break_even(1.0, 12.0, 2.0) == 0


def test_tails():
    light = metrics.tails(np.abs(np.random.default_rng(0).normal(size=10000)))
    heavy = metrics.tails(np.random.default_rng(0).pareto(1.5, size=10000) + 1)
    assert heavy["hill"] == pytest.approx(1.5, rel=0.15)
    assert light["hill"] > 4
    assert heavy["dropped"] > 3 * light["dropped"]
    assert all(np.isnan(x) for x in metrics.tails(np.zeros(100)).values())


def test_roughness_of_a_line_and_of_a_saw():
    assert metrics.roughness(np.linspace(0, 1, 20)) == pytest.approx(0, abs=1e-12)
    assert metrics.roughness(np.array([0.0, 1, 0, 1, 0, 1])) == pytest.approx(16 / 5)
