"""`--task.FIELD VALUE` on the command line."""

import json
import re

import pytest

from mjxwm import cli
from mjxwm.cli.arguments import task_fields

OWN = """
import gymnasium, numpy as np
class Point(gymnasium.Env):
    observation_space = gymnasium.spaces.Box(-9, 9, (1,), np.float64)
    action_space = gymnasium.spaces.Box(-1, 1, (1,), np.float64)
    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return np.zeros(1), {}
    def step(self, action):
        return np.zeros(1), 1.0, False, False, {}
"""


def test_fields_are_taken_out_of_the_arguments_and_read_as_in_a_preset():
    args = ["debug", "--task.fall_height", "-0.2", "--seed", "3", "--task.episode-length=70"]
    fields, rest = task_fields.take([*args, "--task.sparse", "true", "--task", "mine"])
    assert fields == {"fall_height": -0.2, "episode_length": 70, "sparse": True}
    assert rest == ["debug", "--seed", "3", "--task", "mine"]


@pytest.mark.parametrize("args", [["--task.sparse"], ["--task.a", "--seed"], ["--task.a="]])
def test_a_field_without_a_value_is_refused(args, capsys):
    assert cli.main(["train", "debug", *args]) == 2
    assert f"{args[0]} needs a value" in capsys.readouterr().err


def test_an_environment_of_one_s_own_gets_its_length_on_the_command_line(
    tmp_path, monkeypatch, capsys
):
    (tmp_path / "own_point.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    check = ["envs", "check", "own_point:Point", "--worlds", "2", "--steps", "3"]
    assert cli.main(check) == 2
    assert "no time limit; give episode_length" in capsys.readouterr().err
    assert cli.main([*check, "--task.episode_length", "2", "--json", "found.json"]) == 0
    found = json.loads((tmp_path / "found.json").read_text())["own_point:Point"]
    assert found[0]["ok"]
    assert cli.main([*check, "--task.episode_lenth", "2"]) == 2
    assert "did you mean 'episode_length'" in capsys.readouterr().err
    assert cli.main(["envs", "own_point:Point", "--task.episode_length", "7"]) == 0
    assert re.search(r"own_point:Point +1 +1 +7 +gymnasium", capsys.readouterr().out)
    train = ["train", "debug", "--task", "own_point:Point"]
    assert cli.main([*train, "--task.episode_length", "0"]) == 2
    assert "episode_length=0 is out of range" in capsys.readouterr().err
