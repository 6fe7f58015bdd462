"""REPPO's runs: a checkpoint holds all that matters, and cartpole is learned."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import probes
import pytest

from mjxwm.algos import reppo
from mjxwm.runs import build, checkpoint, loop, presets
from mjxwm.runs.config import Config as RunConfig

TINY = reppo.Config(
    env_steps=3 * 32, worlds=4, unroll=8, minibatches=2, epochs=1, min_value=-5,
    networks=reppo.NetworkConfig(actor=(8,), encoder=(8,), features=8, head=(8,), bins=21),
)  # fmt: skip


def test_a_run_goes_on_bitwise_from_its_checkpoint(monkeypatch, tmp_path, key):
    monkeypatch.setattr(build, "make_env", lambda cfg: probes.make(probes.BOTH))
    trainer = build.build(RunConfig(algorithm="reppo", algo=TINY))
    iterate = trainer.programs.iterate
    state, _ = iterate(trainer.programs.init(key))
    checkpoint.save(tmp_path, 1, state)
    restored = checkpoint.restore(tmp_path, jax.eval_shape(trainer.algorithm.init, key))
    straight, resumed = iterate(state)[0], iterate(restored)[0]
    jax.tree.map(lambda a, b: np.testing.assert_array_equal(bits(a), bits(b)), straight, resumed)


def bits(x):
    return jax.random.key_data(x) if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else x


@pytest.mark.slow
def test_cartpole_is_swung_up(tmp_path):
    """With the preset, in 60 % of its steps: doing nothing gives about 0, of 1000."""
    config = presets.load_preset(RunConfig, "reppo-cartpole")
    config = dataclasses.replace(
        config,
        algo=dataclasses.replace(config.algo, env_steps=300_000),
        engine="native",
        evaluations=0,
        video=False,
    )
    evaluation = loop.run(config, "reppo-cartpole", "run", tmp_path).evaluation
    assert evaluation is not None
    assert evaluation.episode_return.mean() > 600
