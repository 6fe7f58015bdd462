"""A dump that is no event's any more is refused by name before anything is run again."""

import json

import pytest

from mjxwm import ConfigError
from mjxwm.runs import dump
from mjxwm.runs.folders import RunFolder

EVENT = {
    "what": "the loss",
    "began": 0,
    "checkpoint": None,
    "first": 3,
    "stopped": 4,
    "stage": "model",
    "metrics": {"3": {"model/loss": "NaN", "guard/model": 1.0}},
}
WRONG = {
    "no number": {"first": None},
    "half an iteration": {"began": 0.5},
    "a flag": {"stopped": True},
    "no word": {"stage": 3},
    "no metrics of the first": {"first": 2},
    "a metric that is none": {"metrics": {"3": {"model/loss": "high"}}},
    "a metric without end": {"metrics": {"3": {"model/loss": 10**400}}},
    "metrics that are none": {"metrics": []},
    "another field": {"more": 1},
}


@pytest.mark.parametrize("case", WRONG)
def test_it_is_named(case, tmp_path):
    (tmp_path / "dump").mkdir()
    file = tmp_path / "dump" / "event.json"
    (file.parent / "config.yaml").write_text("seed: 1\n")
    file.write_text(json.dumps(EVENT))
    assert dump.read(RunFolder(tmp_path))[1].first == 3
    file.write_text(json.dumps({**EVENT, **WRONG[case]}))
    with pytest.raises(ConfigError, match=r"event\.json is damaged"):
        dump.read(RunFolder(tmp_path))
