"""The percentile bootstrap: what is drawn from what, and how wide the interval is."""

import numpy as np

from mjxwm.maths import bootstrap


def test_every_stratum_is_drawn_from_alone():
    strata = [np.array([1.0, 2.0, 3.0]), np.array([10.0, 20.0])]
    drawn = bootstrap.resample(strata, 500, np.random.default_rng(0))
    assert drawn.shape == (500, 5)
    assert set(drawn[:, :3].ravel()) == {1.0, 2.0, 3.0}
    assert set(drawn[:, 3:].ravel()) == {10.0, 20.0}


def test_the_interval_of_a_mean_is_as_wide_as_its_standard_error_says():
    values = np.random.default_rng(1).normal(size=(400, 3))
    low, high = bootstrap.interval(lambda drawn: drawn.mean(axis=1), [values])
    assert low.shape == high.shape == (3,)
    np.testing.assert_allclose(high - low, 2 * 1.96 / np.sqrt(400), rtol=0.15)


def test_one_sample_has_an_interval_without_width():
    low, high = bootstrap.interval(lambda drawn: drawn.mean(axis=1), [np.array([[3.0]])])
    assert low == high == 3.0


def test_infinite_values_are_ends_and_not_averaged():
    statistics = np.array([0.0] * 96 + [np.inf] * 4)
    assert bootstrap.percentiles(statistics, method="nearest") == (0.0, np.inf)
