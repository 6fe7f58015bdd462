"""PPO's and SAC's runs: checkpoints, run folders, and what is refused."""

import importlib
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import probes
import pytest
from brax_small import SMALL_PPO

from mjxwm import ConfigError, data
from mjxwm.algos import baselines
from mjxwm.algos.baselines import PPO, SAC, tanh_gaussian
from mjxwm.algos.baselines.env import init_normalizer
from mjxwm.reports import outcome, scores
from mjxwm.runs import build, checkpoint, loop, presets, start
from mjxwm.runs.config import Config as RunConfig
from mjxwm.types import Sizes

pytest.importorskip("brax")

TINY = {
    "ppo": PPO(
        env_steps=3 * 64,
        worlds=8,
        unroll=4,
        batch=8,
        minibatches=2,
        epochs=1,
        policy_layers=(8,),
        value_layers=(8,),
    ),
    "sac": SAC(env_steps=5 * 64, worlds=8, warmup=64, updates_per_round=1, batch=8, layers=(8,)),
}


@pytest.fixture
def probe_env(monkeypatch):
    """Runs are of a probe, which compiles quickly."""
    monkeypatch.setattr(build, "make_env", lambda cfg: probes.make(probes.BOTH))


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.slow if n == "sac" else ()) for n in TINY]
)
def test_a_checkpoint_holds_all_that_matters(name, probe_env, tmp_path, key):
    trainer = build.build(RunConfig(algorithm=name, algo=TINY[name]))
    iterate = trainer.programs.iterate
    state, _ = iterate(trainer.programs.init(key))
    checkpoint.save(tmp_path, 1, state)
    restored = checkpoint.restore(tmp_path, jax.eval_shape(trainer.algorithm.init, key))
    straight, resumed = iterate(state)[0], iterate(restored)[0]
    jax.tree.map(lambda a, b: np.testing.assert_array_equal(bits(a), bits(b)), straight, resumed)


def bits(x):
    return jax.random.key_data(x) if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else x


@pytest.mark.parametrize("name", TINY)
def test_a_policy_acts_without_brax_as_with_it(name, key):
    config, env = TINY[name], probes.make(probes.BOTH)
    algo = importlib.import_module(f"mjxwm.algos.baselines.{name}")
    parts = algo.make_parts(config, env)
    params = parts.nets.policy_network.init(key)
    moments = init_normalizer(parts.env)
    moments = moments.replace(mean=moments.mean + 0.3, std=moments.std * 2)
    policy = tanh_gaussian.networks(params, moments)
    act = baselines.agent(config, Sizes.of(env.spec)).act
    obs = jax.random.normal(key, (5, env.spec.obs_size))
    theirs = importlib.import_module(f"brax.training.agents.{name}.networks").make_inference_fn
    for sampled in (False, True):
        expected = theirs(parts.nets)((moments, params), deterministic=not sampled)(obs, key)[0]
        np.testing.assert_allclose(act(policy, obs, key if sampled else None), expected, rtol=1e-6)


def test_a_run_is_read_and_evaluated_later(probe_env, tmp_path):
    config = RunConfig(
        algorithm="ppo", algo=TINY["ppo"], evaluations=0, episodes=2, checkpoints=0, video=False
    )
    run = start.new_run(build.build(config), "ppo", "run", tmp_path)
    result = loop.train(build.build(config), run)
    assert presets.load_yaml(RunConfig, run.config) == config
    _, evaluation, iteration = outcome.evaluate_run(run)
    assert iteration == result.iteration == 3
    np.testing.assert_array_equal(evaluation.episode_return, result.evaluation.episode_return)
    assert scores.read(run).end_return == pytest.approx(evaluation.episode_return.mean())


def test_a_run_is_recorded_also_when_it_goes_on(probe_env, tmp_path):
    """Every env step once; several devices are refused in a line."""
    config = RunConfig(
        algorithm="ppo", algo=TINY["ppo"], evaluations=0, episodes=2, checkpoints=0, video=False,
        data=str(tmp_path / "data"),
    )  # fmt: skip
    run = start.new_run(build.build(config), "ppo", "run", tmp_path)
    loop.train(build.build(config), run, stop_at=1)
    assert data.open_data(tmp_path / "data").rows == 64
    loop.train(build.build(config), run, resume=True)
    assert data.open_data(tmp_path / "data").rows == 3 * 64
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(build.devices, "chosen", lambda number: jax.devices() * 2)
        with pytest.raises(ConfigError, match="ppo is recorded on one device"):
            build.build(config)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (PPO(worlds=100), "batch=512 x minibatches=16 = 8192 segments are not a multiple of"),
        (PPO(gamma=1.5), r"gamma=1.5 is out of range; it must be in \[0, 1\]"),
        (PPO(max_grad_norm=0.0), "max_grad_norm=0.0 is out of range"),
        (PPO(policy_layers=(8, 0)), "policy_layers=.* sizes must be above 0"),
        (PPO(entropy=-1.0), "entropy=-1.0 is out of range; it must not be negative"),
        (SAC(warmup=0), "warmup=0 is out of range; it must be above 0"),
        (SAC(capacity=10), "capacity=10 is out of range; it must be at least worlds=128"),
    ],
)
def test_a_value_out_of_range_is_named(settings, message):
    with pytest.raises(ValueError, match=message):
        baselines.validate(settings)


def test_without_brax_the_remedy_is_named(monkeypatch):
    monkeypatch.delitem(sys.modules, "mjxwm.algos.baselines.ppo")
    monkeypatch.setitem(sys.modules, "brax.envs.base", None)
    monkeypatch.delitem(sys.modules, "mjxwm.algos.baselines.env")
    with pytest.raises(ValueError, match=r"pip install 'mjxwm\[baselines\]'"):
        baselines.make_ppo(SMALL_PPO, probes.make(probes.BOTH))


def test_the_rest_does_without_brax():
    code = "import mjxwm.cli, mjxwm.runs.loop, sys; print([m for m in sys.modules if 'brax.' in m])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
