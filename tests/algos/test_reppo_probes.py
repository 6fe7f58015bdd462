"""REPPO learns the values and actions of worlds in which they are known.

All probes are learned side by side by one compiled program. Values are in units of reward: the
critic's at the policy's deterministic action. Their entropy's weight falls to almost nothing.
"""

import jax
import jax.numpy as jnp
import probes
import pytest

from mjxwm.algos import reppo

pytestmark = pytest.mark.slow

GAMMA, TOLERANCE = 0.8, 0.15
STATES = {"start": (0, 0), "second": (0, 1), "third": (0, 2), "plus": (1, 0), "minus": (-1, 0)}
CONFIG = reppo.Config(
    env_steps=16 * 12 * 150,
    worlds=16,
    unroll=12,
    minibatches=4,
    epochs=4,
    gamma=GAMMA,
    lr=5e-3,
    min_value=-4,
    max_value=8,
    entropy=0.01,
    target_entropy=-2.0,
    networks=reppo.NetworkConfig(
        actor=(16,), encoder=(32,), features=32, head=(32,), bins=61, min_std=0.01
    ),
)


@pytest.fixture(scope="module")
def learned():
    """(probe, state) -> the value there and the policy's deterministic action."""

    def run(numbers, key):
        algorithm = reppo.make(CONFIG, probes.make(numbers))
        state, _ = jax.lax.scan(
            lambda s, _: algorithm.iterate(s), algorithm.init(key), None, algorithm.iterations
        )
        obs = jnp.array(list(STATES.values()), float)
        policy = algorithm.policy(state)
        outlook = algorithm.agent.outlook
        assert outlook is not None
        return outlook.value(policy, obs), algorithm.act(policy, obs)[:, 0]

    numbers = jax.tree.map(lambda *x: jnp.array(x, float), *probes.BY_NAME.values())
    keys = jax.random.split(jax.random.key(0), len(probes.BY_NAME))
    value, action = jax.device_get(jax.jit(jax.vmap(run))(numbers, keys))
    return {
        (probe, state): (value[i, j], action[i, j])
        for i, probe in enumerate(probes.BY_NAME)
        for j, state in enumerate(STATES)
    }


@pytest.mark.parametrize(
    ("probe", "state", "truth"),
    [
        # One step of reward 1, then nothing: the end must not be bootstrapped from.
        ("constant", "start", 1.0),
        ("observation", "plus", 1.0),
        ("observation", "minus", -1.0),
        # Reward 1 after the second step: discounted once, not twice and not never.
        ("delayed", "start", GAMMA),
        ("delayed", "second", 1.0),
        ("action", "start", 0.0),
        ("both", "plus", 0.0),
        ("both", "minus", 0.0),
        # Cut, but not ended, after 3 steps: an infinite sum; ended after 3 steps: a finite one.
        ("endless", "start", 1 / (1 - GAMMA)),
        ("three steps", "start", 1 + GAMMA + GAMMA**2),
        ("three steps", "second", 1 + GAMMA),
        ("three steps", "third", 1.0),
    ],
)
def test_the_value_is_learned(learned, probe, state, truth):
    assert learned[probe, state][0] == pytest.approx(truth, abs=TOLERANCE, rel=0.04)


@pytest.mark.parametrize(
    ("probe", "state", "truth"),
    [("action", "start", 0.5), ("both", "plus", 0.5), ("both", "minus", -0.5)],
)
def test_the_action_is_learned(learned, probe, state, truth):
    assert learned[probe, state][1] == pytest.approx(truth, abs=TOLERANCE)
