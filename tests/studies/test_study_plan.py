"""The matrix of a study: which cells there are, how each is configured, and what is refused."""

import dataclasses
from typing import Any

import pytest
from study_cells import learn

from mjxwm import ConfigError
from mjxwm.runs import presets
from mjxwm.runs.config import Config as RunConfig
from mjxwm.studies import config as studies
from mjxwm.studies import cost, plan, standing
from mjxwm.studies.journal import Journal

SMALL = {
    "title": "Small",
    "tasks": ["cartpole-swingup", "pendulum-swingup"],
    "algorithms": {
        "pwm": {"preset": "debug"},
        "ppo": {"preset": "ppo-cartpole", "fields": {"algo": {"gamma": 0.9}}},
    },
    "seeds": [3, 1],
    "budget": {"env_steps": 4096},
}


def planned(tmp_path, **changes) -> list[Any]:
    return [*plan.cells(studies.read({**SMALL, **changes}, "a.yaml"), tmp_path / "a")]


def test_the_first_seed_of_everything_comes_first(tmp_path):
    names = [cell.name for cell in planned(tmp_path)]
    tasks = ("cartpole-swingup", "pendulum-swingup")
    assert names == [f"{t}-{a}-seed{s}" for s in (3, 1) for t in tasks for a in ("pwm", "ppo")]


def test_fields_go_over_the_preset_in_the_order_of_study_budget_algorithm_variant(tmp_path):
    variants = {"plain": {}, "far": {"algo": {"gamma": 0.5}, "task_fields": {"episode_length": 9}}}
    cells = {
        cell.name: cell.config
        for cell in planned(tmp_path, variants=variants, fields={"episodes": 3, "minutes": 2})
    }
    one = cells["cartpole-swingup-plain-ppo-seed1"]
    assert (one.algorithm, one.seed, one.episodes, one.minutes) == ("ppo", 1, 3, 2.0)
    assert (one.algo.env_steps, one.algo.gamma, one.video) == (4096, 0.9, False)
    far = cells["pendulum-swingup-far-ppo-seed1"]
    assert (far.task, far.algo.gamma) == ("pendulum-swingup", 0.5)
    assert far.task_fields == {"episode_length": 9}


def test_presets_may_be_of_one_task_and_parts_may_be_left_out(tmp_path):
    column = {"preset": "{task}", "presets": {"pendulum-swingup": "debug"}}
    out = [{"task": "pendulum-swingup", "algorithm": "ppo"}]
    cells = planned(tmp_path, algorithms=SMALL["algorithms"] | {"pwm": column}, leave_out=out)
    worlds = {(cell.task, cell.algorithm): cell.config.algo.worlds for cell in cells}
    debug, swingup = (presets.load_preset(RunConfig, n) for n in ("debug", "cartpole-swingup"))
    assert worlds == {
        ("cartpole-swingup", "pwm"): swingup.algo.worlds,
        ("pendulum-swingup", "pwm"): debug.algo.worlds,
        ("cartpole-swingup", "ppo"): 128,
    }


def test_a_base_of_a_study_is_a_file_or_a_shipped_study(tmp_path):
    (tmp_path / "mine.yaml").write_text("base: studies/debug\nseeds: [7]\ntitle: Mine\n")
    mine, base = studies.load(str(tmp_path / "mine.yaml")), studies.load("debug")
    assert mine == dataclasses.replace(base, title="Mine", seeds=(7,))


@pytest.mark.parametrize("name", studies.names())
def test_shipped_studies_can_be_planned(name, tmp_path):
    assert plan.cells(studies.load(name), tmp_path)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"algoritms": {}}, "'algoritms' is unknown (did you mean 'algorithms'"),
        ({"algorithms": {"pwm": {"presset": "debug"}}}, "pwm: field 'presset' is unknown"),
        ({"algorithms": {"pwm": {"preset": "debgu"}}}, "did you mean 'debug'"),
        ({"algorithms": {"pwm": {}}}, "names no preset for task 'cartpole-swingup'"),
        ({"seeds": []}, "seeds"),
        ({"seeds": [1, 1]}, "1 is there twice"),
        ({"seeds": ["a"]}, "not of type int"),
        ({"tasks": []}, "needs tasks"),
        ({"fields": {"epsiodes": 3}}, "did you mean 'episodes'"),
        ({"variants": {"x": {"algo": {"gama": 1}}}}, "did you mean 'gamma'"),
        ({"leave_out": [{"task": "cartpole-swingpu"}]}, "did you mean 'cartpole-swingup'"),
        ({"budget": {"minutes": 0}}, "minutes=0.0 is out of range"),
        ({"jobs": 0}, "jobs=0 is out of range"),
        ({"one_program": True}, "seeds that follow one another"),
        ({"gradients": {"g": {"stages": {"late": 2}}}}, "late=2.0 is out of range"),
        ({"gradients": {"g": {"fields": {"horizn": 2}}}}, "did you mean 'horizon'"),
        ({"gradients": {"g": {"algorithms": ["sac"]}}}, "'sac' is not in the study"),
    ],
)
def test_mistakes_are_one_line_that_names_the_field(changes, words, tmp_path):
    with pytest.raises(ConfigError) as caught:
        planned(tmp_path, **changes)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_reports_follow_the_runs_that_they_need(tmp_path):
    report = {"stages": {"early": 0.1, "late": 1}, "fields": {"horizon": 4, "resolution": False}}
    cells = planned(tmp_path, gradients={"soft": report}, tasks=["cartpole-swingup"], seeds=[0])
    assert [cell.name.removeprefix("cartpole-swingup-") for cell in cells] == [
        *("pwm-seed0", "ppo-seed0", "pwm-seed0-soft-early", "pwm-seed0-soft-late"),
    ]
    early = cells[2]
    assert early.needs == ("cartpole-swingup-pwm-seed0",)
    assert cells[0].config.stages == (0.1, 1.0)
    command = early.command()
    policy = tmp_path / "a" / "runs" / "cartpole-swingup-pwm-seed0" / "policy" / "at-10"
    assert command[:4] == ["gradients", "cartpole-swingup", "--policy", str(policy)]
    assert command[-3:] == ["--horizon", "4", "--no-resolution"]


