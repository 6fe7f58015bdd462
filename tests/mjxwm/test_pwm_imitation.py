"""The term that keeps a policy near the data: what it is, and that only what was done counts."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from pwm_cases import noisy, tweak

from mjxwm import replay
from mjxwm.algos import pwm
from mjxwm.algos.pwm import learner as learners
from mjxwm.algos.pwm import updates

PLAIN = tweak(imagine_batch=4, env_steps=10_000, actor_lr=3e-3)
NEAR = dataclasses.replace(PLAIN, imitation=1e3)
INVALID = 4


@pytest.fixture(scope="module")
def case():
    keys = jax.random.split(jax.random.key(0), 4)
    learner = learners.init(PLAIN, learners.optimizers(PLAIN), 3, 2, keys[0])
    learner = learner._replace(actor=noisy(learner.actor, keys[1]))
    obs = jax.random.normal(keys[2], (1, 4, 3))
    action = jax.random.uniform(keys[3], (1, 4, 2), minval=-1)

    def windows(flags):
        return replay.from_flags(obs, action, jnp.zeros((1, 4)), jnp.full((1, 4), flags, jnp.uint8))

    return learner, windows


@functools.cache
def program(config):
    tx = learners.optimizers(config)
    return jax.jit(lambda learner, w: pwm.update_policy(config, tx, learner, w, jax.random.key(3)))


def distance(learner, windows):
    apart = pwm.learner.act(learner, windows.obs[0], None) - windows.action[0]
    return float((apart**2).sum(axis=-1).mean())


def test_the_term_is_the_mean_squared_distance_to_what_was_done(case):
    learner, windows = case
    # A window of one step each, one of each quarter: all four are drawn, in their order.
    start = updates._starts(windows(0), jax.random.key(1), 4)
    z = pwm.encode(learner, start.obs)
    found = updates._distance(learner.actor, z, start)
    assert found == pytest.approx(distance(learner, windows(0)), rel=1e-5)


def test_it_pulls_the_policy_to_the_data(case):
    learner, windows = case
    data = windows(0)
    plain, near = learner, learner
    for _ in range(50):
        plain, near = program(PLAIN)(plain, data)[0], program(NEAR)(near, data)[0]
    assert distance(near, data) < 0.8 * distance(learner, data)
    assert distance(near, data) < distance(plain, data)


def test_rows_in_which_nothing_was_done_do_not_count(case):
    learner, windows = case
    nothing = windows(INVALID)
    plain, near = (program(config)(learner, nothing)[0].actor for config in (PLAIN, NEAR))
    for a, b in zip(jax.tree.leaves(plain), jax.tree.leaves(near), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)
