"""What a run collects is what its data set holds, world by world."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mjxwm import data
from mjxwm.data import replay
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
    recorder = Recorder(data.Writer(tmp_path, TASK), State(0, buffer), False)
    for step in range(1, 7):
        buffer = insert(buffer, trajectory(step))
        recorder.record(State(step, buffer))
        if step % every == 0:
            recorder.flush()
    recorder.flush()
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
    recorder = Recorder(data.Writer(tmp_path, TASK), State(2, buffer), True)
    recorder.record(State(3, replay.insert(buffer, trajectory(3))))
    assert not (tmp_path / "dataset.json").exists()  # until a checkpoint is saved
    recorder.flush()
    obs = np.concatenate([c.map()["obs"][:, 0] for c in data.open_data(tmp_path).chunks])
    np.testing.assert_array_equal(np.sort(obs % 100), np.repeat(np.arange(12, 16), B))
