"""The forms that TD-MPC2's planner and update have on a GPU give what the plain forms give.

Programs are traced for both platforms and run here, in double precision.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from platforms import assert_equal, on_both

from mjxwm.algos import tdmpc2
from mjxwm.algos.tdmpc2 import config, networks, planner, sequences, updates
from mjxwm.models import world_model

OBS, ACTION, WORLDS = 5, 3, 4


@pytest.fixture(autouse=True)
def double_precision():
    with jax.enable_x64(True):
        yield


TABLE = networks.TaskTable(jnp.array([[1, 1, 1], [1, 1, 0]], float), jnp.full(2, 0.9))


def noisy_networks(**changes):
    """Networks of two tasks, none of their weights 0, and the sizes of their model."""
    sizes = {"latent": 16, "encoder": (12,), "hidden": (12, 12), "num_bins": 5, **changes}
    model = world_model.Config(**{"reward_head": "two-hot", **sizes})
    size = config.NetworkConfig(model=model, q_hidden=(12, 12), num_q=3, task_size=4)
    nets = networks.init(size, OBS, ACTION, 2, key=jax.random.key(1))

    def noisy(x):
        return x.astype(float) + 0.3 * jax.random.normal(jax.random.key(x.size), x.shape, float)

    return jax.tree.map(noisy, nets), model


def task_networks(**changes):
    """Networks of a task that lacks an action."""
    return networks.for_task(noisy_networks(**changes)[0], TABLE, 1)


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"continuation": 0.0}, id="episodes that do not terminate"),
        pytest.param(
            {"latent": 8, "num_bins": 11},
            id="more bins than features of the latent",
            marks=pytest.mark.slow,
        ),
        pytest.param({"reward_head": "scalar"}, id="a scalar reward", marks=pytest.mark.slow),
    ],
)
def test_the_values_of_sequences(changes):
    nets = task_networks(**changes)
    keys = jax.random.split(jax.random.key(2), 3)
    z = nets.model.encode(jax.random.normal(keys[0], (WORLDS, OBS), float))
    actions = jax.random.uniform(keys[1], (WORLDS, 3, 32, ACTION), float, minval=-1)
    noise = jax.random.normal(keys[2], (WORLDS, 32, ACTION), float)

    def values(z, actions, noise):
        return sequences.values(nets.with_qs(jnp.array([0, 2])), z, actions, noise)

    assert_equal(on_both(jax.vmap(values), z, actions, noise))


def test_a_padded_ensemble_is_its_networks():
    model = task_networks(latent=8, num_bins=11).model.model
    pair = (model.dynamics, model.reward_head)
    x = jax.random.normal(jax.random.key(0), (6, model.dynamics.layers[0].kernel.shape[0]), float)
    outputs = jax.vmap(lambda net: net(x))(sequences.as_ensemble(*pair))
    for net, padded in zip(pair, outputs, strict=True):
        np.testing.assert_allclose(sequences.activated(net, padded), net(x), rtol=1e-9)


def test_mean_and_variance_of_elites_by_hand():
    """Values log 3 and 0: weights of 3/4 and 1/4."""
    logits = jnp.log(jnp.array([3.0, 1.0]))
    elites = jnp.array([[[0.0, 1.0], [1.0, 1.0]]])
    for score, mean, variance in on_both(planner.weighed, logits, elites):
        np.testing.assert_allclose(score, [0.75, 0.25], rtol=1e-12)
        np.testing.assert_allclose(mean, [[0.25, 1.0]], rtol=1e-12)
        np.testing.assert_allclose(variance, [[0.1875, 0.0]], atol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("explore", [False, True])
def test_plans(explore):
    """One iteration: in later ones rounding may choose other elites."""
    nets = task_networks()
    planning = config.Planning(samples=32, policy_samples=8, elites=8, iterations=1)
    obs = jax.random.normal(jax.random.key(3), (WORLDS, OBS), float)
    plans = jnp.full((WORLDS, planning.plan_horizon, ACTION), 0.2)

    def plan(plans, obs):
        return tdmpc2.plan_worlds(planning, nets, plans, obs, jax.random.key(4), explore)

    assert_equal(on_both(plan, plans, obs))


@pytest.mark.parametrize("size", [1, 7, 64, 256])
def test_percentiles(size):
    x = jax.random.normal(jax.random.key(size), (2, size), float)
    assert_equal(on_both(lambda x: updates.percentiles(x, 5.0, 50.0, 95.0), x))
    assert all(jnp.isnan(p).all() for p in on_both(updates.percentiles, x.at[0, 0].set(jnp.nan)))


@pytest.mark.slow
def test_two_updates():
    """A loop over updates, with optimisers packed on a GPU, and an encoder that learns slowly."""
    nets, model = noisy_networks(continuation=1.0)
    rates = updates.Rates(1e-2, 0.3, 0.1, 1e-2, 0.1)
    tx = updates.optimizers(rates, updates=2)
    keys = jax.random.split(jax.random.key(5), 4)
    batch = world_model.Batch(
        obs=jax.random.normal(keys[0], (4, WORLDS, OBS), float),
        action=jax.random.uniform(keys[1], (3, WORLDS, ACTION), float, minval=-1),
        reward=jax.random.normal(keys[2], (3, WORLDS), float),
        terminated=jnp.zeros((3, WORLDS)).at[1, 0].set(1),
        mask=jnp.ones((3, WORLDS)).at[2, 0].set(0),
        next_mask=jnp.ones((3, WORLDS)).at[1:, 0].set(0),
    )
    task = jnp.arange(WORLDS) % 2

    def updated(nets):
        def step(learner, key):
            return updates.update(model, rates, tx, learner, TABLE, batch, task, key)

        learner = updates.packed(tx, updates.init(tx, nets))
        learner, metrics = jax.lax.scan(step, learner, jax.random.split(keys[3]))
        return updates.unpacked(tx, learner), metrics

    assert_equal(on_both(updated, nets))
