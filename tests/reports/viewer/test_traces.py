"""What is plotted: returns that followed a step, and rewards of the next ones."""

import numpy as np

from mjxwm.reports.viewer.simulation import Moment
from mjxwm.reports.viewer.traces import Traces


def moment(reward, done=False, terminated=False, value=0.0, imagined=0.0):
    world = np.ones(1)
    flag = np.ones(1, bool)
    return Moment(
        *(world, world, world, world, reward * world),
        {"alive": reward * world, "effort": 0 * world},
        *(flag & done, flag & terminated, world, world, value * world, imagined * world),
    )


def filled(moments, gamma=0.5, horizon=2, length=100):
    traces = Traces(length, gamma, horizon)
    for one in moments:
        traces.add(one)
    return traces


def test_the_return_that_followed_ends_in_the_newest_value():
    traces = filled([moment(1), moment(2), moment(4, value=10)])
    value, actual = traces.values(0)
    np.testing.assert_allclose(value, [0, 0, 10])
    np.testing.assert_allclose(actual, [1 + 0.5 * (2 + 0.5 * 10), 2 + 0.5 * 10, 10])


def test_nothing_follows_a_termination_and_what_follows_a_cut_is_unknown():
    ended = filled([moment(1), moment(2, done=True, terminated=True), moment(4), moment(8)])
    np.testing.assert_allclose(ended.values(0)[1][:2], [1 + 0.5 * 2, 2])
    cut = filled([moment(1), moment(2, done=True), moment(4), moment(8)])
    assert np.isnan(cut.values(0)[1][:2]).all()


def test_rewards_of_the_next_steps_beside_what_was_imagined():
    traces = filled([moment(1, imagined=3.5), moment(2), moment(4)])
    imagined, real = traces.sums(0)
    np.testing.assert_allclose(imagined, [3.5, 0, 0])
    np.testing.assert_allclose(real, [3, 6, np.nan])
    ends = [moment(1, done=True, terminated=True), moment(2, done=True), moment(4), moment(8)]
    np.testing.assert_allclose(filled(ends).sums(0)[1], [1, np.nan, 12, np.nan])


def test_only_the_last_steps_are_kept_and_terms_have_their_names():
    traces = filled([moment(i) for i in range(10)], length=3)
    assert (len(traces), traces.steps) == (3, 10)
    assert list(traces.rewards(0)) == ["reward", "alive", "effort"]
    np.testing.assert_allclose(traces.rewards(0)["alive"], [7, 8, 9])
    traces.clear()
    assert len(traces) == 0
