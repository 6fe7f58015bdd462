"""The unit of PWM's actor loss: the returns' deviation, but never all but nothing of their mean."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from pwm_cases import TINY, noisy, tweak

from mjxwm.algos import pwm
from mjxwm.algos.pwm.learner import return_scale
from mjxwm.data.replay import Sequence
from mjxwm.maths import moments
from mjxwm.maths.moments import Moments


@pytest.fixture(scope="module")
def learner():
    tx = pwm.learner.optimizers(TINY)
    fresh = pwm.learner.init(TINY, tx, 2, 1, jax.random.key(0))
    return fresh._replace(model=noisy(fresh.model, jax.random.key(1)))


def with_returns(learner, mean, variance):
    returns = Moments(*map(jnp.asarray, (float(mean), float(variance), 100.0)))
    return learner._replace(returns=returns)


@pytest.mark.parametrize(("mean", "deviation"), [(0, 1.0), (270, 30.0), (-1000, 1.5), (5, 0.01)])
def test_returns_that_differ_are_in_units_of_their_deviation_to_the_bit(learner, mean, deviation):
    some = with_returns(learner, mean, deviation**2)
    np.testing.assert_array_equal(return_scale(some), moments.std(some.returns))


@pytest.mark.parametrize("mean", [10.0, 1000.0, -1e6])
def test_the_loss_of_constant_returns_is_bounded(learner, mean):
    assert abs(mean) / return_scale(with_returns(learner, mean, 0)) == pytest.approx(1000, rel=1e-5)


def test_the_actor_s_gradient_of_constant_returns_is_the_smaller_the_larger_they_are(learner):
    """Of returns of 1000 it was 316 times that of returns that differ by 1."""
    config = tweak(entropy=0.0)
    tx = pwm.learner.optimizers(config)
    yes = jnp.ones((4, 4), bool)
    windows = Sequence(
        jax.random.normal(jax.random.key(2), (4, 4, 2)), jnp.zeros((4, 4, 1)),
        jnp.ones((4, 4)), ~yes, yes, yes,
    )  # fmt: skip

    @jax.jit
    def norm(some):
        metrics = pwm.update_actor(config, tx, some, windows, jax.random.key(3))[2]
        return metrics["actor/grad_norm"]

    one = norm(with_returns(learner, 0, 1))
    assert one > 0
    assert norm(with_returns(learner, 1000, 0)) == pytest.approx(float(one), rel=1e-4)
    assert norm(with_returns(learner, 1e5, 0)) == pytest.approx(float(one) / 100, rel=1e-4)
