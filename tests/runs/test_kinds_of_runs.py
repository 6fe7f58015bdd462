"""A command that is given another kind of run, or none, says what it is and which command fits."""

import json

import pytest

from mjxwm import ConfigError, cli
from mjxwm.runs import folders

TRAINING = "task: hopper\nalgorithm: pwm\nalgo: {worlds: 4}\n"
MODEL = "tasks:\n- {name: hopper, obs_size: 11, action_size: 3, episode_length: 1000}\n"


def folder(path, text):
    path.mkdir(parents=True)
    (path / "config.yaml").write_text(text)
    return path


@pytest.mark.parametrize(
    "command",
    ["eval {}", "train --resume {}", "plot {}", "score {}", "gradients hopper --policy {}"],
)
def test_a_model_is_no_training_run(tmp_path, capsys, command):
    model = folder(tmp_path / "a model", MODEL)
    assert cli.main([part.format(model) for part in command.split()]) == 2
    said = capsys.readouterr().err
    assert f"{model} is a model of many tasks, not a training run" in said
    assert f"mjxwm eval --suite TASKS --model '{model}'" in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    "command",
    ["extract hopper --model {}", "pretrain --resume {}", "eval --suite mt4 --model {}"],
)
def test_a_training_run_is_no_model(tmp_path, capsys, command):
    run = folder(tmp_path / "run", TRAINING)
    assert cli.main([part.format(run) for part in command.split()]) == 2
    said = capsys.readouterr().err
    assert f"{run} is a training run, not a model of many tasks" in said
    assert f"mjxwm eval {run}" in said


@pytest.mark.parametrize("find", [folders.find, folders.find_model])
def test_what_is_no_run_folder_is_named(tmp_path, find):
    folder(tmp_path / "group" / "first", TRAINING)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "dataset.json").write_text(json.dumps({}))
    (tmp_path / "file").write_text("")
    for name, what in [
        ("nothing", "it does not exist"),
        ("file", "it is a file"),
        ("data", "it is a data set"),
        ("group", "no config.yaml; runs in .*group: first"),
        ("group/second", "it does not exist; runs in .*group: first"),
    ]:
        with pytest.raises(ConfigError, match=what):
            find(tmp_path / name)
