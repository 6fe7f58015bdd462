"""A run that is over says so, and goes on with a longer budget."""

import dataclasses

import jax
import numpy as np
import probes
import pytest
from random_walk import CONFIG, walk

from mjxwm import ConfigError, cli
from mjxwm.algos import pwm, tdmpc2
from mjxwm.runs import (
    begun,
    budgets,
    build,
    checkpoint,
    compilation,
    loop,
    presets,
    record,
    several,
)
from mjxwm.runs.config import Config

LONGER = dataclasses.replace(CONFIG, algo=dataclasses.replace(CONFIG.algo, env_steps=12 * 8))


@pytest.fixture(autouse=True)
def _small_world(monkeypatch):
    monkeypatch.setattr(build, "make_env", lambda *_: probes.make(probes.ACTION))
    monkeypatch.setattr(build, "make_algorithm", walk)


@pytest.fixture
def run(tmp_path):
    return loop.run(CONFIG, "probe", "walk", tmp_path).run


def place(run):
    shapes = jax.eval_shape(walk(CONFIG, None).init, jax.random.key(0))
    return np.asarray(checkpoint.restore(run.checkpoints, shapes).place)


def test_a_finished_run_says_so_and_compiles_nothing(run, monkeypatch, capsys):
    monkeypatch.delattr(compilation, "side_by_side")
    assert cli.main(["train", "--resume", str(run.path)]) == 0
    said = capsys.readouterr().out
    assert "finished before, at iteration 6: nothing is left to train" in said
    assert f"mjxwm train --resume {run.path} --env-steps 96" in said


def test_a_finished_run_goes_on_as_if_its_budget_had_been_longer(run, tmp_path, capsys):
    straight = loop.run(LONGER, "probe", "straight", tmp_path).run
    assert cli.main(["train", "--resume", str(run.path), "--env-steps", "96"]) == 0
    assert "actor_lr goes on at 0.00026, not 1e-05" in capsys.readouterr().out
    np.testing.assert_array_equal(place(run), place(straight))
    assert record.read(run.metrics)[-1]["env_steps"] == 96
    assert presets.load_yaml(Config, run.config) == LONGER
    assert run.trained.read_text() == run.config.read_text()


def test_seeds_say_so_and_go_on_together(tmp_path, capsys):
    runs = [r.run for r in several.run(CONFIG, 2, "probe", "walk", tmp_path)]
    paths = [str(run.path) for run in runs]
    assert cli.main(["train", "--resume", *paths]) == 0
    assert f"mjxwm train --resume {' '.join(paths)} --env-steps 96" in capsys.readouterr().out
    assert cli.main(["train", "--resume", *paths, "--env-steps", "96"]) == 0
    assert [checkpoint.latest(run.checkpoints) for run in runs] == [12, 12]


def test_a_run_whose_time_is_spent_goes_on_with_more_of_it(tmp_path, capsys):
    short = dataclasses.replace(CONFIG, minutes=1e-9)
    run = loop.run(short, "probe", "walk", tmp_path).run
    assert loop.resume(run).evaluation is None, "nothing is left to train"
    assert cli.main(["train", "--resume", str(run.path), "--minutes", "1e-10"]) == 2
    assert "has taken 0.0 already; give more" in capsys.readouterr().err
    assert cli.main(["train", "--resume", str(run.path), "--minutes", "60"]) == 0
    assert checkpoint.latest(run.checkpoints) == 6


def test_a_damaged_end_is_no_end(run):
    next(path for path in (run.checkpoints / "6").rglob("*") if path.is_file()).write_text("x")
    assert loop.resume(run).evaluation is not None


@pytest.mark.parametrize(
    ("steps", "words"), [("40", "is past that, at iteration 6 of 6 for 48 env steps"), ("0", "")]
)
def test_a_budget_that_is_spent_already_is_refused(run, steps, words, capsys):
    before = run.config.read_text()
    assert cli.main(["train", "--resume", str(run.path), "--env-steps", steps]) == 2
    assert words in capsys.readouterr().err
    assert run.config.read_text() == before


def test_the_same_command_with_another_budget_names_the_way(run, tmp_path):
    with pytest.raises(ConfigError, match=r"another budget.*--resume .* --env-steps 96"):
        begun.runs(LONGER, 1, "walk", tmp_path)


def test_rates_that_fall_are_named_where_they_fall():
    assert pwm.Config().falling == ("model_lr", "actor_lr", "critic_lr")
    assert tdmpc2.Config().falling == ()
    lines = budgets._consequences(CONFIG, LONGER, 3)
    assert "model_lr goes on at 0.00023, not 0.00015" in lines[1]
    assert budgets._consequences(CONFIG, CONFIG, 3) == []
