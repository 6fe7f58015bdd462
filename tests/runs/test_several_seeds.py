"""Several seeds in one program: each is the run that it is alone, in what it keeps and its end.

What learns here is a random walk, which compiles at once; `test_seeds_of_algorithms.py` has real
algorithms.
"""

import dataclasses
import io
import math
import signal

import jax
import jax.numpy as jnp
import numpy as np
import probes
import pytest
from random_walk import CONFIG, walk

from mjxwm import ConfigError, GuardError, cli
from mjxwm.cli import seeds as say_seeds
from mjxwm.maths import finite
from mjxwm.reports import seeds as reports
from mjxwm.runs import (
    begun,
    build,
    checkpoint,
    console,
    loop,
    presets,
    record,
    several,
    start,
    together,
)

SEEDS = (5, 6, 7)


@pytest.fixture(autouse=True)
def _small_world(monkeypatch):
    monkeypatch.setattr(build, "make_env", lambda *_: probes.make(probes.ACTION))
    monkeypatch.setattr(build, "make_algorithm", walk)


def trained(folder, stop_at=None):
    trainer = build.build(CONFIG, seeds=SEEDS)
    runs = start.new_runs(trainer, "probe", "walk", folder)
    return runs, loop.train_runs(trainer, runs, stop_at=stop_at)


@pytest.fixture
def alone(tmp_path):
    """The run of each seed, trained by itself."""
    return [
        loop.run(dataclasses.replace(CONFIG, seed=seed), "probe", f"{seed}", tmp_path / "alone").run
        for seed in SEEDS
    ]


def rows(run):
    timing = ("minutes", "perf/env_steps_per_s")
    return [{k: v for k, v in row.items() if k not in timing} for row in record.read(run.metrics)]


def same(run, other):
    """Configuration, record and checkpoints are equal; numbers to the last of six digits kept."""
    same_in_the_end(run, other)
    saved = [checkpoint.iterations(r.checkpoints) for r in (run, other)]
    assert saved[0] == saved[1]


def same_in_the_end(run, other):
    """As `same`, but for checkpoints on the way."""
    assert run.config.read_text() == other.config.read_text()
    assert [row.keys() for row in rows(run)] == [row.keys() for row in rows(other)]
    for row, expected in zip(rows(run), rows(other), strict=True):
        assert row == pytest.approx(expected, rel=1e-5, abs=1e-6)
    shapes = jax.eval_shape(walk(CONFIG, None).init, jax.random.key(0))
    mine, its = (checkpoint.restore(r.checkpoints, shapes) for r in (run, other))
    np.testing.assert_allclose(mine.place, its.place, rtol=1e-6)
    assert jax.random.key_data(mine.key).tolist() == jax.random.key_data(its.key).tolist()


def test_each_seed_keeps_what_it_keeps_alone(tmp_path, alone):
    results = several.run(CONFIG, 3, "probe", "walk", tmp_path)
    assert [r.run.path.name for r in results] == ["walk-seed5", "walk-seed6", "walk-seed7"]
    for result, seed, other in zip(results, SEEDS, alone, strict=True):
        assert (result.config.seed, result.finished, result.iteration) == (seed, True, 6)
        same(result.run, other)
        row = rows(result.run)[-1]
        assert row["eval/return"] == pytest.approx(result.evaluation.episode_return.mean(), 1e-5)
    assert len({row["eval/return"] for r in results for row in rows(r.run)[-1:]}) == 3


def test_seeds_go_on_together_or_one_by_one(tmp_path, alone):
    runs, results = trained(tmp_path, stop_at=2)
    assert not any(r.finished for r in results)
    one = loop.resume(runs[0])
    assert one.finished
    assert all(r.finished for r in several.resume(runs[1:]))
    for run, other in zip(runs, alone, strict=True):
        same(run, other)


def test_seeds_that_ctrl_c_stops_go_on_as_if_it_had_not(tmp_path, alone, monkeypatch, capsys):
    real = loop.evaluated

    def interrupted(trainer, state):
        if state.iteration[0] == 3:
            signal.raise_signal(signal.SIGINT)
        return real(trainer, state)

    monkeypatch.setattr(loop, "evaluated", interrupted)
    results = several.run(CONFIG, 3, "probe", "walk", tmp_path)
    monkeypatch.setattr(loop, "evaluated", real)
    assert [(r.finished, r.iteration, r.signal) for r in results] == [(False, 4, signal.SIGINT)] * 3
    assert say_seeds.report(results, None) == 130
    paths = [str(result.run.path) for result in results]
    assert f"mjxwm train --resume {' '.join(paths)}" in capsys.readouterr().out
    assert cli.main(["train", "--resume", *paths]) == 0
    for result, other in zip(results, alone, strict=True):
        same_in_the_end(result.run, other)


