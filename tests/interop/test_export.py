"""Policies in formats of others act as ours do: to 1e-5, for every algorithm, NaN and all."""

import json
import runpy
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mjxwm import ConfigError
from mjxwm.algos import ALGORITHMS, pwm, reppo, shac, tdmpc2
from mjxwm.algos.baselines import PPO, SAC
from mjxwm.algos.multitask import extract
from mjxwm.algos.multitask.config import Extract
from mjxwm.algos.multitask.model import Card, new_networks
from mjxwm.data import ObsMoments, TaskInfo
from mjxwm.interop.export import chains, layers, numpy_format, onnx_format, torch_format
from mjxwm.models import actor_critic, world_model
from mjxwm.types import Sizes

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
SIZES = Sizes(obs_size=5, action_size=2, episode_length=100)
MODEL = world_model.Config(latent=16, encoder=(12,), hidden=(8,))
ACTOR = actor_critic.Config(actor=(12, 8), critic=(8,), critics=1)
NETWORKS = tdmpc2.NetworkConfig(model=MODEL, q_hidden=(12, 8), num_q=2)
CARD = Card(
    tasks=(TaskInfo("small", 5, 2, 100, 1), TaskInfo("large", 7, 3, 100, 1)),
    networks=tdmpc2.NetworkConfig(model=MODEL, q_hidden=(12,), num_q=2, task_size=6),
    obs_size=7,
    action_size=3,
    spreads=(ObsMoments((1.0,) * 5, (4.0,) * 5), ObsMoments((0.0,) * 7, (1.0,) * 7)),
)
CONFIGS = {
    "pwm": pwm.Config(model=MODEL, policy=ACTOR),
    "shac": shac.Config(policy=ACTOR),
    "tdmpc2": tdmpc2.Config(networks=NETWORKS),
    "reppo": reppo.Config(networks=reppo.NetworkConfig(actor=(12, 8))),
    "ppo": PPO(policy_layers=(12, 8)),
    "sac": SAC(layers=(12, 8), normalize_obs=False),
    "extract": extract.Config(settings=Extract(policy=ACTOR)),
    "ppo tanh": PPO(policy_layers=(12, 8), activation="tanh"),
    "ppo elu": PPO(policy_layers=(12, 8), activation="elu"),
    "ppo gelu": PPO(policy_layers=(12, 8), activation="gelu"),
}
each = pytest.mark.parametrize("name", CONFIGS)


def policy(name):
    """An agent and a policy of it, whose arrays are random, none of them zeros or ones."""
    algorithm = name.partition(" ")[0]
    card = [CARD] if algorithm == "extract" else []
    agent = ALGORITHMS[algorithm].agent(CONFIGS[name], SIZES, *card)
    rng = np.random.default_rng(7)

    def trained(x):
        if len(x.shape) < 2:
            return jnp.asarray(rng.uniform(0.2, 0.8, x.shape), x.dtype)
        return jnp.asarray(0.5 * rng.standard_normal(x.shape), x.dtype)

    return agent, jax.tree.map(trained, jax.eval_shape(agent.init, jax.random.key(0)))


def observations():
    """Ordinary ones, far ones, which normalisation clips, huge ones, 0, and those with a NaN."""
    rng = np.random.default_rng(0)
    normal = rng.standard_normal((20, SIZES.obs_size))
    odd = np.zeros((3, SIZES.obs_size))
    odd[1] = np.nan
    odd[2, 1] = np.nan
    return np.concatenate([normal, 1e6 * normal, 1e30 * normal, odd]).astype(np.float32)


@pytest.fixture(scope="module")
def cases():
    """For each name the chain, and our actions for `observations`."""
    made = {}
    for name, config in CONFIGS.items():
        agent, networks = policy(name)
        actions = np.asarray(jax.jit(agent.act)(networks, observations()))
        made[name] = chains.of(config, SIZES, networks), actions
    return made


def assert_same(actions, ours):
    assert actions.dtype == np.float32
    np.testing.assert_array_equal(np.isnan(actions), np.isnan(ours))
    np.testing.assert_allclose(actions, ours, rtol=0, atol=1e-5)


