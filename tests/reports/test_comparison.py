"""Several algorithms under equal conditions: settings, curves, intervals, and what is kept."""

import dataclasses
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from mjxwm import ConfigError
from mjxwm.algos import pwm, shac
from mjxwm.reports import comparison, means, plot
from mjxwm.runs import build, folders, loop, presets, start, stops
from mjxwm.runs.config import Config as RunConfig


def test_what_should_be_equal_is():
    cfg = comparison.Config(task="hopper", seeds=(3,), actor=(8, 8), init_std=0.5, min_std=0.3)
    found = {name: comparison.run_config(cfg, name, 3) for name in ("pwm", "shac", "sapo", "apg")}
    for name, one in found.items():
        assert (one.task, one.seed) == ("hopper", 3)
        policy = one.algo.policy
        assert (policy.actor, policy.init_std, policy.min_std) == ((8, 8), 0.5, 0.3), name
    assert isinstance(found["pwm"].algo, pwm.Config)
    assert found["shac"].algo.bootstrap
    assert not found["apg"].algo.bootstrap
    assert found["sapo"].algo.tune_entropy
    assert found["sapo"].algo.policy.critics == 2
    assert found["shac"].engine == "mjx"


def test_all_have_the_hidden_layers_that_are_asked_for():
    cfg = comparison.Config(task="hopper", actor=(8, 4), critic=(16, 12))
    found = {name: comparison.run_config(cfg, name, 3).algo for name in ("reppo", "tdmpc2", "ppo")}
    reppo = found["reppo"].networks
    assert (reppo.actor, reppo.encoder, reppo.features, reppo.head) == ((8, 4), (16,), 12, ())
    assert found["tdmpc2"].networks.q_hidden == found["ppo"].policy_layers == (8, 4)
    with pytest.raises(ConfigError, match="reppo's critic has at least one hidden layer"):
        comparison.run_config(dataclasses.replace(cfg, critic=()), "reppo", 3)


@pytest.mark.parametrize("task", ["hopper", "cartpole-swingup", "muscle-humanoid"])
def test_shac_sapo_and_apg_differ_in_what_defines_them_alone(task):
    cfg = comparison.Config(task=task)
    base, *others = (comparison.run_config(cfg, name, 0) for name in ("shac", "sapo", "apg"))
    own = {"bootstrap", "entropy", "tune_entropy", "actor_value", "target_tau", "policy"}
    for other in others:
        assert dataclasses.replace(other, algo=base.algo) == base
        one, two = (dataclasses.asdict(c.algo) for c in (base, other))
        assert {k for k in one if one[k] != two[k]} <= own
        assert one["policy"] | {"critics": 2} == two["policy"] | {"critics": 2}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"algorithms": ("pwn",)}, "did you mean 'pwm'"),
        ({"algorithms": ()}, "at least one"),
        ({"task": "myo-hand-pose"}, "no preset of pwm for task 'myo-hand-pose'"),
        ({"minutes": -1.0}, "minutes=-1.0 is out of range"),
    ],
)
def test_what_cannot_be_compared_is_refused_before_anything_runs(change, message, tmp_path):
    cfg = dataclasses.replace(comparison.Config(algorithms=("pwm",), seeds=(0,)), **change)
    with pytest.raises(ConfigError, match=message):
        comparison.run(cfg, tmp_path)
    assert not list(tmp_path.iterdir())


def test_updates_of_the_actor_are_counted():
    algo = pwm.Config(worlds=64, unroll=16, update_ratio=8, batch=64, horizon=8, model_steps=4)
    assert comparison.updates(algo) == algo.policy_updates == 4
    assert comparison.updates(shac.Config()) == 1


@pytest.fixture(scope="module")
def done(shared_programs, tmp_path_factory):
    """Two seeds of a tiny PWM, through `run`."""
    folder = tmp_path_factory.mktemp("compare")
    preset = presets.load_preset(RunConfig, "debug")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(comparison, "preset", lambda name, task: preset)
        cfg = comparison.Config(algorithms=("pwm",), seeds=(0, 1), actor=(8,), critic=(8,),
                                evaluations=2, episodes=2)  # fmt: skip
        first = comparison.run(cfg, folder)
        said = []
        again = comparison.run(cfg, folder, said.append)
    assert [s.split(":")[0] for s in said] == ["pwm-0", "pwm-1"], "finished runs are kept"
    assert [one.run for one in again["pwm"]] == [one.run for one in first["pwm"]]
    return first


def test_a_table_and_a_figure_over_seeds(done, tmp_path):
    (row,) = comparison.summarize(done)
    assert row.mean == pytest.approx(np.mean(row.end_returns))
    assert row.low is not None
    assert row.high is not None
    assert row.low <= row.mean <= row.high
    assert "of 2 seeds" in comparison.table([row])
    curve = comparison.curves(done)["pwm"][0]
    cfg = done["pwm"][0][1]
    assert curve["env steps, all worlds"][-1] >= cfg.algo.env_steps
    assert curve["updates of the actor"][-1] == cfg.algo.iterations * cfg.algo.policy_updates
    target = plot.comparison(comparison.curves(done), tmp_path / "c.png")
    assert target.stat().st_size > 10_000
    page = comparison.page(done, tmp_path / "c.html", "cartpole").read_text(encoding="utf-8")
    assert "pwm, mean of 2 seeds" in page
    assert "cartpole: 2 runs" in page


