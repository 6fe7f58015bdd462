"""PPO and SAC learn what is known of the probes."""

import jax
import jax.numpy as jnp
import numpy as np
import probes
import pytest
from brax_small import GAMMA, SMALL_PPO, SMALL_SAC

pytest.importorskip("brax")

from mjxwm.algos.baselines import ppo, sac

PROBES = probes.BY_NAME
START, SECOND, THIRD, PLUS, MINUS = STATES = ((0, 0), (0, 1), (0, 2), (1, 0), (-1, 0))
SEEDS = 5
"""One run of PPO in eight ends, in one of the states, farther from the best action than 0.1."""


def learn(make_parts, init, iterate, act, iterations):
    """Values and deterministic actions in every probe: medians of runs, all in one program."""

    def run(numbers, key):
        parts = make_parts(probes.make(numbers))
        state, _ = jax.lax.scan(lambda s, _: iterate(parts, s), init(parts, key), None, iterations)
        return act(parts, state, jnp.array(STATES, float))

    numbers = jax.tree.map(lambda *x: jnp.array(x, float), *PROBES.values())
    keys = jax.random.split(jax.random.key(0), (len(PROBES), SEEDS))
    of_seeds = jax.jit(jax.vmap(jax.vmap(run, (None, 0))))(numbers, keys)
    learned = jax.device_get([jnp.median(x, axis=1) for x in of_seeds])
    return {
        (probe, state): [x[i, j] for x in learned]
        for i, probe in enumerate(PROBES)
        for j, state in enumerate(STATES)
    }


@pytest.fixture(scope="module")
def ppo_learned():
    def act(parts, state, obs):
        value = parts.nets.value_network.apply(state.normalizer, state.params.value, obs)
        algorithm = ppo.make(SMALL_PPO, probes.make(probes.BOTH))
        return value, algorithm.act(algorithm.policy(state), obs)[:, 0]

    return learn(
        lambda env: ppo.make_parts(SMALL_PPO, env),
        ppo.init,
        ppo.iterate,
        act,
        SMALL_PPO.iterations,
    )


@pytest.mark.parametrize(
    ("probe", "state", "truth"),
    [
        # One step of reward 1, then nothing: the end must not be bootstrapped from.
        ("constant", START, 1.0),
        ("observation", PLUS, 1.0),
        ("observation", MINUS, -1.0),
        ("delayed", START, GAMMA),
        ("delayed", SECOND, 1.0),
        # Cut after 3 steps, but not ended: the reward goes on for ever.
        ("endless", START, 1 / (1 - GAMMA)),
        # Ended after 3 steps: a finite sum.
        ("three steps", START, 1 + GAMMA + GAMMA**2),
        ("three steps", SECOND, 1 + GAMMA),
        ("three steps", THIRD, 1.0),
    ],
)
def test_ppo_learns_the_value(ppo_learned, probe, state, truth):
    assert abs(ppo_learned[probe, state][0] - truth) < 0.1


BEST = [("action", START, 0.5), ("both", PLUS, 0.5), ("both", MINUS, -0.5)]


@pytest.mark.parametrize(("probe", "state", "truth"), BEST)
def test_ppo_learns_the_best_action(ppo_learned, probe, state, truth):
    assert abs(ppo_learned[probe, state][1] - truth) < 0.1


@pytest.fixture(scope="module")
def sac_learned():
    def act(parts, state, obs):
        algorithm = sac.make(SMALL_SAC, probes.make(probes.BOTH))
        action = algorithm.act(algorithm.policy(state), obs)
        values = parts.nets.q_network.apply(state.normalizer, state.learner.critics, obs, action)
        alpha = jnp.broadcast_to(jnp.exp(state.learner.log_alpha), len(obs))
        return values.min(axis=1) / SMALL_SAC.reward_scaling, action[:, 0], alpha

    return learn(
        lambda env: sac.make_parts(SMALL_SAC, env),
        sac.init,
        sac.iterate,
        act,
        SMALL_SAC.iterations,
    )


@pytest.mark.parametrize(
    ("probe", "state", "rewards", "bonus"),
    [
        ("constant", START, 1.0, 0.0),
        ("observation", PLUS, 1.0, 0.0),
        ("observation", MINUS, -1.0, 0.0),
        ("delayed", START, GAMMA, GAMMA),
        ("delayed", SECOND, 1.0, 0.0),
        ("endless", START, 1 / (1 - GAMMA), GAMMA / (1 - GAMMA)),
        ("three steps", START, 1 + GAMMA + GAMMA**2, GAMMA + GAMMA**2),
        ("three steps", SECOND, 1 + GAMMA, GAMMA),
        ("three steps", THIRD, 1.0, 0.0),
    ],
)
def test_sac_learns_the_value(sac_learned, probe, state, rewards, bonus):
    # Where actions are free the best policy is uniform on [-1, 1]: each later step is worth the
    # temperature times ln 2 more.
    value, _, alpha = sac_learned[probe, state]
    entropy = alpha * np.log(2) / SMALL_SAC.reward_scaling
    assert abs(value - (rewards + bonus * entropy)) < 0.1


@pytest.mark.parametrize(("probe", "state", "truth"), BEST)
def test_sac_learns_the_best_action(sac_learned, probe, state, truth):
    assert abs(sac_learned[probe, state][1] - truth) < 0.1


@pytest.mark.slow
def test_every_env_step_is_counted(key):
    # Episodes of three steps: as many steps as the budget says, the warm-up included.
    env = probes.make(probes.ENDLESS)
    for algorithm, worlds in ((ppo.make(SMALL_PPO, env), 16), (sac.make(SMALL_SAC, env), 16)):
        _, metrics = jax.jit(algorithm.iterate)(jax.jit(algorithm.init)(key))
        steps = algorithm.env_steps(1) - algorithm.env_steps(0)
        # The first and the last episode of a world are cut by the iteration's ends.
        assert abs(3 * metrics["collect/episodes"] - steps) <= 3 * worlds
        assert metrics["collect/return_sum"] == metrics["collect/length_sum"]
    assert ppo.make(SMALL_PPO, env).env_steps(0) == 0
    assert sac.make(SMALL_SAC, env).env_steps(0) == SMALL_SAC.warmup
    assert ppo.make(SMALL_PPO, env).env_steps(SMALL_PPO.iterations) == SMALL_PPO.env_steps
