"""What a run collects is what its data set holds, world by world."""

import errno
import os
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mjxwm import data
from mjxwm.data import replay
from mjxwm.data.dataset import read_manifest
from mjxwm.runs.recorder import Recorder
from mjxwm.types import Trajectory

T, B = 4, 3


class State(NamedTuple):
    iteration: int
    replay: replay.Replay


TASK = data.TaskInfo("numbers", 1, 1, 50)


def trajectory(step):
    """Observation: 100 * world + time."""
    t = jnp.arange(step * T, (step + 1) * T)[:, None]
    value = (100 * jnp.arange(B) + t).astype(float)
    flag = jnp.zeros((T, B), bool)
    terminated = flag.at[:, 1].set(t[:, 0] % 5 == 4)
    return Trajectory(
        value[..., None], value[..., None], value, terminated, flag, ~flag, value[..., None]
    )


@pytest.mark.parametrize("in_memory", [2**20, 300, 0])
@pytest.mark.parametrize("every", [1, 3, 7])
@pytest.mark.parametrize("capacity", [8, 100])
def test_every_row_is_written_once_and_worlds_stay_apart(
    tmp_path, monkeypatch, every, capacity, in_memory
):
    """However often it is written, and whether rows wait in memory, on disk or on both."""
    monkeypatch.setattr("mjxwm.runs.recorder._IN_MEMORY", in_memory)
    insert = jax.jit(replay.insert)
    buffer = insert(replay.init(capacity, T, B, 1, 1), trajectory(0))  # before the first iteration
    recorder = Recorder(data.Writer(tmp_path, TASK, owner="run"), State(0, buffer), False)
    for step in range(1, 7):
        buffer = insert(buffer, trajectory(step))
        recorder.record(State(step, buffer))
        if step % every == 0:
            recorder.hold(step)
            recorder.settle(step)
    recorder.hold(7)
    recorder.settle(7)
    found = data.open_data(tmp_path)
    parts = [chunk.map() for chunk in found.chunks]
    obs = np.concatenate([part["obs"][:, 0] for part in parts])
    flags = np.concatenate([part["flags"] for part in parts])
    expected = np.sort((100 * np.arange(B) + np.arange(7 * T)[:, None]).ravel())
    np.testing.assert_array_equal(np.sort(obs), expected)
    # A row goes on with the next one unless it says otherwise.
    following = flags[:-1] == 0
    np.testing.assert_array_equal((obs[1:] - obs[:-1])[following], 1)
    ended = (obs // 100 == 1) & (obs % 5 == 4)
    np.testing.assert_array_equal(flags & 1, ended)


def test_a_resumed_run_writes_what_is_new(tmp_path):
    buffer = replay.init(100, T, B, 1, 1)
    for step in range(3):
        buffer = replay.insert(buffer, trajectory(step))
    recorder = Recorder(data.Writer(tmp_path, TASK, owner="run"), State(2, buffer), True)
    recorder.record(State(3, replay.insert(buffer, trajectory(3))))
    assert not (tmp_path / "dataset.json").exists()  # until a checkpoint is saved
    recorder.hold(3)
    recorder.settle(3)
    obs = np.concatenate([c.map()["obs"][:, 0] for c in data.open_data(tmp_path).chunks])
    np.testing.assert_array_equal(np.sort(obs % 100), np.repeat(np.arange(12, 16), B))


@pytest.mark.parametrize("killed", ["before the checkpoint", "after it"])
def test_rows_are_in_the_set_where_the_checkpoint_is(tmp_path, killed):
    buffer = replay.insert(replay.init(100, T, B, 1, 1), trajectory(0))
    recorder = Recorder(data.Writer(tmp_path, TASK, owner="run"), State(0, buffer), False)
    recorder.hold(1)
    assert not (read_manifest(tmp_path) or {})["chunks"]
    data.Writer(tmp_path, TASK, owner="other").settle(5)  # which takes nobody else's
    iteration = 0 if killed == "before the checkpoint" else 1
    Recorder(data.Writer(tmp_path, TASK, owner="run"), State(iteration, buffer), True)
    manifest = read_manifest(tmp_path) or {}
    assert [chunk["rows"] for chunk in manifest["chunks"]] == ([T * B] if iteration else [])
    assert not manifest["held"]
    assert sum(path.is_dir() for path in tmp_path.iterdir()) == iteration


def test_rows_that_find_no_room_come_once_with_the_next(tmp_path, monkeypatch):
    buffer = replay.insert(replay.init(100, T, B, 1, 1), trajectory(0))
    writer = data.Writer(tmp_path, TASK, chunk_rows=T, owner="run")
    recorder = Recorder(writer, State(0, buffer), False)

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr("mjxwm.data.writer.changing", full)
        with pytest.raises(OSError, match="No space left"):
            recorder.hold(1)
    assert not any(path.is_dir() for path in tmp_path.iterdir())
    recorder.hold(2)
    recorder.settle(2)
    assert sum(chunk.rows for chunk in data.open_data(tmp_path).chunks) == T * B
