"""The report of next to nothing: one state, one horizon, zeros, nothing finite. It is written."""

import json
import math
import re
from types import SimpleNamespace

import numpy as np
import pytest

from mjxwm.cli import gradients as command
from mjxwm.gradients import (
    experiment,
    findings,
    gates,
    laboratory,
    landscape,
    report,
    results,
    subject,
    summary,
    sums,
)
from mjxwm.gradients.bootstrap import Interval
from mjxwm.gradients.pooled import cells
from mjxwm.gradients.sampling import Measured

NAMES = (laboratory.TRUTH, "simulator", "model")


def measured(states: int, what: str):
    rng, found = np.random.default_rng(0), {}
    for name in NAMES:
        x = 1.0 + rng.normal(size=(states, 64, 4)) if what == "numbers" else None
        if x is None:
            x = np.full((states, 64, 4), 0.0 if what == "zeros" else np.nan)
        kept = sums.of(x)
        norms = np.linalg.norm(x, axis=-1)
        found[name] = Measured(kept, kept.mean, norms, norms)
    return found


def made(states: int, what: str, horizons: tuple[int, ...] = (1, 4)) -> results.Report:
    everywhere = [np.arange(states)]
    by_horizon = {h: measured(states, what) for h in horizons}
    found = by_horizon[horizons[-1]]
    value = {"numbers": 0.1, "zeros": 0.0, "nothing": math.nan}[what]
    gain = Interval(value, math.nan, math.nan)
    ahead = summary.difference(found, "model", "simulator", everywhere, pooled=False)
    pooled = summary.difference(found, "model", "simulator", everywhere, pooled=True)
    checks = [
        gates.finite(found),
        gates.truth({"plan": (found, False), "actor": (found, True)}, everywhere),
        gates.agreement("G3 single step", found, everywhere),
    ]
    return results.Report(
        task="cartpole-swingup",
        horizon=horizons[-1],
        starts={"free": states},
        gates=checks,
        plan=summary.summarize(found, everywhere, pooled=False),
        actor=summary.summarize(found, everywhere, pooled=True),
        strata={"free": summary.summarize(found, everywhere, pooled=False)},
        horizons={h: summary.summarize(f, everywhere, pooled=False) for h, f in by_horizon.items()},
        growth=summary.growth(by_horizon, everywhere),
        ahead={"plan": ahead, "actor": pooled, "free": ahead},
        lines=[
            landscape.Line(n, d, True, [value] * landscape.POINTS, gain)
            for n in ("simulator", "random 0")
            for d in ("simulator", "model")
        ],
        improvements=[
            landscape.Improvement(n, 8, [gain] * len(landscape.SIZES), 0.1, gain)
            for n in (*NAMES, f"{laboratory.TRUTH}, all samples")
        ],
        states=summary.states(by_horizon, ["free"] * states),
    )


def test_a_report_of_action_sequences_alone_has_nothing_else():
    """As the cells of a study are: the rest was not measured, and is not spoken of."""
    found = made(6, "numbers")._replace(actor={}, lines=[], improvements=[])
    text = findings.paragraph(found)
    assert "action sequences" in text
    assert "policy parameters" not in text
    assert "A step along" not in text
    page = report.render(found, {}, text)
    assert page.count("<svg") == 3
    for name in ("policy", "landscape", "steps"):
        assert f'id="{name}"' not in page


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize(("states", "what"), [(1, "numbers"), (2, "zeros"), (1, "nothing")])
def test_it_is_written_and_needs_more_states(states, what):
    found = made(states, what)
    text = findings.paragraph(found)
    assert f"they need 5 start states or more, and there are {states}; raise --states" in text
    page = report.render(found, {}, text)
    drawn = page.count("<svg")
    assert drawn + page.count("nothing is finite here") == 8
    assert (drawn == 0) == (what == "nothing")
    words = re.sub(r"<script>.*</script>|<style>.*</style>", "", page, flags=re.DOTALL)
    for said in (text, words, *(gate.verdict for gate in found.gates)):
        assert not re.search(r"\bnan\b", said.lower())
    json.dumps(results.plain(found), allow_nan=False)


def test_no_winner_is_named_where_nothing_is_known():
    text = findings.paragraph(made(1, "numbers"))
    about_the_policy = text[text.index("policy parameters") :]
    assert "At every batch size" not in about_the_policy
    assert "needs more start states" in about_the_policy
    gate = next(gate for gate in made(1, "numbers").gates if gate.name == "Truth")
    assert "raise --states" in gate.verdict


def test_the_numbers_are_on_disk_before_anything_is_drawn(tmp_path, monkeypatch):
    def render(*arguments):
        raise RuntimeError("nothing draws here")

    algo = SimpleNamespace(steps_per_iteration=128, iterations=6)
    config = SimpleNamespace(
        algo=algo, task="cartpole-swingup", task_fields={}, action_repeat=2, seed=7
    )
    policy = SimpleNamespace(config=config, arrays=(), iteration=3)
    monkeypatch.setattr(command, "_policy", lambda options: (policy, tmp_path / "run", 0))
    monkeypatch.setattr(subject, "take", lambda algo, state: None)
    monkeypatch.setattr(experiment, "steps", lambda config, task: 1)
    monkeypatch.setattr(experiment, "run", lambda *arguments: made(1, "numbers"))
    monkeypatch.setattr(report, "render", render)
    target = tmp_path / "numbers.json"
    places = ["--html", str(tmp_path / "page.html"), "--json", str(target)]
    with pytest.raises(RuntimeError, match="nothing draws"):
        command.gradients(["cartpole-swingup", *places])
    written = json.loads(target.read_text())
    assert "they need 5 start states or more" in written["findings"]
    assert written["cell"] == {
        "body": "cartpole-swingup", "contact_time": None, "share": 0.5, "seed": 7,
        "training": {"data": 0, "window": 0, "values": 0},
    }  # fmt: skip
    (cell,) = cells.read([target])
    assert cell.condition.training.words == "as trained"
    assert "Truth failed" in cell.faults[4][0]
