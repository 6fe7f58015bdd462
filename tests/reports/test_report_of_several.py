"""The page of several runs: groups by configuration, intervals over seeds, what differs."""

import re

import pytest
from page_in_browser import CHROMIUM, assert_fits
from test_run_report import outside, recorded

from mjxwm import cli
from mjxwm.reports import several_runs
from mjxwm.reports.several_runs import groups


def test_runs_that_differ_in_their_seed_are_a_group(tmp_path):
    runs = [recorded(tmp_path / f"slow-{seed}", seed=seed) for seed in (0, 1)]
    runs += [recorded(tmp_path / f"fast-seed{seed}", seed=seed, episodes=3) for seed in (10, 11)]
    slow, fast = several_runs.grouped(runs)
    assert (slow.name, fast.name) == ("slow", "fast")
    assert [one.config["seed"] for one in fast.runs] == [10, 11]
    assert groups.differences([slow, fast]) == {"episodes": ["2", "3"]}


def test_names_that_tell_nothing_apart_are_those_of_the_differences(tmp_path):
    runs = [recorded(tmp_path / f"run-{i}", seed=i % 2, episodes=2 + i // 2) for i in range(4)]
    assert [group.name for group in several_runs.grouped(runs)] == ["episodes 2", "episodes 3"]


def test_the_page_has_intervals_tables_and_differences(tmp_path, capsys):
    runs = [recorded(tmp_path / f"a-{seed}", seed=seed) for seed in (0, 1)]
    runs += [recorded(tmp_path / "b <x>", "shac-cartpole")]
    assert cli.main(["report", str(runs[0].path), "--no-measure"]) == 0
    args = ["report", *(str(run.path) for run in runs), "--html", str(tmp_path / "c.html")]
    assert cli.main(args) == 0
    page = (tmp_path / "c.html").read_text(encoding="utf-8")
    assert "3 runs" in page
    assert outside(page) == ["a-0/report.html"], "a link to the page of the run that has one"
    assert "a, mean of 2 seeds" in page
    assert re.search(r"</i>a</td><td>2</td><td>168.0</td><td>168.0 to 168.0</td>", page)
    assert re.search(r"</i>b &lt;x&gt;</td><td>1</td><td>168.0</td><td>-</td>", page)
    assert "<td>algorithm</td><td>pwm</td><td>shac</td>" in page
    assert page.count("<polygon") >= 2, "a band in each curve"
    assert cli.main(["report", *args[1:2], *args[1:2]]) == 2
    assert "is given twice" in capsys.readouterr().err


def test_tasks_are_not_drawn_together(tmp_path):
    runs = [recorded(tmp_path / task, task=task) for task in ("hopper", "cartpole-swingup")]
    page = several_runs.render(several_runs.grouped(runs), tmp_path)
    assert "hopper: return against env steps" in page
    assert "cartpole-swingup: return against env steps" in page


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here")
@pytest.mark.parametrize("width", [390, 1280])
def test_it_fits_a_phone_and_a_desk_in_a_real_browser(width, tmp_path):
    runs = [recorded(tmp_path / f"{'long' * 10}-{seed}", seed=seed) for seed in (0, 1)]
    runs += [recorded(tmp_path / "other", "shac-cartpole")]
    target = several_runs.write(several_runs.grouped(runs), tmp_path / "page.html")
    assert_fits(target, width, tmp_path, "mean of 2 seeds")