def test_a_signal_during_the_last_evaluation_is_not_lost(tmp_path, monkeypatch):
    """What was to follow the run does not."""
    real = loop.evaluated

    def evaluated(trainer, state):
        if state.iteration == 6:
            signal.raise_signal(signal.SIGTERM)
        return real(trainer, state)

    monkeypatch.setattr(loop, "evaluated", evaluated)
    result = loop.run(CONFIG, "probe", "last", tmp_path)
    assert (result.finished, result.signal, result.status) == (True, signal.SIGTERM, 143)
    assert checkpoint.latest(result.run.checkpoints) == 6


def test_the_same_command_goes_on_with_the_same_seeds_alone(tmp_path):
    runs, _ = trained(tmp_path, stop_at=2)
    assert begun.runs(CONFIG, 3, "walk", tmp_path) == runs
    alone = ("walk-seed6", tmp_path)
    assert begun.runs(dataclasses.replace(CONFIG, seed=6), 1, *alone) == runs[1:2]
    with pytest.raises(ConfigError, match=r"configured otherwise: .*seed"):
        begun.runs(CONFIG, 1, *alone)


def test_runs_saved_at_different_times_go_on_from_where_all_were_saved(tmp_path, alone, capsys):
    """As a process leaves them that is killed while it saves."""
    runs, _ = trained(tmp_path, stop_at=2)
    trainer = build.build(dataclasses.replace(CONFIG, seed=SEEDS[1]))
    loop.train(trainer, runs[1], resume=True, stop_at=3)
    assert checkpoint.iterations(runs[1].checkpoints) == [2, 3]
    several.resume(runs)
    assert "walk-seed6 goes on from iteration 2, not from 3" in capsys.readouterr().out
    for run, other in zip(runs, alone, strict=True):
        same(run, other)


def test_runs_whose_checkpoints_are_damaged_go_on_from_where_all_are_whole(tmp_path, alone, capsys):
    trainer = build.build(CONFIG, seeds=SEEDS)
    runs, _ = trained(tmp_path, stop_at=2)
    loop.train_runs(trainer, runs, resume=True, stop_at=4)
    (file,) = (runs[2].checkpoints / "4" / "state" / "d").iterdir()
    file.write_bytes(file.read_bytes()[:-1])
    several.resume(runs)
    said = capsys.readouterr().out
    assert f"checkpoint 4 of {runs[2].checkpoints} is passed over: {file} has" in said
    assert "walk-seed6 goes on from iteration 3, not from 4" in said
    for run, other in zip(runs, alone, strict=True):
        same(run, other)


def test_a_seed_that_ends_early_is_named_and_the_others_go_on(tmp_path, monkeypatch, capsys):
    losses = [row["model/loss"] for row in rows(loop.run(CONFIG, "p", "one", tmp_path).run)]
    limit = losses[2]  # seed 5 comes to this loss in its third iteration
    judged = finite.judged

    def lost(metrics, networks, steps):
        same = jnp.abs(metrics["model/loss"] - limit) < 1e-4
        level = jnp.where(same | everywhere, 2.0, 0.0)
        last = {finite.FIRST: 0.5 * level * len(finite.STAGES), finite.UNSOUND: level}
        return judged(metrics, networks, steps) | last

    everywhere = False
    monkeypatch.setattr(finite, "judged", lost)
    results = several.run(CONFIG, 3, "probe", "walk", tmp_path)
    said = capsys.readouterr().out
    assert "walk-seed5 stopped at iteration=3: parameters are not finite at iteration=3" in said
    assert "The other seeds go on." in said
    assert [bool(r.trouble) for r in results] == [True, False, False]
    assert [r.iteration for r in results] == [3, 6, 6]
    assert [bool(r.evaluation) for r in results] == [False, True, True]
    assert [row["iteration"] for row in rows(results[0].run)] == [1, 2, 3]
    assert checkpoint.iterations(results[0].run.checkpoints) == [], "what is lost is not saved"
    assert checkpoint.iterations(results[1].run.checkpoints) == [3, 6]
    assert (results[0].run.dump / "event.json").is_file()
    with pytest.raises(GuardError, match=r"1 of 3 seeds stopped: .*seed5 at iteration 3: param"):
        say_seeds.report(results, None)
    said = capsys.readouterr().out
    assert "seed 5  not evaluated, stopped at iteration 3" in said
    assert "mean of 2 seeds" in said
    everywhere = True
    with pytest.raises(GuardError, match=r"seed5 stopped at(.|\n)*seed7 stopped at"):
        several.run(CONFIG, 3, "probe", "none", tmp_path)


