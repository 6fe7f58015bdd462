"""PWM learns the values and actions of worlds in which they are known.

All probes are learned side by side by one compiled program. Values are compared in units of reward.
"""

import dataclasses
import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import probes
import pytest

from mjxwm.algos import pwm
from mjxwm.models import actor_critic, world_model

GAMMA, TOLERANCE = 0.8, 0.1
PROBES = probes.BY_NAME
STATES = {"start": (0, 0), "second": (0, 1), "third": (0, 2), "plus": (1, 0), "minus": (-1, 0)}
CONFIG = pwm.Config(
    env_steps=128 * 64,
    worlds=8,
    unroll=8,
    warmup=8,
    # Everything is kept: the model must know more than what the policy does at the end.
    capacity=128 * 64,
    # The model runs ahead of the policy, or the policy would leave for where the model is wrong.
    update_ratio=32.0,
    model_steps=4,
    batch=32,
    horizon=4,
    imagine_batch=32,
    imagine_horizon=4,
    gamma=GAMMA,
    model_lr=3e-3,
    actor_lr=1e-3,
    critic_lr=3e-3,
    # Groups of two: beside so few features an action would otherwise drown the latent.
    model=world_model.Config(
        latent=32, simnorm_group=2, encoder=(32,), hidden=(32,), reward_head="two-hot"
    ),
    policy=actor_critic.Config(actor=(32,), critic=(32,), critics=2, init_std=0.2, min_std=0.05),
)


class Learned(NamedTuple):
    """By state: value [reward] and deterministic action."""

    value: jax.Array
    action: jax.Array


def train(config: pwm.Config) -> dict[str, dict[str, Learned]]:
    """What is learned in each probe."""

    def run(numbers, key):
        algorithm = pwm.make(config, probes.make(numbers))
        state, _ = jax.lax.scan(
            lambda s, _: algorithm.iterate(s), algorithm.init(key), None, algorithm.iterations
        )
        obs, learner = jnp.array(list(STATES.values()), float), state.learner
        z = pwm.encode(learner, obs)
        unit = config.value_unit * pwm.reward_scale(config, learner)
        action = algorithm.act(algorithm.policy(state), obs)
        return Learned(actor_critic.value(learner.critic, z) * unit, action[:, 0])

    numbers = jax.tree.map(lambda *x: jnp.array(x, float), *PROBES.values())
    keys = jax.random.split(jax.random.key(0), len(PROBES))
    learned = jax.device_get(jax.jit(jax.vmap(run))(numbers, keys))
    return {
        probe: {state: Learned(*(x[i, j] for x in learned)) for j, state in enumerate(STATES)}
        for i, probe in enumerate(PROBES)
    }


VALUES = [
    # One step of reward 1, then nothing: the end must not be bootstrapped from.
    ("constant", "start", 1.0),
    # The value is a function of the observation.
    ("observation", "plus", 1.0),
    ("observation", "minus", -1.0),
    # Reward 1 after the second step: discounted once, not twice and not never.
    ("delayed", "start", GAMMA),
    ("delayed", "second", 1.0),
    # The best action costs nothing; what noise remains costs less than the tolerance.
    ("action", "start", 0.0),
    ("both", "plus", 0.0),
    ("both", "minus", 0.0),
    # Cut after 3 steps, but not ended: the reward goes on for ever.
    ("endless", "start", 1 / (1 - GAMMA)),
    # Ended after 3 steps: a finite sum.
    ("three steps", "start", 1 + GAMMA + GAMMA**2),
    ("three steps", "second", 1 + GAMMA),
    ("three steps", "third", 1.0),
]
ACTIONS = [("action", "start", 0.5), ("both", "plus", 0.5), ("both", "minus", -0.5)]


@pytest.fixture(scope="module")
def learned():
    return train(CONFIG)


@pytest.mark.parametrize(("probe", "state", "truth"), VALUES)
def test_the_value_is_learned(learned, probe, state, truth):
    assert abs(learned[probe][state].value - truth) < TOLERANCE


@pytest.mark.parametrize(("probe", "state", "truth"), ACTIONS)
def test_the_best_action_is_learned(learned, probe, state, truth):
    assert abs(learned[probe][state].action - truth) < TOLERANCE


@pytest.mark.slow
def test_a_scalar_reward_head_learns_the_same_values():
    # Actions aside: this head follows the reward's curve later than the policy climbs it.
    model = dataclasses.replace(CONFIG.model, reward_head="scalar")
    scalar = train(dataclasses.replace(CONFIG, model=model))
    values = [(p, s, truth) for p, s, truth in VALUES if p not in ("action", "both")]
    for probe, state, truth in values:
        assert abs(scalar[probe][state].value - truth) < TOLERANCE, (probe, state)


def test_the_probes_are_what_they_say():
    # The engine and the task, apart from any learning.
    step = functools.partial(_step, probes.BOTH)
    for sign in (-1.0, 1.0):
        assert step(sign, 0.5 * sign) == (0, True)
        np.testing.assert_allclose(step(sign, 0.5 * sign + 0.2)[0], -0.04, rtol=1e-5)
    assert _step(probes.ENDLESS, 0.0, 0.3) == (1, False)
    assert _step(probes.DELAYED, 0.0, 0.3) == (0, False)


def _step(numbers, sign, action):
    env = probes.make(numbers)
    state = env.reset(jax.random.key(0))
    physics = state.sim.physics._replace(qpos=jnp.array([sign]))
    after = env.step(state._replace(sim=state.sim._replace(physics=physics)), jnp.array([action]))
    return float(after.reward), bool(after.terminated)
