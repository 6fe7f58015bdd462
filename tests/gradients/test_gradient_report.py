"""The report, and the refusals of `mjxwm gradients`."""

import json
import re

import numpy as np
import page_in_browser as browser
import pytest

from mjxwm import ConfigError, cli
from mjxwm.algos import pwm
from mjxwm.gradients import (
    experiment,
    findings,
    gate,
    gates,
    laboratory,
    landscape,
    names,
    report,
    results,
    summary,
    sums,
)
from mjxwm.gradients.bootstrap import Interval
from mjxwm.gradients.config import Config, validate
from mjxwm.gradients.sampling import Measured
from mjxwm.runs import build, loop, start
from mjxwm.runs.config import Config as RunConfig

NAMES = (laboratory.TRUTH, "simulator", "model", "soft")
NOISE = {laboratory.TRUTH: 30.0, "simulator": 3.0, "model": 1.0, "soft": 1.0}
SHIFT = {"model": 0.3, "soft": 0.1}


def measured(horizon, scale=1.0):
    """Samples whose mean is known: the model is quiet and biased, the simulator neither."""
    rng = np.random.default_rng(horizon)
    mean, found = rng.normal(size=(6, 1, 8)), {}
    for name in NAMES:
        number = 20000 if name == laboratory.TRUTH else 64
        noise = scale * NOISE[name] * rng.normal(size=(6, number, 8))
        kept = sums.of(mean + SHIFT.get(name, 0.0) + noise)
        norms = np.linalg.norm(mean + noise, axis=-1)
        found[name] = Measured(kept, kept.mean, norms, norms)
    return found


EVERYWHERE = [np.arange(3), np.arange(3, 6)]


@pytest.fixture(scope="module")
def found():
    plan = {h: measured(h) for h in (1, 8)}
    rows = summary.summarize(plan[8], EVERYWHERE, pooled=False)
    values = np.sin(np.linspace(0, 3, landscape.POINTS)).tolist()
    gain = [Interval(0.1 * i, 0.0, 0.2 * i) for i in range(len(landscape.SIZES))]
    ahead = summary.difference(plan[8], "model", "simulator", EVERYWHERE, pooled=False)
    return results.Report(
        task="hopper <test>",
        horizon=8,
        starts={"flight": 3, "stance": 3},
        gates=[
            gate.Gate("G1 derivative", True, "fine", {}),
            gate.Gate("G4 resolution", False, "moves", {}),
            gates.finite(plan[8]),
        ],
        plan=rows,
        actor=summary.summarize(plan[8], EVERYWHERE, pooled=True),
        strata={n: summary.summarize(plan[8], [ids], pooled=False)
                for n, ids in zip(("flight", "stance"), EVERYWHERE, strict=True)},
        horizons={h: summary.summarize(f, EVERYWHERE, pooled=False) for h, f in plan.items()},
        growth=summary.growth(plan, EVERYWHERE),
        ahead=dict.fromkeys(("plan", "actor", "flight", "stance"), ahead),
        lines=[landscape.Line(n, d, True, values, gain[0])
               for n in ("simulator", "random 0") for d in ("simulator", "model")],
        improvements=[landscape.Improvement(n, 32, gain, 0.1, gain[-1])
                      for n in (*NAMES, f"{laboratory.TRUTH}, all samples")],
        states=summary.states(plan, ["flight"] * 3 + ["stance"] * 3),
    )  # fmt: skip


def test_statistics_find_the_bias_and_the_variance(found):
    model, sim = found.plan["model"], found.plan["simulator"]
    assert model["bias2"].value == pytest.approx(8 * 0.3**2, abs=0.3)
    assert model["variance"].value == pytest.approx(8, rel=0.15)
    assert sim["variance"].value == pytest.approx(72, rel=0.15)
    assert model["break_even"].value > 100
    # Quiet and biased beats noisy and right only in small batches.
    assert model["mse"][0].value < sim["mse"][0].value
    assert model["mse"][-1].value > sim["mse"][-1].value


def test_every_number_has_an_interval(found):
    for rows in (found.plan, found.actor):
        for name, row in rows.items():
            for statistic, value in row.items():
                for one in value if isinstance(value, list) else [value]:
                    assert isinstance(one, tuple), (name, statistic)
                    assert len(one) == 3
            assert row["variance"].low < row["variance"].value < row["variance"].high


def test_gates_decide_by_equivalence():
    """A truth that is too noisy proves nothing; a bias that is seen does not pass."""
    sure = measured(8, scale=0.1)
    assert gates.agreement("G", sure, EVERYWHERE).passed
    biased = {**sure, "simulator": sure["soft"]._replace(sums=sure["soft"].sums._replace(
        mean=sure["soft"].sums.mean + 2.0))}  # fmt: skip
    assert gates.agreement("G", biased, EVERYWHERE).passed is False
    rng = np.random.default_rng(0)
    noisy = sums.of(rng.normal(size=(6, 20, 8)) * 30)
    lost = {**sure, laboratory.TRUTH: sure[laboratory.TRUTH]._replace(sums=noisy)}
    assert gates.agreement("G", lost, EVERYWHERE).passed is not True
    assert not gates.truth({"plan": (lost, False)}, EVERYWHERE).passed
    assert gates.truth({"plan": (sure, False)}, EVERYWHERE).passed


