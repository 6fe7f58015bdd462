"""The page and the numbers of a study: what counts, what is shown, and that results make them."""

import dataclasses
import json
import re
from typing import Any

import numpy as np
import pytest
from page_in_browser import CHROMIUM, assert_fits
from study_cells import learn, without_clock

from mjxwm import cli
from mjxwm.runs import presets
from mjxwm.runs.config import Config
from mjxwm.studies import config as studies
from mjxwm.studies import pictures, plan, report, results, scores, standing, statistics
from mjxwm.studies.journal import Journal

VALUES = {
    "title": "Small <study>",
    "question": "Which is better?",
    "tasks": ["cartpole-swingup", "pendulum-swingup"],
    "algorithms": {"pwm": {"preset": "debug"}, "ppo": {"preset": "ppo-cartpole"}},
    "seeds": [0, 1, 2],
    "budget": {"env_steps": 40_960},
}
RETURNS = {"pwm": (100.0, 120.0, 140.0), "ppo": (50.0, 100.0, 150.0)}


def finished(tmp_path, minutes=1.0, **changes):
    """A study of which everything is done but the last run, which failed half-way."""
    study, folder = studies.read({**VALUES, **changes}, "a.yaml"), tmp_path / "a"
    cells, journal = plan.cells(study, folder), Journal(tmp_path / "journal.jsonl")
    for cell in cells:
        last = cell is cells[-1]
        part = 0.5 if last else 1.0
        learn(cell, RETURNS[cell.algorithm][cell.seed], part, minutes * (1 + cell.seed))
    journal.add(cells[-1].name, "ended", status=3, message="stopped: not finite", seconds=1.0)
    return study, cells, standing.of_all(cells, journal), folder


def rows(numbers, name, **values):
    return [row for row in numbers[name] if all(row[k] == v for k, v in values.items())]


def test_gradient_steps_are_those_of_all_optimisers(tmp_path):
    numbers = results.document(*finished(tmp_path))
    ppo, pwm = (rows(numbers, "runs", method=name)[0] for name in ("ppo", "pwm"))
    assert ppo["gradient_steps"] == 10 * 4 * 8  # iterations x minibatches x epochs
    algo = presets.load_preset(Config, "debug").algo
    each = algo.policy_updates * (1 + 1 + algo.critic_steps)  # world model, actor, critics
    iterations = dataclasses.replace(algo, env_steps=40_960).iterations
    assert pwm["gradient_steps"] == pwm["curve"]["gradient_steps"][-1] == each * iterations


def test_a_run_that_failed_counts_with_its_last_evaluation_and_is_shown(tmp_path):
    pytest.importorskip("rliable")
    study = finished(tmp_path)
    numbers = results.document(*study)
    (row,) = rows(numbers, "by_world", world="pendulum-swingup", method="ppo")
    assert (row["runs"], row["counted"], row["failed"], row["without"]) == (3, 3, 1, 0)
    assert row["mean"]["value"] == 100.0
    assert row["iqm"]["value"] == 100.0, "of three runs rliable cuts none"
    assert row["score"]["value"] == 1.0
    page = report.render(numbers)
    assert "What failed or was stopped" in page
    assert "status 3: stopped: not finite" in page
    assert "Small &lt;study&gt;" in page
    assert "11 done, 1 failed" in page
    assert not re.search(r'(?:src|href)="https?:', page)


