"""TD-MPC2's policy finds the best action of each of several tasks, learned from data alone.

All tasks show the same observation, so that only their embedding tells them apart. An episode is
one step; its reward is 1 minus the squared distance of the action to the task's goal. The data's
actions are uniform: they cover every action, so that a policy that misses the goal is an error of
the update and not of the data.
"""

import jax
import jax.numpy as jnp
import pytest

from mjxwm.algos import tdmpc2
from mjxwm.models import world_model

pytestmark = pytest.mark.slow

GOALS = jnp.array([[0.5, -0.5], [-0.6, 0.0], [0.0, 0.6], [0.3, 0.0]])
MASK = jnp.array([[1.0, 1.0], [1.0, 0.0], [1.0, 1.0], [1.0, 0.0]])
TABLE = tdmpc2.TaskTable(MASK, jnp.full(4, 0.9))
NETWORKS = tdmpc2.NetworkConfig(
    model=world_model.Config(
        latent=16, simnorm_group=2, encoder=(16,), hidden=(32,), reward_head="two-hot",
        consistency=20.0, reward=0.1, continuation=0.0, rho=0.5,
    ),
    q_hidden=(32,),
    num_q=2,
    dropout=0.0,
    task_size=4,
)  # fmt: skip
RATES = tdmpc2.Rates(lr=3e-3, encoder_lr=1.0, tau=0.03, entropy=1e-4, value=0.1)
UPDATES, N = 600, 64


def batch(key):
    key_task, key_action = jax.random.split(key)
    task = jax.random.randint(key_task, (N,), 0, len(GOALS))
    action = jax.random.uniform(key_action, (1, N, 2), minval=-1, maxval=1)
    miss = ((action - GOALS[task]) ** 2 * MASK[task]).sum(axis=-1)
    # What an action has in dimensions that its task lacks must not matter.
    action = jnp.where(MASK[task] > 0, action, jnp.nan)
    ones = jnp.ones((1, N))
    obs = jnp.zeros((2, N, 1))
    return world_model.Batch(obs, action, 1 - miss, ones, ones, 0 * ones), task


@pytest.fixture(scope="module")
def networks():
    tx = tdmpc2.updates.optimizers(RATES, UPDATES)

    @jax.jit
    def learn(key):
        def step(learner, key):
            windows, task = batch(key)
            return tdmpc2.updates.update(
                NETWORKS.model, RATES, tx, learner, TABLE, windows, task, key
            )

        fresh = tdmpc2.networks.init(NETWORKS, 1, 2, len(GOALS), key=key)
        keys = jax.random.split(key, UPDATES)
        return jax.lax.scan(step, tdmpc2.updates.init(tx, fresh), keys)[0].networks

    return learn(jax.random.key(0))


@pytest.mark.parametrize("task", range(len(GOALS)))
def test_the_best_action_of_each_task_is_found(networks, task):
    nets = tdmpc2.for_task(networks, TABLE, task)
    z = nets.model.encode(jnp.zeros((1, 1)))
    action = nets.act(z, None)
    assert jnp.abs(action[0] - GOALS[task]).max() < 0.1
    assert jnp.abs(nets.values(z, action) - 1).max() < 0.1