def test_a_report_is_done_once_its_numbers_are_of_this_configuration(tmp_path):
    one = {"stages": {"late": 1}, "fields": {"horizon": 4}}
    cell = planned(tmp_path, gradients={"g": one}, tasks=["cartpole-swingup"])[2]
    cell.command()
    cell.result.partial.write_text('{"findings": "a"')
    with pytest.raises(ValueError, match="delimiter"):
        cell.finish()  # cut short by a full disk
    assert cell.standing().word == "waiting"
    cell.result.partial.write_text('{"findings": "a"}')
    cell.finish()
    assert cell.standing().word == "done"
    other = {"g": {**one, "fields": {"horizon": 5}}}
    changed = planned(tmp_path, gradients=other, tasks=["cartpole-swingup"])[2].standing()
    assert changed.word == "changed"
    assert "laboratory.horizon: 4 -> 5" in changed.why


def test_runs_stand_as_their_folders_say(tmp_path):
    first, second, third, *_ = cells = planned(tmp_path, budget={"env_steps": 16_384})
    learn(first, 10.0)
    learn(second, 10.0, part=0.5)
    journal = Journal(tmp_path / "journal.jsonl")
    now = standing.of_all(cells, journal)
    assert [now[cell.name].word for cell in cells[:3]] == ["done", "stopped", "waiting"]
    journal.add(second.name, "ended", status=3, message="stopped: not finite", seconds=1.0)
    journal.add(third.name, "ended", status=137, message="killed", seconds=1.0)
    now = standing.of_all(cells, Journal(tmp_path / "journal.jsonl"))
    assert [now[cell.name].word for cell in cells[:3]] == ["done", "failed", "stopped"]
    assert now[second.name].why == "status 3: stopped: not finite"


def test_a_run_that_was_killed_before_its_last_policy_was_kept_is_not_done(tmp_path):
    cell = planned(tmp_path)[0]
    learn(cell, 10.0)
    (cell.runs[0].policy / "last" / "policy.yaml").unlink()
    assert cell.standing().word == "stopped"


def test_a_changed_configuration_is_refused_by_name_with_the_way_out(tmp_path):
    cells = planned(tmp_path)
    learn(cells[0], 10.0)
    learn(cells[1], 10.0)
    algorithms = {**SMALL["algorithms"], "pwm": {"preset": "debug", "fields": {"episodes": 9}}}
    now = standing.of_all(
        planned(tmp_path, algorithms=algorithms, budget={"env_steps": 8192}),
        Journal(tmp_path / "none"),
    )
    with pytest.raises(ConfigError) as caught:
        standing.refuse_changed(now)
    text = str(caught.value)
    assert "2 cells were configured otherwise" in text
    assert "episodes: 2 -> 9" in text
    assert "cartpole-swingup-ppo-seed3: algo.env_steps: 4096 -> 8192" in text
    assert "cartpole-swingup-ppo-seed3 --env-steps 8192`" in text


def test_the_cost_is_what_is_left_and_learns_speed_from_runs(tmp_path):
    cells = planned(tmp_path)
    journal = Journal(tmp_path / "journal.jsonl")
    learn(cells[0], 10.0, minutes=2.0)  # pwm on cartpole, of which one more is left
    now = standing.of_all(cells, journal)
    left = cost.left(cells, now, journal, tmp_path)
    assert left.cells == {"done": 1, "waiting": 7}
    assert left.env_steps == 7 * 4096
    assert left.minutes == pytest.approx(2.0)
    assert "ppo on cartpole-swingup" in left.unlike
    lines = "\n".join(cost.lines(left, 2, "2 at once"))
    assert "28,672 env steps are left, 2 at once" in lines
    assert "at most 1.0 minutes and more" in lines
    limited = planned(tmp_path / "b", budget={"minutes": 3})
    now = standing.of_all(limited, journal)
    assert cost.left(limited, now, journal, tmp_path).minutes == pytest.approx(8 * 3.0)