def test_equal_env_steps_are_places_that_all_runs_have_been_at():
    """Before its first evaluation a method has no return, and none after its last."""

    def run(method, seed, steps, returns, state="done"):
        curve = {"env_steps": steps, "minutes": [1.0 + i for i in range(len(steps))],
                 "return": returns}  # fmt: skip
        return {"world": "w", "method": method, "algorithm": method, "seed": seed, "state": state,
                "return": returns[-1], "success": None, "curve": curve}  # fmt: skip

    numbers = scores.summary([
        run("shac", 0, [10, 60], [0.0, 100.0]),
        run("shac", 1, [10, 80], [0.0, 140.0]),
        run("pwm", 0, [50, 150], [300.0, 500.0]),
        run("pwm", 1, [50, 100], [100.0, 200.0], "failed"),
        run("ppo", 0, [100, 900], [700.0, 900.0]),
        run("reppo", 0, [100, 917], [800.0, 900.0]),
    ])  # fmt: skip
    shac, pwm, ppo, _ = numbers["by_world"]
    places = [(one["at"], one["of"]) for one in shac["at_equal_env_steps"]]
    assert places == [(60, ["shac"]), (150, ["pwm"]), (900, ["ppo", "reppo"])]

    def values(row):
        return [one["value"] for one in row["at_equal_env_steps"]]

    assert values(shac) == [100.0, None, None]
    assert values(pwm) == [pytest.approx((320 + 120) / 2), (500 + 200) / 2, None]
    assert values(ppo) == [None, 712.5, 900.0]
    assert [(one["at"], one["of"]) for one in ppo["at_equal_minutes"]] == [
        (2.0, ["shac", "pwm", "ppo", "reppo"])
    ]


def test_methods_are_compared_over_all_worlds_in_units_of_ppo(tmp_path):
    pytest.importorskip("rliable")
    numbers = results.document(*finished(tmp_path))
    first, second = numbers["over_worlds"]
    assert (first["method"], second["method"]) == ("pwm", "ppo")
    assert first["iqm"]["value"] == pytest.approx(1.2)
    assert first["iqm"]["low"] < 1.2 < first["iqm"]["high"]
    assert first["profile"]["share"][0] == 1.0
    (row,) = rows(numbers, "improvement", world="all", method="pwm")
    assert row["value"] == pytest.approx((1 + 1.5 + 2 * 1 + 0.5 + 1) / 9, abs=0.12)
    (mirror,) = rows(numbers, "improvement", world="all", method="ppo")
    assert mirror["value"] + row["value"] == pytest.approx(1.0)
    assert mirror["low"] + row["high"] == pytest.approx(1.0)


def test_what_draws_are_evaluated_by_is_what_rliable_says():
    rliable = pytest.importorskip("rliable.metrics")
    rng = np.random.default_rng(0)
    for _ in range(20):
        x, y = (rng.integers(0, 4, (n, 2)).astype(float) for n in (3, 5))
        value = rliable.probability_of_improvement(x, y)
        np.testing.assert_allclose(statistics._improvement(x, y), [value])
        np.testing.assert_allclose(statistics._middle(x), [rliable.aggregate_iqm(x)])


def test_page_and_numbers_are_a_function_of_the_results(tmp_path):
    pages = []
    for i, minutes in enumerate((1.0, 7.0)):
        study, cells, now, folder = finished(tmp_path / str(i), minutes)
        state: Any = np.random.get_state()  # noqa: NPY002
        statistics.interquartile_mean.cache_clear()
        numbers = report.write(study, cells, now, folder)
        after: Any = np.random.get_state()  # noqa: NPY002
        assert after[1].tolist() == state[1].tolist()
        assert json.loads((folder / report.NUMBERS).read_text()) == numbers
        pages.append((folder / report.PAGE).read_text())
    assert pages[0] != pages[1]
    assert without_clock(pages[0]) == without_clock(pages[1])


def test_without_rliable_the_page_says_what_it_lacks(tmp_path, monkeypatch):
    monkeypatch.setattr(statistics, "available", lambda: False)
    numbers = results.document(*finished(tmp_path))
    assert numbers["by_world"][0]["mean"] is not None
    assert "pip install &#x27;mjxwm[study]&#x27;" in report.render(numbers)


def test_no_score_without_a_sound_ppo(tmp_path, monkeypatch):
    monkeypatch.setitem(RETURNS, "ppo", (-1.0, 0.0, -3.0))
    numbers = results.document(*finished(tmp_path))
    assert "ppo's mean return is -1.333" in numbers["units"]["cartpole-swingup"]["why"]
    assert numbers["over_worlds"] == []
    assert "There are no scores" in report.render(numbers)


def test_a_variant_of_the_task_is_a_world_and_one_of_the_algorithm_a_method(tmp_path):
    variants = {"long": {"task_fields": {"episode_length": 500}}, "wise": {"algo": {"gamma": 0.9}}}
    numbers = results.document(*finished(tmp_path, variants=variants))
    names = {(run["world"], run["method"]) for run in numbers["runs"]}
    assert ("cartpole-swingup, long", "pwm") in names
    assert ("pendulum-swingup", "ppo, wise") in names


