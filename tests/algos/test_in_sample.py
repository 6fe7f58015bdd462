"""Values of the data alone, and imitation of its better actions: what they are in closed form."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pwm_cases import noisy, tweak

from mjxwm.algos import pwm
from mjxwm.algos.multitask import in_sample
from mjxwm.algos.pwm import learner as learners
from mjxwm.data import replay
from mjxwm.models import actor_critic

CONFIG = tweak(env_steps=10_000, gamma=0.5, critic_steps=20, critic_lr=0.01, target_tau=0.1)
INVALID, TERMINATED = 4, 1


def fresh(seed=0):
    return learners.init(CONFIG, learners.optimizers(CONFIG), 3, 2, jax.random.key(seed))


def steps(reward, flags=0, count=8):
    """Windows of two rows: in one state, every action has its own reward."""
    obs = jnp.ones((2, count, 3))
    action = jax.random.uniform(jax.random.key(1), (2, count, 2), minval=-1)
    rows = jnp.broadcast_to(jnp.asarray(reward, float), (2, count))
    return replay.from_flags(obs, action, rows, jnp.full((2, count), flags, jnp.uint8))


@functools.cache
def program(expectile, temperature):
    tx = learners.optimizers(CONFIG)
    return jax.jit(
        lambda learner, windows: in_sample.update(
            CONFIG, expectile, temperature, tx, learner, windows
        )
    )


def learned(windows, expectile=0.5, temperature=1.0, calls=60):
    learner = fresh()
    for _ in range(calls):
        learner, actions, metrics = program(expectile, temperature)(learner, windows)
    return learner, actions, metrics


def value(learner):
    return float(actor_critic.value(learner.critic, pwm.encode(learner, jnp.ones(3))))


@pytest.mark.parametrize("expectile", [0.5, 0.9])
def test_the_value_is_the_expectile_of_what_the_actions_gave(expectile):
    reward = np.array([0.0, 0, 0, 0, 0, 0, 0, 4])
    learner, _, _ = learned(steps(reward), expectile)
    # The expectile m of the targets y = r + v / 2 has sum |expectile - 1[y < m]| (y - m) = 0, and
    # is v itself: a mean with these weights is r's, doubled.
    learned_value = value(learner) * CONFIG.value_unit
    weight = np.where(reward + learned_value / 2 > learned_value, expectile, 1 - expectile)
    assert learned_value == pytest.approx(2 * (weight * reward).sum() / weight.sum(), rel=0.03)


def test_nothing_follows_a_termination():
    learner, _, _ = learned(steps(3.0, TERMINATED))
    assert value(learner) * CONFIG.value_unit == pytest.approx(3, rel=0.03)


def test_the_better_action_is_imitated_the_more():
    _, actions, metrics = learned(steps([0.0, 0, 0, 0, 0, 0, 0, 4]), temperature=0.2)
    assert actions.weight[0, 7] > 0.7
    assert float(metrics["imitation/effective_sample"]) < 2


def test_equal_outcomes_are_imitated_alike():
    weight = in_sample.advantage_weights(jnp.full((1, 4), 7.0), jnp.ones((1, 4)), 0.2)
    np.testing.assert_allclose(weight, 0.25, rtol=1e-5)


def test_steps_whose_outcome_is_not_known_do_not_count():
    nothing = steps(1.0, INVALID)
    learner, actions, _ = program(0.5, 1.0)(fresh(), nothing)
    assert float(actions.weight.sum()) == 0
    assert float(actions.distance(learner.actor)) == 0
    for a, b in zip(jax.tree.leaves(learner), jax.tree.leaves(fresh()), strict=True):
        assert jnp.isfinite(a).all()
        assert a.shape == b.shape


def test_the_distance_is_the_weighted_square_to_what_was_done():
    learner = fresh()
    actor = noisy(learner.actor, jax.random.key(4))
    windows = steps(np.arange(8.0))
    _, actions, _ = program(0.5, 1.0)(learner, windows)
    apart = np.square(actor.mean(actions.z) - windows.action[:-1]).sum(axis=-1)
    assert actions.distance(actor) == pytest.approx(float((actions.weight * apart).sum()), rel=1e-5)


def test_what_is_added_to_the_actors_loss_moves_it():
    config = dataclasses.replace(CONFIG, imagine_batch=4, actor_lr=3e-3)
    learner, tx = fresh(), learners.optimizers(config)
    windows = steps(np.arange(8.0))
    _, actions, _ = program(0.5, 1.0)(learner, windows)

    def moved(learner, key):
        near = 1e3
        return pwm.update_actor(
            config, tx, learner, windows, key, lambda actor: near * actions.distance(actor)
        )[0]

    move = jax.jit(moved)
    # All in one state: the nearest that a policy can come is their weighted mean.
    expected = (actions.weight[..., None] * actions.action).sum(axis=(0, 1))

    def apart(learner):
        return float(jnp.abs(learner.actor.mean(actions.z[0, 0]) - expected).max())

    before = apart(learner)
    for i in range(100):
        learner = move(learner, jax.random.key(i))
    assert apart(learner) < 0.5 * before


@example([-1.0, -1.0], 0.2)
@example([-5.0, -5.1, -4.9, -5.0], 0.2)
@given(
    st.lists(st.floats(-1e3, 1e3, width=32), min_size=2, max_size=16),
    st.floats(0.05, 5),
)
def test_weights_sum_to_one_and_follow_the_order_of_advantages(advantage, temperature):
    x = jnp.asarray(advantage)
    weight = np.asarray(in_sample.advantage_weights(x, jnp.ones_like(x), temperature))
    assert weight.sum() == pytest.approx(1, rel=1e-4)
    order = np.argsort(np.asarray(x), kind="stable")
    assert (np.diff(weight[order]) >= -1e-6).all()


def test_a_value_that_is_off_for_all_actions_changes_no_weight():
    x, mask = jax.random.normal(jax.random.key(2), (64,)), jnp.ones(64)
    weight = in_sample.advantage_weights(x, mask, 0.2)
    np.testing.assert_allclose(
        weight, in_sample.advantage_weights(x - 3, mask, 0.2), rtol=1e-3, atol=1e-7
    )
