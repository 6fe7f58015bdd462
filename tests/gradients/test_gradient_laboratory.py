"""The whole experiment on a linear system in the place of engines: its report and a gate."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import pytest
from linear_system import (
    ENV,
    ESTIMATORS,
    INITIAL,
    PLAN,
    START,
    SUBJECT,
    WORLDS,
    Linear,
)

from mjxwm.gradients import engine_gates, experiment, laboratory, strata
from mjxwm.gradients.config import Config


@pytest.fixture
def laboratory_of_the_system(monkeypatch):
    """The experiment with this system in the place of engines, and gates that need engines out."""
    four: Any = jax.tree.map(lambda x: jnp.tile(x, (4, 1)), INITIAL)
    starts = strata.Starts(four, ("free",) * 12)
    monkeypatch.setattr(experiment, "worlds", lambda *_: laboratory.Worlds(ENV, ENV, ENV))
    monkeypatch.setattr(experiment, "check_sizes", lambda *_: None)
    monkeypatch.setattr(experiment, "_engine_gates", lambda *_: [])
    monkeypatch.setattr(strata, "play", lambda *_: None)
    monkeypatch.setattr(strata, "choose", lambda *_: starts)


def test_a_report_of_the_system_says_that_model_and_simulator_are_one(laboratory_of_the_system):
    config = Config(
        horizon=2, horizons=(1,), estimators=("zeroth_simulator", "simulator", "model"),
        levels=("plan",), landscape=False, states=5, samples=64, truth=2048, steps=10,
    )  # fmt: skip
    ticks = []
    found = experiment.run(config, experiment.Task("linear", {}, 1), SUBJECT, ticks.append)
    assert len(ticks) == laboratory.ticks(config, laboratory.entries(config, ENGINES)) == 48
    assert {g.name: g.passed for g in found.gates} == {
        "G3 single step": True, "G5 finite": True, "Truth": True,
    }  # fmt: skip
    assert dict(found.gates[-1].by_horizon) == {1: True, 2: True}
    for horizon in (1, 2):
        for name in ("simulator", "model"):
            assert found.horizons[horizon][name]["cosine"].value == pytest.approx(1, abs=0.05)
    ahead = found.ahead["plan"]["cosine"]
    assert abs(ahead.value) < 1e-3  # one noise, one gradient
    assert found.actor == {}
    columns = found.states.horizons[1]["model"]
    assert sorted(columns) == ["inner", "norm2", "variance"]
    assert len(columns["inner"]) == len(found.states.stratum) == 12


ENGINES = laboratory.Worlds(ENV, ENV, ENV)


def test_resolution_is_judged_at_every_horizon(monkeypatch):
    """Another engine with twice the gain of an action, in the place of half the physics step."""
    monkeypatch.setattr(laboratory, "on", lambda env, model, substeps: (ENV, TWICE)[substeps == 2])
    config = Config(horizon=2, horizons=(1,), levels=("plan",), states=3)
    starts = strata.Starts(INITIAL, ("free",) * WORLDS)
    bench = laboratory.Bench(SUBJECT, starts, START, PLAN)
    gate = engine_gates.resolution(config, ENV, bench, ESTIMATORS["simulator"][0])
    assert gate.passed is False
    assert gate.verdict.endswith("limited by the time-stepper")
    assert dict(gate.by_horizon) == {1: False, 2: False}
    for row in gate.figures.values():
        assert row["iterations"]["most"] == 0
        assert row["step"]["median"] > 0.5


class Twice(Linear):
    def step(self, sim, ctrl):
        return super().step(sim, 2 * ctrl)


TWICE = dataclasses.replace(ENV, engine=Twice())