def test_of_a_program_of_several_seeds_one_may_have_failed_alone(tmp_path):
    study = studies.read({**VALUES, "one_program": True}, "a.yaml")
    cells, journal = plan.cells(study, tmp_path / "a"), Journal(tmp_path / "journal.jsonl")
    assert [cell.name for cell in cells[:2]] == ["cartpole-swingup-pwm", "cartpole-swingup-ppo"]
    command = cells[0].command()
    assert command[2:4] == ["--run", "cartpole-swingup-pwm"]
    assert command[-2:] == ["--seeds", "3"]
    learn(cells[0], 10.0)
    (tmp_path / "a/runs/cartpole-swingup-pwm-seed1/policy/last/policy.yaml").unlink()
    journal.add(cells[0].name, "ended", status=3, message="stopped: not finite", seconds=1.0)
    numbers = results.document(study, cells, standing.of_all(cells, journal), tmp_path / "a")
    states = [run["state"] for run in numbers["runs"]]
    assert states[:4] == ["done", "failed", "done", "waiting"]


def test_a_study_that_has_begun_draws_what_is_there(tmp_path, capsys):
    (tmp_path / "a.yaml").write_text(json.dumps(VALUES))
    args = ["study", str(tmp_path / "a.yaml"), "--folder", str(tmp_path)]
    assert cli.main([*args, "--report"]) == 2
    assert "nothing of the study was run there yet" in capsys.readouterr().err
    assert cli.main([*args, "--dry-run"]) == 0
    assert "12: 12 waiting" in capsys.readouterr().out
    cells = plan.cells(studies.load(str(tmp_path / "a.yaml")), tmp_path / "a")
    learn(cells[0], 10.0, part=0.5)
    learn(cells[1], 10.0)
    assert cli.main([*args, "--report", "--json", str(tmp_path / "n.json")]) == 0
    numbers = json.loads((tmp_path / "n.json").read_text())
    assert numbers["cells"] == {"done": 1, "stopped": 1, "waiting": 10}
    page = (tmp_path / "a" / report.PAGE).read_text()
    assert "pwm, not done" in page
    assert "1 of 12 done" in page
    (tmp_path / "a.yaml").write_text(json.dumps({**VALUES, "fields": {"episodes": 3}}))
    assert cli.main(args) == 2
    assert "2 cells were configured otherwise" in capsys.readouterr().err


def test_curves_are_pictures_too_one_for_each_world(tmp_path, monkeypatch):
    drawn = {}

    def comparison(groups, target, title, colours):
        assert colours == {"pwm": 0, "ppo": 1}
        drawn[title] = groups
        return target

    monkeypatch.setattr(pictures.plot, "comparison", comparison)
    numbers = results.document(*finished(tmp_path))
    files = pictures.draw(numbers, tmp_path / "curves.png")
    assert [path.name for path in files] == [
        "curves-cartpole-swingup.png", "curves-pendulum-swingup.png"
    ]  # fmt: skip
    assert {name: len(runs) for name, runs in drawn["pendulum-swingup"].items()} == {
        "pwm": 3, "ppo": 3
    }  # fmt: skip
    first = drawn["cartpole-swingup"]["pwm"][0]
    assert first["return"][-1] == 100
    assert first["env steps, all worlds"][-1] == 40_960
    failed = drawn["pendulum-swingup"]["ppo"][-1]
    assert failed["env steps, all worlds"][-1] == 40_960, "it stays where it failed, half-way"
    assert failed["return"][-1] == failed["return"][-2]
    numbers["runs"] = rows(numbers, "runs", world="pendulum-swingup")
    assert pictures.draw(numbers, tmp_path / "curves.png") == [tmp_path / "curves.png"]


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here")
@pytest.mark.parametrize("width", [390, 1280])
def test_it_fits_a_phone_and_a_desk_in_a_real_browser(width, tmp_path):
    study, cells, now, folder = finished(tmp_path)
    report.write(study, cells, now, folder)
    assert_fits(folder / report.PAGE, width, tmp_path, "3 seeds")
