"""Runs on foreign worlds: they learn from them like from ours, and say what goes wrong."""

import dataclasses
import sys
from pathlib import Path

import jax
import mjxwm_envs as envs
import numpy as np
import pytest
from mjxwm_envs import registry

from mjxwm import ConfigError, cli
from mjxwm.algos import pwm
from mjxwm.models import actor_critic
from mjxwm.models.world_model import Config as Model
from mjxwm.reports import outcome
from mjxwm.runs import build, checkpoint, loop, start
from mjxwm.runs.config import Config as RunConfig

sys.path.insert(0, str(Path(__file__).parents[1] / "envs"))
from gym_worlds import Counter

TINY = pwm.Config(
    env_steps=4 * 8 * 6, worlds=4, unroll=8, warmup=2, batch=4, horizon=4, imagine_batch=4,
    imagine_horizon=4, update_ratio=1, model=Model(latent=16, encoder=(16,), hidden=(16,)),
    policy=actor_critic.Config(actor=(16,), critic=(16,)),
)  # fmt: skip
CONFIG = RunConfig(task="counters", algo=TINY, evaluations=1, checkpoints=0, episodes=2, video=True)


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A function that trains on counters with some trouble and returns (folder, result)."""

    def go(on_failure="stop", **trouble):
        def counters():
            Counter.made = -1
            return envs.from_gymnasium(lambda: Counter(**trouble), "counters", episode_length=9)

        monkeypatch.setitem(registry.SUITES, "registered", {"counters": counters})
        cfg = dataclasses.replace(CONFIG, on_failure=on_failure)
        folder = start.new_run(build.build(cfg), "debug", "run", tmp_path)
        return cfg, folder, loop.train(build.build(cfg), folder)

    return go


@pytest.mark.slow
def test_pwm_learns_from_foreign_worlds_and_evaluates_in_others(run, capsys):
    cfg, folder, result = run()
    assert result.iteration == TINY.iterations
    assert np.isfinite(result.evaluation.episode_return).all()
    assert (result.evaluation.length == 5).all()
    assert outcome.artifacts(cfg, folder, result.evaluation).keys() == {"curve", "report"}
    assert "simulated elsewhere" in capsys.readouterr().out


def test_a_world_that_fails_ends_the_run_which_is_saved_and_goes_on(
    run, capsys, tmp_path, monkeypatch
):
    with pytest.raises(ConfigError) as failed:
        run(raises=20)
    words = str(failed.value)
    assert "world 1 failed at step 20: RuntimeError: the simulator is gone" in words
    assert "mjxwm train --resume" in words
    folder = tmp_path / "run"
    assert checkpoint.latest(folder / "resume") >= 1
    # What was wrong with it has been put right since.
    sound = {"counters": lambda: envs.from_gymnasium(Counter, "counters", episode_length=9)}
    monkeypatch.setitem(registry.SUITES, "registered", sound)
    assert cli.main(["train", "--resume", str(folder)]) == 0
    assert "iteration 4/4" in capsys.readouterr().out


@pytest.mark.slow
def test_a_run_can_go_on_past_a_world_that_fails(run, capsys):
    _, _, result = run(on_failure="go-on", dead=20)
    assert result.iteration == TINY.iterations
    assert "world 1 failed at step 20" in capsys.readouterr().out


def test_gradients_through_a_foreign_environment_are_refused_with_the_reason():
    from mjxwm.algos import shac

    with pytest.raises(ValueError, match="have no gradients"):
        shac.make(shac.Config(), envs.from_gymnasium(Counter, episode_length=9))


@pytest.mark.slow
def test_ppo_learns_from_foreign_worlds_too():
    brax_baselines = pytest.importorskip("mjxwm.algos.baselines")
    settings = brax_baselines.PPO(
        worlds=4, unroll=5, env_steps=200, batch=4, minibatches=1, epochs=1, policy_layers=(16,)
    )
    algorithm = brax_baselines.make_ppo(settings, envs.from_gymnasium(Counter, episode_length=9))
    state = jax.jit(algorithm.init)(jax.random.key(0))
    state, metrics = jax.jit(algorithm.iterate)(state)
    assert np.isfinite(jax.tree.leaves(jax.device_get(metrics))).all()
