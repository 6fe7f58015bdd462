"""A run goes on as it was begun: edits are said, and a task of one's own is found again."""

import dataclasses
import shutil
import sys

import mjxwm_envs as envs
import pytest
from mjxwm_envs import registry

from mjxwm import ConfigError
from mjxwm.runs import build, folders, presets, start
from mjxwm.runs.config import Config as RunConfig

TASK = """
import dataclasses
from mjxwm_envs.tasks.dm_control import TASKS

def longer():
    return dataclasses.replace(TASKS["pendulum-swingup"](), episode_length={length})
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A run of a task in a module of its own folder, begun there; the module is forgotten since."""
    home = tmp_path / "home"
    home.mkdir()
    (home / "my_longer_task.py").write_text(TASK.format(length=78))
    monkeypatch.chdir(home)
    cfg = dataclasses.replace(presets.load_preset(RunConfig, "debug"), video=False)
    cfg = dataclasses.replace(cfg, task="my_longer_task:longer")
    run = start.new_run(build.build(cfg), "debug", "a", tmp_path / "runs")
    sys.modules.pop("my_longer_task")
    (tmp_path / "away").mkdir()
    monkeypatch.chdir(tmp_path / "away")
    yield run, home
    sys.modules.pop("my_longer_task", None)


def test_a_task_of_ones_own_is_found_from_another_folder(own):
    run, home = own
    cfg = presets.load_yaml(RunConfig, run.config)
    assert cfg.task_folder == str(home)
    # A module of the same name here is another task, not the run's.
    (home.parent / "away" / "my_longer_task.py").write_text(TASK.format(length=5))
    assert build.make_env(cfg).spec.episode_length == 39  # two steps an action
    assert str(home) not in sys.path


def test_a_task_that_has_moved_says_where_it_was(own):
    run, home = own
    shutil.move(home, home.parent / "moved")
    cfg = presets.load_yaml(RunConfig, run.config)
    with pytest.raises(ConfigError) as caught:
        build.make_env(cfg)
    assert "No module named 'my_longer_task'" in str(caught.value)
    assert "run the command in the folder of" in str(caught.value)
    assert f"(the run's task was in {home}: try it there)" in str(caught.value)


def test_shipped_and_installed_tasks_have_no_folder_of_their_own():
    assert registry.folder_of("hopper") is None
    assert registry.folder_of("numpy:array") is None
    with pytest.raises(
        ValueError, match=r"No module named 'nowhere'.*; run the command in the folder"
    ):
        envs.make("nowhere.task:Task")


def test_edits_are_said_once_the_run_was_trained(own, capsys):
    run, _ = own
    folders.say_edits(run)
    assert capsys.readouterr().out == "", "nothing was trained yet"
    folders.keep_trained(run)
    folders.say_edits(run)
    assert capsys.readouterr().out == ""
    values = presets.read_yaml(run.config)
    values["algo"]["gamma"], values["algo"]["policy"]["actor"] = 0.9, [32]
    cfg = presets.from_dict(RunConfig, values)
    presets.save_yaml(cfg, run.config)
    folders.say_edits(run)
    said = capsys.readouterr().out.splitlines()
    assert len(said) == 2
    assert said[0].endswith("edited since the run was last trained: algo.gamma: 0.99 -> 0.9")
    assert said[1].endswith("algo.policy.actor: [16] -> [32]")


def test_differences_name_fields_that_came_and_went():
    before, now = {"a": {"b": 1, "c": 2}, "d": [1]}, {"a": {"b": 1}, "d": [1, 2], "e": None}
    assert presets.differences(before, now) == [
        "a.c: 2 -> (not set)",
        "d: [1] -> [1, 2]",
        "e: (not set) -> None",
    ]


def test_data_without_a_folder_are_refused():
    cfg = dataclasses.replace(presets.load_preset(RunConfig, "debug"), data="")
    with pytest.raises(ConfigError, match="data='' is no folder"):
        build.build(cfg)
