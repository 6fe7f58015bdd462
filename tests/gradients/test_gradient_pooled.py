"""Cells of a gradient study together, on cells whose differences are known."""

import json

import numpy as np
import pytest

from mjxwm import ConfigError
from mjxwm.gradients.bootstrap import Interval
from mjxwm.gradients.config import TRUTH
from mjxwm.gradients.pooled import analysis, cells, figure, text

HORIZONS = (1, 8)
RUN = cells.Training()


def numbers(seed, gap, *, share=1.0, contact_time=0.02, training=RUN, sound=(True, True)):
    """A report in which the model's cosine is the simulator's plus `gap[h]`, about."""
    rng = np.random.default_rng(seed)
    horizons = {}
    for h, less in zip(HORIZONS, gap, strict=True):
        truth2 = 4 + rng.uniform(0, 1, 8)

        def rows(cosine, variance, truth2=truth2):
            inner = cosine * truth2 + 0.05 * rng.normal(size=8)
            return {"norm2": truth2.tolist(), "inner": inner.tolist(), "variance": [variance] * 8}

        horizons[str(h)] = {
            TRUTH: {"norm2": truth2.tolist(), "variance": [100.0] * 8},
            "simulator": rows(0.9, 6.4),
            "model": rows(0.9 + less, 3.2),
        }
    at_each = {str(h): ok for h, ok in zip(HORIZONS, sound, strict=True)}
    return {
        "cell": {
            "body": "hopper", "contact_time": contact_time, "share": share, "seed": seed,
            "training": training._asdict(),
        },
        "states": {"stratum": ["flight"] * 4 + ["stance"] * 4, "horizons": horizons},
        "gates": [
            {"name": "G1", "passed": True, "verdict": "fine", "by_horizon": {}},
            {"name": "Truth", "passed": sound[-1], "verdict": "noisy", "by_horizon": at_each},
        ],
    }  # fmt: skip


@pytest.fixture
def read(tmp_path):
    def written(*reports):
        paths = [tmp_path / f"cell-{i}.json" for i in range(len(reports))]
        for path, report in zip(paths, reports, strict=True):
            path.write_text(json.dumps(report))
        return cells.read(paths)

    return written


@pytest.fixture(autouse=True)
def _few_draws(monkeypatch):
    monkeypatch.setattr(analysis.draw, "__defaults__", (0, 200))


def test_a_difference_that_is_there_is_found_and_one_that_is_not_is_not(read):
    whole = analysis.analyse(read(*(numbers(seed, (0.0, -0.4)) for seed in range(3))))
    one, eight = whole.points
    assert (one.horizon, eight.horizon, one.seeds) == (1, 8, [0, 1, 2])
    assert eight.values["cosine"].value == pytest.approx(-0.4, abs=0.05)
    assert [analysis.decided(p.values["cosine"]) for p in whole.points] == [0, -1]
    # Quieter by 3.2 / 64 at no other bias: the smaller error; with one of 0.8, the larger.
    assert one.values["error"].value == pytest.approx(-0.05 / 4.5, abs=0.03)
    assert eight.values["error"].value == pytest.approx(0.8 - 0.05 / 4.5, abs=0.05)
    said = text.paragraph(whole)
    assert (
        "On hopper the simulator points nearer to the truth at 8 steps (contacts of 20 ms" in said
    )
    assert "it is not decided at 1 of 2 points" in said
    assert "the model points nearer" not in said
    assert "From 1 steps to 8 steps the difference of cosines moves towards the simulator" in said


def test_seeds_are_drawn_before_start_states(read):
    """Seeds that disagree make an interval that their many start states do not."""
    agree = analysis.analyse(read(*(numbers(seed, (0.0, -0.3)) for seed in range(3))))
    gaps = (-0.6, -0.3, 0.0)
    differ = analysis.analyse(read(*(numbers(s, (0.0, gap)) for s, gap in enumerate(gaps))))

    def width(whole):
        x = whole.points[-1].values["cosine"]
        return x.high - x.low

    assert width(differ) > 5 * width(agree)


