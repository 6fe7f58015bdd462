"""What fails while a run goes on is on the console and in the record, and ends it past a share."""

import dataclasses
import io
import math

import jax
import jax.numpy as jnp
import numpy as np
import probes
import pytest
from mjxwm_envs.env import Env

from mjxwm import GuardError
from mjxwm.algos import shac
from mjxwm.models import actor_critic
from mjxwm.runs import build, console, log, loop, record, start, symptoms
from mjxwm.runs.config import Config as RunConfig
from mjxwm.runs.evaluate import evaluate

NETS = actor_critic.Config(actor=(8,), critic=(8,), critics=1, init_std=0.2, min_std=0.05)

NUMBERS = probes.Numbers(sign=1.0, steps=math.inf)


@dataclasses.dataclass(frozen=True)
class Rooted(probes.Probe):
    """A root at 0 in the reward: right in value, without a derivative, where the sign says so."""

    everywhere: bool = False

    def reward(self, before, action, after):
        bad = self.everywhere | (before.qpos[0] > 0)
        zero = action[0] - action[0]
        return jnp.sqrt(jnp.where(bad, zero, 1.0)) - jnp.where(bad, 0.0, 1.0), {}


@pytest.fixture
def run(monkeypatch, tmp_path):
    """Trains on such a task: (everywhere, settings) -> folder of the run."""

    def trained(everywhere, **settings):
        task = Rooted(numbers=NUMBERS, episode_length=100, everywhere=everywhere)
        monkeypatch.setattr(build, "make_env", lambda *_: Env("rooted", task, probes.Analytic()))
        algo = shac.Config(
            env_steps=3 * 16 * 4, worlds=16, unroll=4, critic_epochs=1, policy=NETS, **settings
        )
        cfg = RunConfig(
            task="rooted", algorithm="shac", algo=algo, evaluations=0, episodes=1, video=False
        )
        folder = start.new_run(build.build(cfg), "shac", "run", tmp_path)
        loop.train(build.build(cfg), folder)
        return folder

    return trained


def test_a_run_of_shac_ends_where_all_gradients_are_dropped(run, tmp_path, capsys):
    with pytest.raises(GuardError, match=r"gradients of 100% of the worlds.*unroll"):
        run(everywhere=True)
    (row,) = record.read(tmp_path / "run" / "metrics.jsonl")
    assert row["actor/dropped"] == 1
    assert "all gradients dropped: nothing to learn from" in capsys.readouterr().out
    assert (tmp_path / "run" / "dump" / "event.json").is_file()


def test_a_share_of_dropped_gradients_is_said_and_ends_a_run_past_its_bound(run, capsys):
    folder = run(everywhere=False, max_dropped=1.0, actor_lr=1e-6)
    shares = [row["actor/dropped"] for row in record.read(folder.metrics)]
    assert len(shares) == 3
    assert 0 < min(shares) <= max(shares) < 1
    said = capsys.readouterr().out
    assert "gradients dropped" in said
    assert "note     final_lr=1e-05 is above actor_lr=1e-06" in said
    strict = dataclasses.replace(shac.Config(), max_dropped=0.01)
    assert "more than max_dropped=0.01 allows" in strict.advice({"actor/dropped": 0.02})


@dataclasses.dataclass(frozen=True)
class Breaking(probes.Probe):
    """The second observation is no number where the sign is 1."""

    def observe(self, physics):
        broken = (physics.qpos[0] > 0) & (physics.time >= 2)
        return jnp.where(broken, jnp.nan, super().observe(physics))


def test_episodes_that_physics_cut_short_are_counted():
    env = Env("breaking", Breaking(numbers=NUMBERS), probes.Analytic())
    result = jax.jit(lambda key: evaluate(env, lambda obs: obs[:, :1], key, 16))(jax.random.key(0))
    np.testing.assert_array_equal(result.length, np.where(result.diverged, 2, 3))
    assert 0 < result.lost < 16
    row = log.evaluation_row(result)
    assert row["eval/diverged"] == result.lost / 16
    (said,) = symptoms.words(symptoms.symptoms(row))
    assert said.startswith("evaluated episodes diverged")


def test_norms_and_clipping_are_of_the_worlds_that_are_left():
    norms = np.array([5.0, 0.5, 0.2, np.nan, np.inf, np.nan])
    grads = jnp.asarray(norms[:, None] * np.array([[0.6, 0.8]]))
    _, found = shac.combine(grads, clip=1.0)  # type: ignore[arg-type]
    assert found["actor/dropped"] == pytest.approx(3 / 6)
    assert found["actor/clipped"] == pytest.approx(1 / 3)
    assert found["actor/world_grad_norm"] == pytest.approx((5 + 0.5 + 0.2) / 3)


def test_an_ordinary_row_has_no_symptom():
    row = {"iteration": 3, "collect/invalid": 0.0, "collect/length": 20.0, "model/loss": 0.1}
    assert not symptoms.symptoms(row | {"actor/dropped": 0.0, "actor/clipped": 0.3})


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"collect/invalid": 0.25}, "steps invalid 25.0%"),
        ({"collect/invalid": 1.0}, "all steps invalid: nothing to learn from"),
        ({"collect/length": 1.0}, "all episodes end after 1 step"),
        ({"model/loss": math.nan}, "model/loss is not finite"),
        ({"ppo/policy_loss": -math.inf}, "ppo/policy_loss is not finite"),
        ({"actor/clipped": 0.9}, "gradients clipped 90.0%"),
    ],
    ids=str,
)
def test_symptoms_are_on_the_console(row, said):
    text = io.StringIO()
    with console.ConsoleLine(10, file=text) as line:
        line.log({"iteration": 1, "env_steps": 16} | row)
    assert said in text.getvalue()


def test_symptoms_between_two_lines_are_not_lost():
    text = io.StringIO()
    with console.ConsoleLine(10, every=1000.0, file=text) as line:
        line.log({"iteration": 1, "env_steps": 16})
        line.log({"iteration": 2, "env_steps": 32, "collect/invalid": 0.5})
        line.log({"iteration": 3, "env_steps": 48, "collect/invalid": 0.01})
        line.log({"iteration": 4, "env_steps": 64, "eval/return": 1.0})
    assert "steps invalid 50.0%" in text.getvalue().splitlines()[-1]