def test_one_evaluation_of_one_seed_is_drawn_and_has_no_interval(monkeypatch):
    """A point in every panel, where a line of one point would be empty."""
    figures = []
    monkeypatch.setattr(plot, "_save", lambda figure, target: figures.append(figure) or target)
    one = {"env steps": np.array([500.0]), "minutes": np.array([1.0]), "return": np.array([89.4])}
    other = {"env steps": np.array([500.0]), "minutes": np.array([2.0]), "return": np.array([91.0])}
    plot.comparison({"one": [one], "two": [one, other]}, Path("c.png"))
    for axis in figures[0].axes:
        assert all(line.get_marker() == "." for line in axis.get_lines())
        assert len(axis.get_lines()) >= 2
    assert len(figures[0].axes[-1].get_legend().get_texts()) == 2
    row = comparison.Row("pwm", ["a"], [89.4], 89.4, None, None, [500], [1.0])
    assert "89.4 of 1 seed: no interval" in comparison.table([row])


def test_a_mean_goes_as_far_as_all_of_its_curves():
    mean = means.mean_curve([([0, 10], [0, 10]), ([5, 20], [5, 20])], points=3)
    assert mean is not None
    np.testing.assert_allclose(mean.x, [5, 7.5, 10])
    np.testing.assert_allclose(mean.mean, [5, 7.5, 10])
    assert means.mean_curve([([0, 1], [0, 1]), ([2, 3], [0, 1])]) is None
    assert means.mean_curve([([0, 1], [0, np.nan]), ([], [])]) is None


def test_what_lines_of_a_curve_mean_is_in_its_legend(tmp_path, monkeypatch):
    figures = []
    monkeypatch.setattr(plot, "_save", lambda figure, target: figures.append(figure) or target)
    lines = [f'{{"iteration": {i}, "env_steps": {i}, "minutes": {i}, "collect/return": 1.0, '
             f'"eval/return": 2.0}}\n' for i in (1, 2)]  # fmt: skip
    (tmp_path / "a.jsonl").write_text("".join(lines))
    for records in (["a"], ["a", "b"]):
        files = dict(zip(records, [tmp_path / "a.jsonl"] * 2, strict=False))
        plot.learning_curve(files, tmp_path / "c.png")
        words = [text.get_text() for text in figures.pop().axes[1].get_legend().get_texts()]
        runs = records if len(records) > 1 else []
        assert words == [*runs, "evaluated", "collected, with the policy's noise"]


def test_a_run_without_its_last_evaluation_is_not_finished(done):
    run, cfg, status = done["pwm"][0]
    assert status == 0
    assert comparison.finished(folders.find(run.path), cfg)
    longer = dataclasses.replace(cfg, algo=dataclasses.replace(cfg.algo, env_steps=10**9))
    assert not comparison.finished(run, longer)
    assert comparison.finished(run, dataclasses.replace(longer, minutes=1e-6))


@pytest.mark.parametrize("signals", [(None, None), (None, 15)], ids=["no signal", "the last"])
def test_what_was_not_written_and_signals_are_in_the_status(signals, tmp_path, monkeypatch):
    """A signal that came while the last of a run was saved ends the comparison."""
    results = [
        SimpleNamespace(run=folders.RunFolder(tmp_path), signal=number, status=4)
        for number in signals
    ]
    monkeypatch.setattr(comparison, "build", lambda config: None)
    monkeypatch.setattr(loop, "run", lambda *args: results.pop(0))
    cfg = comparison.Config(algorithms=("pwm",), seeds=(0, 1))
    if None in signals[1:]:
        assert comparison.status(comparison.run(cfg, tmp_path / "runs")) == 4
        return
    with pytest.raises(stops.Stopped) as stopped:
        comparison.run(cfg, tmp_path / "runs")
    assert stopped.value.status == 143


@pytest.mark.slow
def test_a_time_limit_ends_a_run_with_an_evaluation(tmp_path):
    cfg = dataclasses.replace(
        presets.load_preset(RunConfig, "debug"), minutes=1e-6, video=False, evaluations=0
    )
    run = start.new_run(build.build(cfg), "debug", "short", tmp_path)
    result = loop.train(build.build(cfg), run)
    assert result.iteration < cfg.algo.iterations
    assert result.evaluation is not None


def test_the_interval_of_a_mean():
    values = np.random.default_rng(0).normal(size=(50, 3))
    low, high = means.interval(values)
    half = 1.96 * values.std(axis=0) / np.sqrt(50)
    np.testing.assert_allclose((high - low) / 2, half, rtol=0.1)
    assert np.isnan(means.interval(values[:1])).all(), "one seed has none"
