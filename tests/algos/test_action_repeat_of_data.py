"""A data set says how many control steps an action lasts; one that does not is read with a word."""

import json

import mjxwm_envs as envs
import numpy as np
import pytest

from mjxwm import data
from mjxwm.algos.multitask import task_set
from mjxwm.data import Rows, TaskInfo, Writer, open_data
from mjxwm.reports import suite
from mjxwm.runs import action_repeats, build
from mjxwm.runs.config import Config as RunConfig
from mjxwm.runs.evaluate import Evaluation

HOPPER = TaskInfo("hopper", 11, 3, 1000, 1)


def write(path, task: TaskInfo) -> None:
    with Writer(path, task) as writer:
        obs, action = np.zeros((5, task.obs_size)), np.zeros((5, task.action_size))
        writer.add(Rows(obs, action, np.zeros(5), np.zeros(5, np.uint8)))


def without(path) -> None:
    """As data sets were written before they said it."""
    manifest = json.loads((path / "dataset.json").read_text())
    for task in manifest["tasks"]:
        del task["action_repeat"]
    del manifest["crc32"]  # no sums either
    (path / "dataset.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize("repeat", [1, 3])
def test_what_is_collected_says_its_action_repeat(tmp_path, repeat):
    config = RunConfig(task="hopper", engine="native", action_repeat=repeat, data=str(tmp_path))
    env = build.make_env(config)
    assert TaskInfo.of(env.spec).action_repeat == repeat
    write(tmp_path, TaskInfo.of(env.spec))
    assert open_data(tmp_path).tasks[0].action_repeat == repeat
    build.data_writer(config, env)


def test_another_action_repeat_of_as_many_actions_is_refused(tmp_path):
    write(tmp_path, HOPPER)
    other = TaskInfo("hopper", 11, 3, 1000, 2)
    with pytest.raises(ValueError, match=r"action_repeat=1\); .*action_repeat=2\) was expected"):
        Writer(tmp_path, other)
    with pytest.raises(ValueError, match=r"action_repeat=1\); .*action_repeat=2\) was expected"):
        open_data(tmp_path).matching((other,))


def test_a_data_set_without_it_is_read_and_completed_by_what_is_added(tmp_path):
    write(tmp_path, HOPPER)
    without(tmp_path)
    assert open_data(tmp_path).matching((HOPPER,)).tasks[0].action_repeat is None
    write(tmp_path, HOPPER)
    assert vars(open_data(tmp_path).tasks[0]) == vars(HOPPER)
    assert open_data(tmp_path).rows == 10


@pytest.mark.parametrize(
    ("task", "repeat"),
    [
        (TaskInfo("walker-run", 24, 6, 500), 2),  # TD-MPC2's protocol
        (TaskInfo("walker-run", 24, 6, 250), 4),  # else what its episodes' length comes to
        (TaskInfo("hopper", 11, 3, 1000), 1),
        (TaskInfo("hopper", 11, 3, 777), 2),  # nothing fits: refused later, with both lengths
    ],
    ids=str,
)
def test_what_is_assumed_is_said(task, repeat):
    assumed, remark = action_repeats.action_repeat(task)
    assert assumed == repeat
    assert f"{repeat} is assumed" in remark
    assert "--action-repeat" in remark


def test_what_data_say_needs_no_word():
    assert action_repeats.action_repeat(HOPPER) == (1, "")
    assert {task.action_repeat for task in task_set("mt80")} == {2}
    spec = envs.make("cup-spin", engine="native", action_repeat=2).spec
    assert vars(TaskInfo.of(spec)) == vars(task_set("cup-spin")[0])
    assert data.TaskInfo("cup-spin", 8, 2, 500).fits(task_set("cup-spin")[0])


def test_a_success_rate_of_nothing_is_no_score():
    evaluation = Evaluation(np.zeros(2), np.zeros(2, int), np.zeros((1, 1)), None)
    assert suite.row("mw-reach", [evaluation]).score is None
    solved = evaluation._replace(success=np.array([True, False]))
    assert suite.row("mw-reach", [solved]).score == 50
