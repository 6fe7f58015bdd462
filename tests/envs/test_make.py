"""Environments by name; whatever is wrong in a call is named, with the nearest right thing."""

import dataclasses

import jax
import jax.numpy as jnp
import mjxwm_envs as envs
import pytest
from mjxwm_envs import engines, registry
from mjxwm_envs.tasks.locomotion.hopper import Hopper

# test_myosuite.py has the bodies that are an extra.
NAMES = [name for name in envs.names() if not name.startswith("myo-")]


@pytest.mark.parametrize(
    "names", [NAMES[::10], pytest.param(NAMES, marks=pytest.mark.slow)], ids=["a tenth", "all"]
)
def test_every_name_makes_an_environment_that_steps(names, key):
    assert "hopper" in NAMES
    for name in names:
        env = envs.make(name, engine="native")
        spec = env.spec
        state = env.step(env.reset(key), jnp.zeros(spec.action_size))
        assert state.obs.shape == (spec.obs_size,)
        assert spec.name == name


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            {"name": "hoper"},
            "'hoper' is unknown .did you mean 'hopper'.* .mjxwm envs. lists all",
        ),
        ({"name": "hopper", "engine": "wrap"}, "'wrap' is unknown .did you mean 'warp'"),
        ({"name": "hopper", "fall_hight": 1}, "no field 'fall_hight. .did you mean 'fall_height'"),
        ({"name": "hopper", "episode_length": 0}, "episode_length=0 is out of range"),
        ({"name": "hopper", "episode_length": 2.5}, "episode_length=2.5 is not a whole number"),
        ({"name": "hopper", "episode_length": "long"}, "episode_length='long' is not a finite"),
        ({"name": "ant", "contact_time": float("nan")}, "contact_time=nan is not a finite number"),
        ({"name": "ant", "noise": -1}, "noise=-1 is out of range; it must be at least 0"),
        ({"name": "cartpole-swingup", "sparse": "false"}, "sparse='false' is not true or false"),
        ({"name": "muscle-humanoid", "body": ["direct"]}, r"body=\['direct'\] is not a word"),
        ({"name": "hopper", "sim_dt": -0.1}, "sim_dt=-0.1 is out of range"),
        ({"name": "hopper", "action_repeat": 0}, "action_repeat=0 is out of range"),
        (
            {"name": "hopper", "ctrl_dt": 0.01, "sim_dt": 0.004},
            "not a whole multiple of sim_dt=0.004; the nearest is ctrl_dt=0.008",
        ),
    ],
)
def test_what_is_wrong_is_named(arguments, words):
    with pytest.raises(ValueError, match=words):
        envs.make(**arguments)


def test_overrides_change_the_task_and_the_physics_step():
    env = envs.make("hopper", engine="native", sim_dt=1 / 120, fall_height=-0.2, episode_length=7)
    assert env.task.fall_height == -0.2
    assert env.engine.model.opt.timestep == pytest.approx(1 / 120)
    assert (env.spec.n_substeps, env.spec.episode_length) == (2, 7)


def test_action_repeat_lengthens_the_step_and_shortens_the_episode():
    spec = envs.make("hopper", engine="native", action_repeat=3).spec
    assert spec.n_substeps == 12
    assert spec.ctrl_dt == pytest.approx(3 / 60)
    assert spec.episode_length == 334  # 1000 / 3, rounded up


def test_the_sizes_are_traced_once():
    env = envs.make("cartpole-swingup", engine="mjx")
    assert env.spec is env.spec
    # A copy with another repeat has sizes of its own.
    assert dataclasses.replace(env, action_repeat=2).spec.ctrl_dt == 2 * env.spec.ctrl_dt


def test_warp_without_an_nvidia_gpu_warns(monkeypatch):
    monkeypatch.setattr(engines, "has_nvidia", lambda: False)
    with pytest.warns(UserWarning, match="without an NVIDIA GPU"):
        env = envs.make("cartpole-balance", engine="warp")
    assert env.engine.name == "warp"


@pytest.mark.parametrize(("nvidia", "name"), [(True, "warp"), (False, "native")])
def test_auto_chooses_by_the_machine(monkeypatch, nvidia, name):
    monkeypatch.setattr(engines, "has_nvidia", lambda: nvidia)
    assert envs.make("cartpole-balance").engine.name == name


def test_a_task_can_be_registered_once(monkeypatch):
    monkeypatch.setitem(registry.SUITES, "registered", {})
    envs.register("my-hopper", Hopper)
    assert "my-hopper" in envs.names()
    with pytest.raises(ValueError, match="'my-hopper' exists already"):
        envs.register("my-hopper", Hopper)


@pytest.mark.gpu
def test_on_an_nvidia_gpu_many_hoppers_run_on_warp(key):
    batch = envs.BatchEnv(envs.make("hopper"), 1024)
    assert batch.env.engine.name == "warp"
    worlds, step = jax.jit(batch.reset)(key), jax.jit(batch.step)
    for _ in range(20):
        worlds, result = step(worlds, jnp.zeros((1024, 3)))
        assert result.valid.all()
