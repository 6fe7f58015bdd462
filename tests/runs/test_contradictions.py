"""Settings that contradict the task or one another are said by name before a run starts."""

import dataclasses
import functools
from types import SimpleNamespace
from typing import Any

import mjxwm_envs as envs
import numpy as np
import pytest

from mjxwm import data
from mjxwm.algos import baselines, pwm, shac, tdmpc2
from mjxwm.algos.multitask import Config, Extract, Pretrain, extract, model
from mjxwm.data import Rows, TaskInfo, Writer, open_data
from mjxwm.runs import contradictions, presets
from mjxwm.runs.config import Config as RunConfig

make = functools.cache(functools.partial(envs.make, engine="native"))


def said(algo: Any, env: Any = None, **general: Any) -> list[str]:
    """What is said about these settings; by default on hopper, whose episodes falls end."""
    env = env or make("hopper")
    first = getattr(algo, "warmup", 0) * getattr(algo, "steps_per_iteration", 0)
    first = first if not isinstance(algo, baselines.SAC) else algo.warmup
    counts: Any = SimpleNamespace(
        iterations=algo.iterations, env_steps=lambda i: first + i * algo.steps_per_iteration
    )
    cfg = SimpleNamespace(algo=algo, evaluations=0, checkpoints=0)
    return contradictions.remarks(SimpleNamespace(**vars(cfg) | general), env, counts)


def of(terminates: bool | None, length: int = 1000) -> Any:
    spec = make("hopper").spec._replace(terminates=terminates, episode_length=length, name="t")
    return SimpleNamespace(spec=spec)


def weighted(algo: Any, weight: float) -> Any:
    if isinstance(algo, pwm.Config):
        return dataclasses.replace(algo, model=dataclasses.replace(algo.model, continuation=weight))
    networks = algo.networks
    inner = dataclasses.replace(networks.model, continuation=weight)
    return dataclasses.replace(algo, networks=dataclasses.replace(networks, model=inner))


@pytest.mark.parametrize("name", presets.preset_names())
def test_no_preset_contradicts_its_own_task(name):
    cfg = presets.load_preset(RunConfig, name)
    env = make(cfg.task, action_repeat=cfg.action_repeat)
    general = {"evaluations": cfg.evaluations, "checkpoints": cfg.checkpoints}
    assert not [s for s in said(cfg.algo, env, **general) if "one after each" not in s]


@pytest.mark.parametrize("algo", [pwm.Config(), tdmpc2.Config()], ids=["pwm", "tdmpc2"])
def test_terminations_that_a_model_does_not_learn_are_said_and_only_those(algo):
    without, learned = weighted(algo, 0.0), weighted(algo, 1.0)
    (text,) = said(without)
    assert text.startswith("continuation=0: the model learns no terminations, and hopper has some")
    assert "--continuation" in text
    assert not said(learned)
    (text,) = said(without, of(None))
    assert "is not known here" in text
    assert not said(without, of(False))
    (text,) = said(learned, of(False))
    assert "nothing ends an episode of t" in text


def test_which_tasks_terminate_is_known():
    ends = {name: make(name).spec.terminates for name in ("hopper", "ant", "cup-catch")}
    assert ends == {"hopper": True, "ant": True, "cup-catch": False}


def test_a_preset_of_endless_tasks_on_the_hopper_is_said():
    cfg = presets.load_preset(RunConfig, "pwm-dmc-cpu")
    assert any("hopper has some" in text for text in said(cfg.algo, make("hopper")))