def test_a_horizon_at_which_a_gate_did_not_pass_is_left_out_and_listed(read):
    whole = analysis.analyse(read(numbers(0, (0, 0)), numbers(1, (0, 0), sound=(True, False))))
    assert [(p.horizon, p.seeds) for p in whole.points] == [(1, [0, 1]), (8, [0])]
    (missing,) = whole.missing
    assert (missing.cell, missing.horizons) == ("cell-1", [8])
    assert missing.faults == ["Truth failed: noisy"]
    assert "1 cell is left out where a gate did not pass" in text.paragraph(whole)
    assert "| cell-1 | 8 | Truth failed: noisy |" in text.tables(whole)


def test_nothing_is_claimed_where_no_cell_passes(read, tmp_path):
    whole = analysis.analyse(read(numbers(0, (0, 0), sound=(False, False))))
    assert whole.points == []
    assert "nothing is claimed" in text.paragraph(whole)
    assert figure.drawing(whole, tmp_path / "figure.png").stat().st_size > 1000


def test_axes_are_compared_from_end_to_end(read):
    whole = analysis.analyse(
        read(
            *(numbers(seed, (0.0, 0.0)) for seed in range(3)),
            *(numbers(seed, (0.0, 0.05), contact_time=0.005) for seed in range(3)),
            *(numbers(seed, (0.0, -0.4), share=0.2) for seed in range(3)),
        )
    )
    ends = {t.axis: t.ends for t in whole.trends}
    assert ends == {"horizon": (1, 8), "stiffness": (0.02, 0.005), "stage": (0.2, 1.0)}
    (stage,) = (t for t in whole.trends if t.axis == "stage" and t.horizon == 8)
    assert stage.values["cosine"].value == pytest.approx(0.4, abs=0.05)
    assert analysis.decided(stage.values["cosine"]) == 1
    assert "From 20% of training to 100% of training" in text.paragraph(whole)


def test_sources_are_compared_with_the_plainest_training_on_the_same_states(read, tmp_path):
    run, base, more, critics = (
        cells.Training(*x) for x in ((), (50_000, 8), (500_000, 8), (0, 0, 9))
    )
    gaps = {run: -0.2, base: -0.3, more: -0.05, critics: -0.2}
    reports = [
        numbers(seed, (gap, gap), training=training)
        for seed in range(3)
        for training, gap in gaps.items()
    ]
    whole = analysis.analyse(read(*reports))
    moved = {(s.condition.training, s.horizon): s for s in whole.sources}
    against = {s.condition.training: s.than for s in whole.sources}
    assert against == {base: run, more: base, critics: run}
    more = moved[more, 8].values["cosine"]
    assert more.value == pytest.approx(0.25, abs=0.05)
    assert analysis.decided(more) == 1
    words = "500,000 steps of data, windows of 8", "50,000 steps of data, windows of 8"
    assert f"the model with {words[0]}, against {words[1]}, moves" in text.paragraph(whole)
    assert f"| {words[0]} | {words[1]} |" in text.tables(whole)
    assert "| values from 9 steps | as trained |" in text.tables(whole)
    assert figure.drawing(whole, tmp_path / "figure.png").stat().st_size > 1000


def test_what_is_no_cell_is_refused_by_name(tmp_path):
    other = tmp_path / "other.json"
    other.write_text("[1]")
    with pytest.raises(ConfigError, match=r"other\.json is no cell of a gradient study"):
        cells.read([other])
    with pytest.raises(ConfigError, match=r"absent.json: No such file"):
        cells.read([tmp_path / "absent.json"])
    for name in ("a", "b"):
        (tmp_path / f"{name}.json").write_text(json.dumps(numbers(0, (0, 0))))
    with pytest.raises(ConfigError, match="a and b are of one condition and seed"):
        cells.read([tmp_path / "a.json", tmp_path / "b.json"])


def test_an_interval_that_touches_0_decides_nothing():
    assert analysis.decided(Interval(1, 0, 2)) == 0
    assert analysis.decided(Interval(1, float("nan"), float("nan"))) == 0
    assert analysis.decided(Interval(1, 0.1, 2)) == 1
    assert analysis.decided(Interval(-1, -2, -0.1)) == -1