def test_a_seed_that_is_no_number_is_named_on_the_console():
    text = io.StringIO()
    row = {"iteration": 1, "env_steps": 16, "model/loss": 2.0, "eval/return": 10.0}
    broken = row | {"model/loss": math.nan, "eval/return": 20.0}
    with console.ConsoleLine(10, file=text) as line:
        line.log_means({"seed 3": row, "seed 4": broken})
    assert "evaluated 15.0" in text.getvalue()
    assert "model/loss is not finite in seed 4" in text.getvalue()
    assert "seed 3" not in text.getvalue()


def test_the_command_says_each_return_and_the_mean_with_its_interval(tmp_path, capsys):
    args = ["train", "debug", "--env-steps", "400", "--no-video", "--folder", str(tmp_path)]
    assert cli.main([*args, "--seeds", "3", "--run", "x", "--evaluations", "2"]) == 0
    said = capsys.readouterr().out
    ends = [rows(start.RunFolder(tmp_path / f"x-seed{s}"))[-1]["eval/return"] for s in range(3)]
    assert f"mean of 3 seeds {np.mean(ends):.1f}, 95% interval [" in said
    for name in ("x-seeds.png", "x-seed0/curve.png", "x-seed2/curve.png"):
        assert (tmp_path / name).stat().st_size > 10_000
    assert cli.main(["train", "--resume", *(str(tmp_path / f"x-seed{s}") for s in range(3))]) == 0
    assert cli.main([*args, "--seeds", "2", "--seed", "2", "--run", "x"]) == 2
    assert "x-seed2 exists and is never overwritten" in capsys.readouterr().err
    assert not (tmp_path / "x-seed3").exists(), "no run of a refused command is made"


def test_the_interval_of_equal_returns_is_one_number(tmp_path):
    _, results = trained(tmp_path)
    equal = [r._replace(evaluation=results[0].evaluation) for r in results]
    total = reports.summary(equal)
    assert total["low"] == pytest.approx(total["mean"]) == total["high"]
    assert reports.summary(results[:1])["low"] is None


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"data": "set"}, "a data set is recorded from one run"),
        ({"devices": 2}, "out of range"),
    ],
)
def test_what_one_program_cannot_train_is_refused(changes, words, monkeypatch):
    with pytest.raises(ConfigError, match=words):
        together.check(dataclasses.replace(CONFIG, **changes), probes.make(probes.ACTION))
    with pytest.raises(ConfigError, match="foreign"):
        together.check(CONFIG, object())
    with pytest.raises(ConfigError, match="learns from a data set"):
        together.check(CONFIG, None)
    with pytest.raises(ConfigError, match="how many"):
        together.numbered(0, 0)
    with pytest.raises(ConfigError, match="goes past"):
        together.numbered(2**32 - 2, 3)
    monkeypatch.setattr(together.devices, "chosen", lambda number: [None] * 4)
    with pytest.raises(ConfigError, match="take `--devices 1`"):
        together.check(CONFIG, probes.make(probes.ACTION))


def test_runs_that_differ_in_more_than_seeds_do_not_go_on_together(tmp_path):
    runs, _ = trained(tmp_path, stop_at=1)
    with pytest.raises(ConfigError, match="given twice"):
        several.resume([runs[0], runs[0]])
    longer = dataclasses.replace(CONFIG, seed=SEEDS[1], episodes=4)
    presets.save_yaml(longer, runs[1].config)
    with pytest.raises(ConfigError, match=r"differs from .*seed5: .*episodes"):
        several.resume(runs)
    others = [loop.run(CONFIG, "p", "b", tmp_path).run, runs[0]]
    with pytest.raises(ConfigError, match=r"at one iteration, but here is .*b at 6, .*seed5 at 1"):
        several.resume(others)
