"""Scores are quotients; their summaries are means of the middle half with bootstrap intervals."""

import json

import numpy as np
import pytest

from mjxwm import ConfigError, cli
from mjxwm.reports import scores
from mjxwm.reports.scores import End
from mjxwm.runs import folders


def end(task, algorithm, value, run="r"):
    return End(run, task, algorithm, 1000, value)


@pytest.mark.parametrize(
    ("values", "mean"),
    [
        ([3.0], 3.0),
        ([1.0, 3.0], 2.0),
        # Of three values the outer ones count a quarter of the middle one.
        ([0.0, 4.0, 100.0], (0.25 * 0 + 4 + 0.25 * 100) / 1.5),
        ([0.0, 1.0, 2.0, 100.0], 1.5),
        ([-50.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0][::-1], 3.5),
    ],
)
def test_the_interquartile_mean_is_of_the_middle_half(values, mean):
    assert scores.interquartile_mean(values) == pytest.approx(mean)
    assert scores.interquartile_mean([2 * v + 1 for v in values]) == pytest.approx(2 * mean + 1)


def test_the_interquartile_mean_of_nothing_is_refused():
    with pytest.raises(ValueError, match="no values"):
        scores.interquartile_mean([])


def test_the_interval_covers_the_truth_as_often_as_it_says():
    # Of 200 experiments with 20 normal values each, 95% should contain 0. The percentile bootstrap
    # is known to be a little narrow at this size.
    rng = np.random.default_rng(0)
    intervals = [
        scores.bootstrap_interval([rng.normal(size=20)], resamples=1000) for _ in range(200)
    ]
    covered = np.mean([low <= 0 <= high for low, high in intervals])
    assert 0.89 <= covered <= 0.97


def test_every_task_is_drawn_from_alone():
    # Two tasks whose seeds agree exactly: no draw can mix them, so nothing varies.
    assert scores.bootstrap_interval([[1.0, 1.0], [3.0, 3.0]]) == (2.0, 2.0)
    low, high = scores.bootstrap_interval([[1.0, 1.0, 3.0, 3.0]])
    assert low < 1.5 < 2.5 < high


def test_a_score_is_a_quotient_and_the_unit_the_mean_of_ppo_on_the_task():
    ends = [
        end("hopper", "pwm", 3000.0),
        end("ant", "pwm", 10.0),
        end("hopper", "ppo", 1000.0),
        end("hopper", "ppo", 2000.0),
    ]
    scored = scores.score(ends, [end("ant", "ppo", 4.0)])
    assert [(s.end.task, s.score) for s in scored] == [
        ("hopper", 2.0),
        ("hopper", pytest.approx(1000 / 1500)),
        ("hopper", pytest.approx(2000 / 1500)),
        ("ant", 2.5),
    ]
    rows = {(a.task, a.algorithm): a for a in scores.aggregate(scored)}
    assert set(rows) == {("hopper", "pwm"), ("hopper", "ppo"), ("ant", "pwm"), ("all", "pwm")}
    assert rows["hopper", "ppo"].iqm == pytest.approx(1.0)
    assert rows["all", "pwm"].mean == pytest.approx(2.25)
    assert rows["all", "pwm"].runs == 2
    assert "ant: pwm 2.500, mean 2.500, 1 run" in scores.table(scored, list(rows.values()))


def test_settings_of_one_algorithm_are_told_apart_and_seeds_are_not():
    ends = [
        end("ant", "pwm", 1.0, "a")._replace(config=(("gamma", "0.99"), ("lam", "0.9"))),
        end("ant", "pwm", 2.0, "b")._replace(config=(("gamma", "0.95"), ("lam", "0.9"))),
        end("ant", "ppo", 1.0, "c"),
        end("ant", "ppo", 3.0, "d"),
    ]
    named = scores.distinguish(ends)
    assert [e.algorithm for e in named] == ["pwm (gamma=0.99)", "pwm (gamma=0.95)", "ppo", "ppo"]
    assert [s.score for s in scores.score(named)] == [0.5, 1.0, 0.5, 1.5]
    with pytest.raises(ConfigError, match="run a is given twice"):
        scores.distinguish([ends[0], ends[0]])


def test_ppo_with_two_budgets_is_no_unit():
    ends = [
        end("ant", "ppo", 1.0, run)._replace(config=(("env_steps", steps),))
        for run, steps in (("a", "10"), ("b", "20"))
    ]
    with pytest.raises(ConfigError, match=r"several settings.*env_steps=10\)"):
        scores.score(scores.distinguish(ends))


def test_a_run_that_was_cut_off_says_so():
    scored = scores.score([end("ant", "ppo", 1.0)._replace(budget=4000)])
    assert "1,000 env steps of 4,000" in scores.table(scored, scores.aggregate(scored))


def test_given_references_go_before_those_among_the_runs():
    ends = [end("hopper", "pwm", 3000.0), end("hopper", "ppo", 1000.0)]
    assert scores.score(ends, [end("hopper", "ppo", 1500.0)])[0].score == 2.0


@pytest.mark.parametrize(
    ("ends", "references", "message"),
    [
        ([end("ant", "pwm", 1.0)], [], "no run of ppo on task 'ant'.*--reference"),
        ([end("ant", "pwm", 1.0)], [end("hopper", "ppo", 1.0)], "no run of ppo on task 'ant'"),
        ([end("ant", "pwm", 1.0)], [end("ant", "sac", 1.0, "s")], "reference run s is of sac"),
        ([end("ant", "ppo", -5.0)], [], "is -5; scores are quotients"),
    ],
)
def test_what_has_no_unit_is_named(ends, references, message):
    with pytest.raises(ConfigError, match=message):
        scores.score(ends, references)


def make_run(folder, name, values, rows):
    run = folders.RunFolder(folder / name)
    run.path.mkdir()
    run.config.write_text(json.dumps(values))  # JSON is YAML
    run.metrics.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(run.path)


def evaluated(value):
    return [
        {"iteration": 1, "env_steps": 10, "eval/return": 1.0},
        {"iteration": 2, "env_steps": 20, "eval/return": value},
        {"iteration": 3, "env_steps": 30},
    ]


def test_the_command_reads_run_folders(tmp_path, capsys):
    base = {"task": "hopper", "task_fields": {}}
    a = make_run(tmp_path, "a", base, evaluated(30.0))
    b = make_run(tmp_path, "b", {**base, "algorithm": "ppo"}, evaluated(20.0))
    target = tmp_path / "scores.json"
    assert cli.main(["score", a, "--reference", b, "--json", str(target)]) == 0
    result = json.loads(target.read_text())["scores"]
    assert [(r["algorithm"], r["env_steps"], r["score"]) for r in result] == [("pwm", 20, 1.5)]
    assert "score" not in capsys.readouterr().err
    # Changed fields make another task.
    short = {**base, "algorithm": "ppo", "task_fields": {"episode_length": 500}}
    c = make_run(tmp_path, "c", short, evaluated(20.0))
    assert cli.main(["score", a, "--reference", c]) == 2
    assert "no run of ppo on task 'hopper'" in capsys.readouterr().err


def test_a_run_without_evaluation_is_named(tmp_path, capsys):
    a = make_run(tmp_path, "a", {"task": "hopper", "task_fields": {}}, [{"iteration": 1}])
    assert cli.main(["score", a]) == 2
    assert f"--resume {a}" in capsys.readouterr().err