@each
def test_a_chain_of_layers_acts_as_the_policy(cases, name):
    chain, ours = cases[name]
    assert np.isnan(ours[-2:]).all()
    assert not np.isnan(ours[:20]).any()
    assert np.ptp(ours[:20]) > 0.1  # it says something
    assert_same(layers.run(chain, observations()), ours)


@each
def test_numpy_file(cases, name, tmp_path):
    chain, ours = cases[name]
    numpy_format.write(tmp_path / "policy.npz", chain, {"task": "cup"})
    assert_same(numpy_format.act(tmp_path / "policy.npz", observations()), ours)
    assert numpy_format.read(tmp_path / "policy.npz")[1] == {"task": "cup"}


@each
def test_onnx_file(cases, name, tmp_path):
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    chain, ours = cases[name]
    file = tmp_path / "policy.onnx"
    onnx_format.write(file, chain, {"task": "cup", "ctrl_dt": 0.02, "names": ["a", "b"]})
    assert_same(onnx_format.act(file, observations()), ours)
    assert_same(onnx_format.act(file, observations()[:1]), ours[:1])  # any number of them
    properties = {p.key: p.value for p in onnx.load(file).metadata_props}
    assert properties["task"] == "cup"
    assert json.loads(properties["names"]) == ["a", "b"]


@each
def test_torch_module(cases, name):
    torch = pytest.importorskip("torch")
    chain, ours = cases[name]
    with torch.no_grad():
        actions = torch_format.module(chain)(torch.from_numpy(observations()))
    assert_same(actions.numpy(), ours)


@pytest.mark.slow
def test_torch_file(cases, tmp_path):
    """A program, which torch takes seconds to make."""
    torch = pytest.importorskip("torch")
    chain, ours = cases["pwm"]
    torch_format.write(tmp_path / "policy.pt2", chain, {"task": "cup"})
    assert_same(torch_format.act(tmp_path / "policy.pt2", observations()), ours)
    assert_same(torch_format.act(tmp_path / "policy.pt2", observations()[:1]), ours[:1])
    extra = {"about.json": ""}
    torch.export.load(tmp_path / "policy.pt2", extra_files=extra)
    assert json.loads(extra["about.json"]) == {"task": "cup"}


def example(name, file, monkeypatch, *args):
    """The names that an example leaves behind."""
    monkeypatch.setattr(sys, "argv", [name, str(file), *args])
    return runpy.run_path(str(EXAMPLES / name))


@pytest.mark.parametrize("name", ["pwm", "tdmpc2", "ppo", "ppo elu", "ppo gelu"])
def test_the_examples_act_as_the_policy(cases, name, tmp_path, monkeypatch, capsys):
    """As files: they have none of this project's code."""
    chain, ours = cases[name]
    file = tmp_path / "policy.npz"
    numpy_format.write(file, chain, {"task": "cup", "obs_size": 5, "action_dt": 0.02})
    names = example("policy_numpy.py", file, monkeypatch, "0.05")
    assert "50 actions/s; one took" in capsys.readouterr().out

    def act(x):
        for op, arrays, numbers in names["layers"]:
            x = op(x, *arrays, **numbers)
        return x

    finite = observations()[:40]
    assert_same(np.stack([act(obs) for obs in finite]), ours[:40])
    assert_same(names["x"], ours[-3])  # the observation of the loop is 0
    torch = pytest.importorskip("torch")
    module = example("policy_torch.py", file, monkeypatch)["policy"]
    with torch.no_grad():
        assert_same(module(torch.from_numpy(finite)).numpy(), ours[:40])


def test_examples_are_short_and_independent():
    for name, most in {"policy_numpy.py": 40, "policy_torch.py": 60}.items():
        text = (EXAMPLES / name).read_text()
        assert len(text.splitlines()) <= most
        assert "import mjxwm" not in text
        assert "jax" not in text


def test_a_model_of_many_tasks_is_no_chain():
    shapes = jax.eval_shape(lambda key: new_networks(CARD, key), jax.random.key(0))
    networks = jax.tree.map(lambda x: np.zeros(x.shape), shapes)
    with pytest.raises(ConfigError, match="no chain of layers"):
        chains.of(CARD, SIZES, networks)
