"""Seeds in one program learn what each learns alone, whichever algorithm: to rounding.

XLA sums a batch of products in another order than one product, so that numbers differ in the last
of float32's seven digits; each update starts from the ones before, and differences grow slowly.
After a few iterations they are a few millionths of what they are between two seeds.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import probes
import pytest
from mjxwm_envs import seeds as seeding

from mjxwm.algos import reppo, shac, tdmpc2
from mjxwm.models import actor_critic
from mjxwm.models.world_model import Config as Model
from mjxwm.runs import build, presets
from mjxwm.runs.config import Config

SEEDS = (3, 8)
ITERATIONS = 4
POLICY = actor_critic.Config(actor=(16,), critic=(16,), critics=2)
SMALL = {
    "tdmpc2": tdmpc2.Config(
        worlds=8, unroll=8, batch=8, horizon=3, update_ratio=1, capacity=512,
        networks=tdmpc2.NetworkConfig(
            model=Model(latent=16, encoder=(16,), hidden=(16,)), q_hidden=(16,), num_q=2
        ),
    ),
    "shac": shac.Config(worlds=8, unroll=8, critic_epochs=2, critic_batches=2, policy=POLICY),
    "reppo": reppo.Config(
        worlds=8, unroll=8, minibatches=2, epochs=2, min_value=-5,
        networks=reppo.NetworkConfig(actor=(16,), encoder=(16,), features=16, head=(16,), bins=41),
    ),
}  # fmt: skip


def metrics_of(config):
    """Metrics of a few iterations, of the seeds in one program [S] and of each alone."""
    together = build.build(config, seeds=SEEDS)
    single = build.build(config)
    states = together.programs.init(together.keys(seeding.key))
    alone = [single.programs.init(seeding.key(seed)) for seed in SEEDS]
    for _ in range(ITERATIONS):
        states, metrics = together.programs.iterate(states)
        pairs = [single.programs.iterate(state) for state in alone]
        alone = [state for state, _ in pairs]
        yield metrics, [m for _, m in pairs]
    keys = together.keys(seeding.key)
    policy = single.algorithm.policy
    evaluation = together.evaluate(policy(states), keys).episode_return.mean(axis=1)
    each = [
        single.evaluate(policy(s), seeding.key(seed)).episode_return.mean()
        for s, seed in zip(alone, SEEDS, strict=True)
    ]
    yield {"eval": evaluation}, [{"eval": x} for x in each]


def compare(config):
    differ = False
    for metrics, alone in metrics_of(config):
        for i, expected in enumerate(alone):
            own = jax.tree.map(lambda x, i=i: x[i], metrics)
            assert own.keys() == expected.keys()
            for name, value in expected.items():
                np.testing.assert_allclose(own[name], value, 1e-3, 1e-5, err_msg=name)
        differ |= any(bool(jnp.any(x != x[0])) for x in metrics.values())
    assert differ, "the seeds are not one seed"


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", SMALL)
def test_seeds_in_one_program_learn_what_each_learns_alone(algorithm, monkeypatch):
    monkeypatch.setattr(build, "make_env", lambda *_: probes.make(probes.BOTH))
    config = Config(task="probe", algorithm=algorithm, algo=SMALL[algorithm], episodes=2)
    compare(config)


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["debug", "ppo-cartpole"])
def test_they_do_in_worlds_of_c_mujoco(preset):
    config = presets.load_preset(Config, preset)
    changes = {} if preset == "debug" else {"policy_layers": (16,), "value_layers": (16,)}
    algo = dataclasses.replace(config.algo, **changes)
    config = dataclasses.replace(config, engine="native", episodes=2, algo=algo)
    compare(config)
