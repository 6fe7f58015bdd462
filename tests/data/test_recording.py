"""What algorithms without a replay collect can be recorded, and recording changes nothing."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import probes
import pytest
from brax_small import SMALL_PPO, SMALL_SAC

from mjxwm import data
from mjxwm.algos import reppo, shac
from mjxwm.data import recording
from mjxwm.models import actor_critic
from mjxwm.runs.recorder import Recorder

pytest.importorskip("brax")
from mjxwm.algos.baselines import ppo, sac

PROBE = probes.Numbers(sign=1.0, clock=1.0, steps=2.0, cost=1.0, goal=0.25, goal_by_sign=0.5)
NETS = actor_critic.Config(actor=(16,), critic=(16,), critics=1)
ALGORITHMS = {
    "shac": (
        shac.make,
        shac.Config(env_steps=96, worlds=4, unroll=4, critic_epochs=1, policy=NETS),
    ),
    "reppo": (
        reppo.make,
        reppo.Config(
            env_steps=96,
            worlds=4,
            unroll=4,
            minibatches=2,
            epochs=1,
            networks=reppo.NetworkConfig(actor=(8,), encoder=(8,), features=8, head=(8,)),
        ),
    ),
    "ppo": (ppo.make, SMALL_PPO),
    "sac": (sac.make, dataclasses.replace(SMALL_SAC, updates_per_round=1)),
}
ITERATIONS = 2


def numbers(tree):
    keys = jax.dtypes.prng_key
    return [x for x in jax.tree.leaves(tree) if not jnp.issubdtype(x.dtype, keys)]


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=() if n == "shac" else pytest.mark.slow) for n in ALGORITHMS]
)
def test_all_that_is_collected_is_recorded(name, tmp_path):
    """As many rows as env steps, the first random ones included, with the rewards and ends that the
    probe gives to these observations and actions; and what is learned is what it would have been.
    """
    make, config = ALGORITHMS[name]
    env = probes.make(PROBE)
    plain = make(config, env)
    kept = make(config, recording.RecordingEnv(env, recording.rows_needed(plain, config.worlds)))
    task = data.TaskInfo("probe", 2, 1, 3)

    states = [jax.jit(algorithm.init)(jax.random.key(0)) for algorithm in (plain, kept)]
    recorder = Recorder(data.Writer(tmp_path, task), states[1], False)
    steps = [jax.jit(algorithm.iterate) for algorithm in (plain, kept)]
    for _ in range(ITERATIONS):
        states = [step(state)[0] for step, state in zip(steps, states, strict=True)]
        recorder.record(states[1])
    recorder.hold(ITERATIONS)
    recorder.settle(ITERATIONS)

    parts = [chunk.map() for chunk in data.open_data(tmp_path).chunks]
    obs, action, reward, flags = (
        np.concatenate([part[key] for part in parts])
        for key in ("obs", "action", "reward", "flags")
    )
    assert len(obs) == kept.env_steps(ITERATIONS)
    np.testing.assert_allclose(reward, -((action[:, 0] - 0.25 - 0.5 * obs[:, 0]) ** 2), atol=1e-6)
    np.testing.assert_array_equal(flags & 1, obs[:, 1] == 1)  # two steps, and it is over

    learned = [state._replace(worlds=()) for state in states]
    for one, other in zip(*map(numbers, learned), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)