def test_the_page_has_the_gates_on_top_and_needs_nothing_else(found):
    page = report.render(found, {"commit": "abc"}, findings.paragraph(found))
    assert page.index("G4 resolution") < page.index('id="actions"')
    assert "FAILED" in page
    assert "hopper &lt;test&gt;" in page
    assert page.count("<svg") == page.count("<figcaption") == 8
    assert re.findall(r'(?:src|href)="(?!#|data:)', page) == [], "it loads nothing"
    for raw in (laboratory.TRUTH, "model_detached"):
        assert raw not in page, "estimators have names, and a table that says what they are"
    for word in (*names.TERMS, *(name for name, _ in names.ESTIMATORS.values())):
        assert word in page


def test_the_paragraph_says_who_wins_and_what_failed(found):
    text = findings.paragraph(found)
    assert "smaller up to batches of" in text
    assert "not decided: flight, stance" in text.lower()  # three states have no interval
    assert "G4 resolution did not pass" in text


def test_numbers_are_json(found):
    plain = json.loads(json.dumps(results.plain(found), allow_nan=False))
    assert len(plain["plan"]["model"]["cosine"]) == 3
    assert results.plain(float("inf")) == "infinity"
    assert plain["gates"][0]["passed"] is True


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"horizon": 0}, "horizon=0 is out of range"),
        ({"samples": 2}, "samples=2 is out of range"),
        ({"horizons": (16,)}, "16 is out of range; they must be above 0 and below horizon=16"),
        ({"steps": 30}, "steps=30 is too few"),
        ({"estimators": ("zeroth_simulator", "model")}, "lacks simulator"),
        ({"levels": ("actor",)}, "lacks plan"),
        ({"levels": ("plan",)}, "add actor to --levels, or leave it out with --no-landscape"),
    ],
)
def test_sizes_out_of_range_are_refused_by_name(change, message):
    with pytest.raises(ConfigError, match=message):
        validate(Config(**change))


def test_a_policy_of_another_size_is_refused():
    env = build.make_env(RunConfig(task="hopper", engine="native"))
    subject = gates.untrained(build.make_env(RunConfig(engine="native")), 0)
    with pytest.raises(ConfigError, match="the policy has 5 observations and 1 actions"):
        experiment.check_sizes(subject, env, "hopper")


def test_a_run_without_a_model_is_refused(tmp_path, capsys):
    path = tmp_path / "run"
    path.mkdir()
    assert cli.main(["gradients", "hopper", "--policy", str(path)]) == 2
    assert "is not a run folder" in capsys.readouterr().err


@pytest.mark.slow
def test_everything_on_cartpole(tmp_path):
    cfg = RunConfig(
        task="cartpole-swingup",
        algo=pwm.Config(env_steps=4096, worlds=32, batch=32, horizon=8, update_ratio=2.0),
        evaluations=0, checkpoints=0, video=False, episodes=2,
    )  # fmt: skip
    run = start.new_run(build.build(cfg), "debug", "run", tmp_path)
    loop.train(build.build(cfg), run)
    page, numbers = tmp_path / "page.html", tmp_path / "page.json"
    sizes = {"horizon": 4, "horizons": 1, "states": 4, "samples": 16, "truth": 512, "steps": 60}
    options = [word for name, value in sizes.items() for word in (f"--{name}", str(value))]
    args = ["gradients", "cartpole-swingup", "--policy", str(run.path), *options]
    assert cli.main([*args, "--html", str(page), "--json", str(numbers)]) == 0
    found = json.loads(numbers.read_text())
    passed = {gate["name"][:2]: gate["passed"] for gate in found["gates"]}
    assert set(passed) == {"G1", "G2", "G3", "G4", "G5", "Tr"}
    assert [passed[name] for name in ("G1", "G4", "G5")] == [True] * 3
    assert False not in (passed["G2"], passed["G3"])
    assert set(found["actor"]) >= {"simulator_detached", "model_detached", "hybrid", "smoothed"}
    assert page.stat().st_size > 50_000


@pytest.mark.slow
@pytest.mark.parametrize("width", [390, 1280])
def test_it_fits_a_phone_and_a_desk_in_a_real_browser(found, width, tmp_path):
    if browser.CHROMIUM is None:
        pytest.skip("there is no Chromium here")
    page = tmp_path / "page.html"
    page.write_text(report.render(found, {"commit": "abc"}, findings.paragraph(found)))
    browser.assert_fits(page, width, tmp_path, "model")
