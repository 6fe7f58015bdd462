"""SHAC's critics: their targets, and the passes over a window."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from platforms import assert_equal, on_both
from shac_cases import GAMMA, TINY, column, tweak

from mjxwm.algos import shac
from mjxwm.algos.shac import learner as learners
from mjxwm.algos.shac.window import Window
from mjxwm.maths import moments
from mjxwm.models import actor_critic
from mjxwm.types import Transition


def test_targets_stop_at_ends_and_take_the_value_where_an_episode_was_cut():
    config = tweak(lam=1.0, bootstrap=True)
    tx = learners.optimizers(config)
    fresh = learners.init(config, tx, 1, 1, jax.random.key(0))
    # Every state is worth 5: the output layer is its bias alone.
    critic = jax.tree.map(jnp.zeros_like, fresh.target)
    critic = jax.tree_util.tree_map_with_path(
        lambda path, x: x + (5 / config.value_unit if x.shape == (1, 1) else 0), critic
    )
    assert actor_critic.value(critic, jnp.zeros(1)) * config.value_unit == pytest.approx(5)
    zero, false = jnp.zeros((3, 1)), jnp.zeros((3, 1), bool)
    steps = Transition(
        zero[..., None], zero[..., None], column(1, 2, 3), false, false, ~false, zero[..., None]
    )
    cases = {
        "going on": (
            steps,
            [1 + GAMMA * (2 + GAMMA * (3 + GAMMA * 5)), 2 + GAMMA * (3 + GAMMA * 5), 7.0],
        ),
        "terminated": (steps._replace(terminated=false.at[1].set(True)), [1 + GAMMA * 2, 2, 7]),
        "truncated": (steps._replace(truncated=false.at[1].set(True)), [1 + GAMMA * 6, 6, 7]),
    }
    for trajectory, expected in cases.values():
        window = Window(trajectory, zero, zero[0], None, {})  # type: ignore[arg-type]
        targets = shac.targets(config, fresh._replace(target=critic), window)
        np.testing.assert_allclose(targets[:, 0], expected, rtol=1e-6)


def window_of(steps):
    """A window of an environment without anything but these steps."""
    return Window(steps, jnp.zeros(steps.reward.shape), steps.reward[0], None, {})  # type: ignore[arg-type]


def random_steps():
    numbers = jax.random.normal(jax.random.key(1), (4, 3))
    false = jnp.zeros((4, 3), bool)
    return Transition(
        numbers[..., None], numbers[..., None], numbers, false, false, ~false, numbers[..., None]
    )


def test_critics_learn_the_same_in_the_form_for_a_gpu():
    """Their optimiser is packed there and batches are not in a loop; the learner is as before."""
    tx = learners.optimizers(TINY)
    fresh = learners.init(TINY, tx, 1, 1, jax.random.key(0))
    window = window_of(random_steps())

    def update(learner, key):
        return shac.update_critic(TINY, tx, learner, window, key)

    results = on_both(update, fresh, jax.random.key(2))
    assert_equal(results, rtol=1e-3, atol=1e-5)  # in single precision


@pytest.mark.parametrize("batches", [1, 2, 3, 4, 7])
def test_a_pass_of_the_critics_sees_every_state_once(batches):
    """At a learning rate of next to nothing, batches of any number have the loss of the whole."""
    config = tweak(critic_batches=batches, critic_epochs=2, critic_lr=1e-12, target_tau=0.0)
    tx = learners.optimizers(config)
    fresh = learners.init(config, tx, 1, 1, jax.random.key(0))
    steps = random_steps()
    window = window_of(steps)
    targets = shac.targets(config, fresh, window) / config.value_unit
    error = actor_critic.values(fresh.critic, moments.normalize(fresh.obs, steps.obs)) - targets
    _, metrics = shac.update_critic(config, tx, fresh, window, jax.random.key(2))
    np.testing.assert_allclose(metrics["critic/loss"], (error**2).mean(), rtol=1e-5)
