"""What is run again from a dump: with which kernels, from where, and when not at all.

An iteration here counts to its number, and is not sound in iteration 3.
"""

import contextlib
import itertools
from types import SimpleNamespace
from typing import Any

import pytest

from mjxwm import ConfigError
from mjxwm.maths import finite, platform
from mjxwm.runs import dump, replaying
from mjxwm.runs.config import Config
from mjxwm.runs.folders import RunFolder
from mjxwm.types import no_batches


@pytest.fixture
def replay(tmp_path, monkeypatch):
    """(iteration where the process of the stop began, batches, trial) -> what comes of it."""

    def iterate(state, *batch):
        first = 1 + finite.STAGES.index("model") if state == 2 else 0
        return state + 1, {finite.UNSOUND: float(state == 2), finite.FIRST: first}

    def run(began=0, batches=no_batches, trial=lambda seeds: ""):
        event = dump.Event("the loss", began, None, 3, 4, "model", {3: {}})
        programs = SimpleNamespace(init=lambda key: 0, iterate=iterate)
        algorithm = SimpleNamespace(batches=batches, trial=trial)
        trainer: Any = SimpleNamespace(
            env=None, algorithm=algorithm, programs=programs, keys=lambda key: None
        )
        monkeypatch.setattr(dump, "read", lambda run: (Config(), event))
        monkeypatch.setattr(replaying, "build", lambda config, fits: trainer)
        return replaying.replay(RunFolder(tmp_path), lambda line: None)

    return run


def test_kernels_that_failed_in_the_run_are_not_used(replay, monkeypatch, capsys):
    refused = []
    monkeypatch.setattr(platform, "refuse_pallas", refused.append)
    assert replay(trial=lambda seeds: "another number").reproduced
    assert refused == ["another number"]
    assert "slower kernels, layer by layer" in capsys.readouterr().out


def test_iterations_before_those_of_the_process_that_was_stopped(replay):
    """Of a run that went on at iteration 2, whose checkpoints are gone."""
    assert replay(began=2).reproduced

    @contextlib.contextmanager
    def read(iteration):
        yield itertools.repeat(())

    assert replay(batches=read).reproduced
    with pytest.raises(ConfigError, match="batches of the 2 iterations before are another"):
        replay(began=2, batches=read)
