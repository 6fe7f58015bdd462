"""The page of a run: whole, by itself, honest about what is missing, and quick to write."""

import dataclasses
import json
import math
import re
import shutil
from pathlib import Path

import pytest
from page_in_browser import CHROMIUM, assert_fits

from mjxwm import cli
from mjxwm.reports import one_run
from mjxwm.reports.one_run import figures, film, material, times
from mjxwm.runs import presets, record
from mjxwm.runs.config import Config
from mjxwm.runs.folders import RunFolder


def recorded(folder: Path, preset: str = "debug", rows: int = 14, **changes) -> RunFolder:
    """A run's folder, with a record of so many rows and the files that a page is made of."""
    run = RunFolder(folder)
    run.path.mkdir(parents=True)
    config = presets.load_preset(Config, preset)
    presets.save_yaml(dataclasses.replace(config, **changes), run.config)
    began = {"commit": "abc", "devices": ["cpu: cpu"], "packages": {"jax": "0"}, "preset": preset}
    run.system.write_text(json.dumps(began))
    (run.path / "resume" / "1").mkdir(parents=True)  # something was learned
    (run.path / "resume" / "1" / "state").write_text("")
    lines = record.JsonLines(run.metrics)
    for i in range(1, rows + 1):
        lines.log(row(i))
    return run