@pytest.mark.parametrize(
    ("algo", "length", "words"),
    [
        (pwm.Config(horizon=16, imagine_horizon=16), 10, "horizon=16 is longer than an episode"),
        (pwm.Config(horizon=4), 500, "imagine_horizon=16 is longer than the 4 steps"),
        (tdmpc2.Config(horizon=2), 500, "plan_horizon=3 is longer than the 2 steps"),
        (shac.Config(unroll=32), 20, "unroll=32 is longer than an episode of t, 20 actions"),
        (pwm.Config(gamma=0.999), 50, "gamma=0.999 looks 1,000 actions ahead"),
        (shac.Config(gamma=0.0), 500, "gamma=0: nothing but the next reward counts"),
        (baselines.PPO(normalize_obs=False), 500, "normalize_obs=false"),
        (pwm.Config(target_tau=0.0), 500, "target_tau=0: the target copies never follow"),
        (baselines.SAC(tau=0.0), 500, "tau=0: the target copies never follow"),
        (shac.Config(actor_lr=1e-6), 500, "final_lr=1e-05 is above actor_lr=1e-06"),
        (pwm.Config(capacity=2000), 500, "capacity=2,000 is less than warmup + 1 unrolls"),
        (baselines.SAC(capacity=4096), 500, "forgets some of the 8,192 steps"),
        (baselines.SAC(warmup=128, batch=512), 500, "batch=512 is more than the 256"),
        (shac.Config(env_steps=100), 500, "env_steps=100 comes to 2,048"),
        (pwm.Config(env_steps=1000, update_ratio=4.0), 500, "2,048 before the first iteration"),
    ],
    ids=lambda x: x if isinstance(x, str) else "",
)
def test_what_contradicts_is_said_by_name(algo, length, words):
    assert any(words in text for text in said(algo, of(True, length)))


def test_values_without_a_bound_are_said():
    assert any("gamma=1: values have no bound" in s for s in said(shac.Config(gamma=1.0), of(None)))
    assert not said(shac.Config(gamma=1.0), of(True))


def test_an_action_repeat_that_does_not_divide_the_episode_is_said():
    (text,) = said(shac.Config(), make("hopper", action_repeat=3))
    assert "action_repeat=3 does not divide episode_length=1000: episodes have 334 actions" in text
    assert not said(shac.Config(), make("hopper", action_repeat=4))


def test_more_evaluations_than_iterations_are_said():
    algo = shac.Config(env_steps=5 * 2048)
    assert said(algo, evaluations=20) == ["evaluations=20 of 5 iterations: one after each"]
    assert not said(algo, evaluations=5, checkpoints=4)


@pytest.mark.parametrize("weight", [0.0, 1.0])
def test_a_policy_through_a_model_is_told_what_the_model_did_not_learn(tmp_path, weight):
    settings = Pretrain(size="1M", continuation=weight, horizon=4)
    tasks = (TaskInfo("hopper", 11, 3, 1000, 1),)
    card = model.card_of(Config(pretrain=settings), tasks, "")
    presets.save_yaml(card, tmp_path / "config.yaml")
    algo = extract.Config(str(tmp_path), settings=Extract(horizon=16))
    *ends, horizon = said(algo)
    assert horizon == "horizon=16 is longer than the 4 steps that the model learns over"
    assert len(ends) == (weight == 0)
    assert all("was learned with continuation=0: it imagines" in text for text in ends)


@pytest.mark.parametrize("ends", [True, False])
def test_a_model_of_data_that_terminate_is_told_so(tmp_path, ends):
    task = TaskInfo("hop", 2, 1, 50, 1)
    zeros = functools.partial(np.zeros, dtype=np.float32)
    flags = np.zeros(30, np.uint8)
    flags[9] = ends
    with Writer(tmp_path, task) as writer:
        writer.add(Rows(zeros((30, 2)), zeros((30, 1)), zeros(30), flags))
    found = open_data(tmp_path)
    assert data.tasks_with_terminations(found) == (("hop",) if ends else ())
    for weight in (0.0, 1.0):
        settings = Pretrain(size="1M", continuation=weight)
        card = model.card_of(Config(pretrain=settings), found.tasks, str(tmp_path))
        assert card.networks.model.continuation == weight
        assert bool(card.remarks()) == (ends != (weight > 0))
