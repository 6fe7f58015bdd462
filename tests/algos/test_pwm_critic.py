"""The critics' targets from replayed windows, against a loop that follows each window."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from pwm_cases import noisy, tweak

from mjxwm.algos.pwm import critics
from mjxwm.algos.pwm import learner as learners
from mjxwm.data.replay import Sequence
from mjxwm.models import actor_critic

CONFIG = tweak(lam=0.7, critic_replay=1.0)
H, N = CONFIG.horizon, 4
# Window 0 is whole, 1 terminates in its second step, 2 is cut there, 3 in its last.
ENDED = np.zeros((H + 1, N), bool)
ENDED[1, 1] = True
MASK = np.ones((H + 1, N), bool)
MASK[2:, 1:3] = False
NEXT = MASK.copy()
NEXT[1, 1:3] = NEXT[H - 1, 3] = False


@pytest.fixture(scope="module")
def case():
    keys = jax.random.split(jax.random.key(0), 4)
    learner = learners.init(CONFIG, learners.optimizers(CONFIG), 3, 2, keys[0])
    learner = learner._replace(target=noisy(learner.target, keys[1]))
    obs = jax.random.normal(keys[2], (H + 1, N, 3))
    reward = jax.random.normal(keys[3], (H + 1, N))
    action = jnp.zeros((H + 1, N, 2))
    return learner, Sequence(obs, action, reward, *map(jnp.asarray, (ENDED, MASK, NEXT)))


def follow(values, rewards, n):
    """Targets of window n by the definition, backwards; None where nothing is known."""
    targets, ahead = [None] * H, None
    for t in reversed(range(H)):
        if not MASK[t, n] or not (ENDED[t, n] or NEXT[t, n]):
            ahead = values[t, n]  # what came of this step is not known: no more than its value
            continue
        if ENDED[t, n]:
            ahead = rewards[t, n]
        else:
            following = values[t + 1, n] if ahead is None else ahead
            mixed = (1 - CONFIG.lam) * values[t + 1, n] + CONFIG.lam * following
            ahead = rewards[t, n] + CONFIG.gamma * mixed
        targets[t] = ahead
    return targets


def test_targets_follow_real_rewards_and_stop_where_the_replay_does(case):
    learner, windows = case
    z, targets, weights = jax.jit(lambda l, w: critics.replayed_targets(CONFIG, l, w))(*case)
    assert z.shape == (H, N, CONFIG.model.latent)
    values = actor_critic.value(learner.target, learners.encode(learner, windows.obs))
    values = np.asarray(values) * CONFIG.value_unit
    rewards = np.asarray(windows.reward / learners.reward_scale(CONFIG, learner))
    for n in range(N):
        for t, expected in enumerate(follow(values, rewards, n)):
            assert weights[t, n] == (expected is not None)
            if expected is not None:
                assert targets[t, n] == pytest.approx(expected, rel=1e-4)