def row(i: int) -> dict:
    """What a row of PWM's record has, with an evaluation in every seventh."""
    values = {
        "iteration": i, "env_steps": 256 + 128 * i, "minutes": 1.0 + 0.01 * i + 0.1 * (i // 7),
        "collect/return": 10.0 * i, "collect/length": 500.0, "collect/reward": 0.1,
        "collect/reward_upright": 0.2, "collect/reward_effort": -0.1, "collect/invalid": 0.0,
        "model/consistency": 0.1 / i, "model/reward": 1.0 / i, "model/grad_norm": 1.0,
        "actor/grad_norm": math.nan if i == 3 else 0.5, "actor/return": 5.0, "critic/value": 5.0,
        "actor/optimism": 0.5, "actor/saturation": 0.99 if i > 10 else 0.1, "actor/std": 1.0,
        "critic/loss": 0.1, "guard/actor": float(i == 3), "perf/env_steps_per_s": 1000.0,
        "odd/metric": 1.0 * i,
    }  # fmt: skip
    if i % 7 == 0:
        values |= {"eval/return": 12.0 * i, "eval/return_std": 3.0, "eval/length": 500.0}
    return values


def outside(page: str) -> list[str]:
    """Addresses that a page would load something from."""
    links = re.findall(r'(?:src|href|poster)="([^"#][^"]*)"', page)
    return [link for link in links if not link.startswith("data:")] + re.findall(
        r"@import|url\(", page
    )


def test_a_page_has_it_all_and_needs_nothing_else(tmp_path):
    run = recorded(tmp_path / "run", seed=3)
    page = one_run.render(run)
    assert outside(page) == []
    for words in (
        "Return against env steps", "finished", "168.0", "Losses of the world model",
        "Imagined return against the largest real one", "Length of gradients",
        "Actions at their bounds", "Throughput", "Where the time went", "Preset debug",
        "mjxwm train --resume", "cpu: cpu", "odd/metric",
    ):  # fmt: skip
        assert words in page, words
    assert re.search(r"<td>seed</td><td>0</td><td>3</td>", page), "what differs from the preset"
    explained = page.split('id="rest"')[0]
    assert explained.count("<figure") == explained.count("<figcaption") == explained.count("Bad:")
    assert len(page) < 200_000


def test_symptoms_are_listed_with_when_they_came(tmp_path):
    page = one_run.render(recorded(tmp_path / "run"))
    table = page[page.index('id="symptoms"') : page.index('id="episodes"')]
    assert "<td>actions at their bounds</td><td>99%</td><td>4 of 14</td><td>11</td>" in table
    assert "skipped: actor" in table
    assert "actor/grad_norm is not finite" in table
    healthy = one_run.render(recorded(tmp_path / "other", rows=2))
    assert "The run raised none" in healthy


def test_what_is_missing_is_said_and_not_drawn_empty(tmp_path):
    run = recorded(tmp_path / "run", rows=1)
    run.system.unlink()
    page = one_run.render(run)
    assert "there is no evaluation yet" not in page, "an episode was collected"
    assert "stopped at iteration 1 of 14" in page
    assert "has no system.json" in page
    assert "the record is too short to say" in page
    for svg in re.findall(r"<svg.*?</svg>", page, re.DOTALL):
        assert "<polyline" in svg


def test_nothing_is_written_where_nothing_was_learned(tmp_path, capsys):
    run = recorded(tmp_path / "run")
    shutil.rmtree(run.path / "resume")
    assert one_run.write(run) is None
    assert not (run.path / one_run.FILE).exists()
    assert cli.main(["report", str(run.path)]) == 2
    assert "nothing was learned in it" in capsys.readouterr().err


def test_the_command_writes_it_and_names_are_quoted(tmp_path, capsys):
    run = recorded(tmp_path / "a <b> run")
    assert cli.main(["report", str(run.path), "--no-measure"]) == 0
    assert capsys.readouterr().out == f"'{run.path}/report.html'\n"
    page = (run.path / "report.html").read_text(encoding="utf-8")
    assert "<h1>a &lt;b&gt; run " in page
    assert f"mjxwm train --resume &#x27;{run.path}&#x27;".replace("<b>", "&lt;b&gt;") in page
    assert cli.main(["report", str(run.path), "--html", str(tmp_path)]) == 2


@pytest.mark.parametrize(
    "preset", ["tdmpc2-dmc-cpu", "shac-cartpole", "ppo-cartpole", "sac-ant-cpu"]
)
def test_pages_of_other_algorithms(preset, tmp_path):
    run = recorded(tmp_path / "run", preset)
    page = one_run.render(run)
    assert f"Preset {preset}: nothing differs" in page
    assert ("learns none" in page) == (not preset.startswith("tdmpc2"))


def test_a_configuration_of_an_earlier_version_is_no_obstacle(tmp_path):
    run = recorded(tmp_path / "run")
    run.config.write_text(run.config.read_text() + "gone_since: 1\n")
    page = one_run.render(run)
    assert "ended at iteration 14" in page
    assert "<td>gone_since</td><td>(not set)</td><td>1</td>" in page


def test_a_large_video_stays_beside_the_page(tmp_path, monkeypatch):
    run = recorded(tmp_path / "run")
    run.video.write_bytes(b"0123456789")
    assert "data:video/mp4;base64,MDEyMzQ1Njc4OQ==" in one_run.render(run)
    monkeypatch.setattr(film, "LARGEST", 9)
    page = one_run.render(run)
    assert outside(page) == ["policy.mp4"]
    assert "beside this page" in page


def test_times_are_those_of_the_record(tmp_path):
    rows = material.read(recorded(tmp_path / "run")).rows
    spent = times.minutes(rows)
    assert sum(spent.values()) == pytest.approx(rows[-1]["minutes"])
    learning = 128 / 1000 / 60
    assert spent["collection and updates"] == pytest.approx(14 * learning)
    assert spent["evaluations"] == pytest.approx(2 * (0.11 - learning))
    assert spent["start and compilation"] == pytest.approx(1.01 - learning)


def test_smoothing_keeps_the_mean_and_gaps():
    values = [*([math.nan] * 30), *range(70)]
    smooth = figures.smoothed(values)
    assert math.isnan(smooth[0])
    assert smooth[60] == pytest.approx(30)
    assert smooth[-1] == pytest.approx(68)


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here")
@pytest.mark.parametrize("width", [390, 1280])
def test_it_fits_a_phone_and_a_desk_in_a_real_browser(width, tmp_path):
    one_run.write(recorded(tmp_path / "run"))
    assert_fits(tmp_path / "run" / "report.html", width, tmp_path)
