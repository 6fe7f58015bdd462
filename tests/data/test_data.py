"""Data sets on disk: what is written is what is drawn, and what is broken is refused."""

import concurrent.futures
import itertools
import json
import os
import subprocess
import sys
import types

import jax
import numpy as np
import pytest

from mjxwm.data import Rows, Stream, TaskInfo, Writer, observation_moments, open_data, replay

HOP, CUP = TaskInfo("hop", 3, 2, 500), TaskInfo("cup", 2, 1, 500)


def rows(task, count, start=0, ends=()):
    """Every number says where it came from: observation t is t in each feature."""
    t = np.arange(start, start + count, dtype=np.float32)
    flags = np.zeros(count, np.uint8)
    for place, bits in ends:
        flags[place] = bits
    obs = np.repeat(t[:, None], task.obs_size, 1)
    return Rows(obs, np.repeat(t[:, None] / 1e4, task.action_size, 1), 10 * t, flags)


def make(path, chunk_rows=40):
    with Writer(path, HOP, chunk_rows) as writer:
        for start in range(0, 100, 20):
            writer.add(rows(HOP, 20, start, ends=[(9, 1)]))
    with Writer(path, CUP) as writer:
        writer.add(rows(CUP, 30, 1000, ends=[(29, 6)]))
    return open_data(path)


def test_what_is_written_is_read_back(tmp_path):
    dataset = make(tmp_path / "set")
    assert dataset.rows == 130
    assert dataset.tasks == (HOP, CUP)
    assert [chunk.rows for chunk in dataset.chunks] == [40, 40, 20, 30]
    obs = np.concatenate([chunk.map()["obs"] for chunk in dataset.chunks if chunk.task == HOP])
    np.testing.assert_array_equal(obs[:, 0], np.arange(100))
    flags = dataset.chunks[0].map()["flags"]
    # Terminated where it was said, cut where another call's rows follow.
    assert {i: int(f) for i, f in enumerate(flags) if f} == {9: 1, 19: 2, 29: 1, 39: 2}


def test_a_later_writer_adds_to_the_set(tmp_path):
    make(tmp_path)
    before = open_data(tmp_path)
    with Writer(tmp_path, HOP) as writer:
        writer.add(rows(HOP, 5))
    after = open_data(tmp_path)
    assert after.chunks[: len(before.chunks)] == before.chunks
    assert after.rows == before.rows + 5


def test_windows_are_contiguous_padded_and_of_their_task(tmp_path):
    dataset = make(tmp_path)
    with Stream(dataset, batches=3, batch=64, length=4, seed=0) as stream:
        windows = jax.device_get(next(stream))
    assert windows.obs.shape == (3, 4, 64, 3)
    assert windows.action.shape == (3, 4, 64, 2)
    first = windows.obs[..., 0]
    np.testing.assert_array_equal(first - first[:, :1], np.arange(4)[None, :, None] + 0 * first)
    np.testing.assert_array_equal(windows.reward, 10 * first)
    is_cup = (first[:, 0] >= 1000).astype(int)
    np.testing.assert_array_equal(windows.task, is_cup)
    assert 0.3 < is_cup.mean() < 0.7  # tasks are drawn uniformly, not rows
    cup = is_cup[:, None] * np.ones((1, 4, 1)) > 0
    assert (windows.obs[..., 2][cup] == 0).all()
    assert (windows.action[..., 1][cup] == 0).all()


def test_every_row_of_a_task_is_as_likely(tmp_path):
    dataset = make(tmp_path).of(("hop",))
    with Stream(dataset, batches=1, batch=20_000, length=1, seed=1) as stream:
        starts = jax.device_get(next(stream)).obs[0, 0, :, 0].astype(int)
    counts = np.bincount(starts, minlength=100)
    assert abs(counts - 200).max() < 5 * np.sqrt(200)


def test_no_window_begins_where_nothing_was_done(tmp_path):
    dataset = make(tmp_path).of(("cup",))
    with Stream(dataset, batches=1, batch=5_000, length=1, seed=2) as stream:
        starts = jax.device_get(next(stream)).obs[0, 0, :, 0]
    assert starts.max() == 1028


def test_the_same_seed_draws_the_same_windows(tmp_path):
    dataset = make(tmp_path)
    drawn = []
    for seed in (5, 5, 6):
        with Stream(dataset, 2, 8, 3, seed) as stream:
            drawn.append(jax.device_get([next(stream), next(stream)]))
    jax.tree.map(np.testing.assert_array_equal, drawn[0], drawn[1])
    assert (drawn[0][0].obs != drawn[2][0].obs).any()


def test_flags_mask_what_follows_an_end():
    flags = np.array([[0, 0, 1, 0], [0, 0, 2, 0], [0, 0, 6, 0], [4, 0, 0, 0]], np.uint8).T
    blank = np.zeros((4, 4, 1), np.float32)
    windows = replay.from_flags(blank, blank, blank[..., 0], flags)
    np.testing.assert_array_equal(
        windows.mask.T, [[1, 1, 1, 0], [1, 1, 1, 0], [1, 1, 0, 0], [0, 0, 0, 0]]
    )
    np.testing.assert_array_equal(
        windows.next_mask.T, [[1, 1, 0, 0], [1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 0, 0]]
    )
    np.testing.assert_array_equal(windows.terminated.T[0], [0, 0, 1, 0])


def test_the_spread_of_a_task_is_that_of_all_its_chunks(tmp_path):
    obs = np.random.default_rng(0).normal(1e4, 0.1, (130, 3)).astype(np.float32)
    task = TaskInfo("one", 3, 1, 100)
    with Writer(tmp_path, task, chunk_rows=40) as writer:
        for part in np.array_split(obs, 7):
            count = len(part)
            writer.add(Rows(part, np.zeros((count, 1)), np.zeros(count), np.zeros(count, np.uint8)))
    dataset = open_data(tmp_path)
    assert len(dataset.chunks) > 2
    (moments,) = observation_moments(dataset)
    np.testing.assert_allclose(moments.mean, obs.mean(axis=0, dtype=float), rtol=1e-12)
    np.testing.assert_allclose(moments.variance, obs.var(axis=0, dtype=float), rtol=1e-6)
    with Writer(tmp_path, task) as writer:
        broken = np.full((1, 3), np.nan, np.float32)
        writer.add(Rows(broken, np.zeros((1, 1)), np.zeros(1), np.zeros(1, np.uint8)))
    with pytest.raises(ValueError, match="observations of one are not all finite"):
        observation_moments(open_data(tmp_path))


def test_rows_of_another_shape_are_refused(tmp_path):
    with (
        Writer(tmp_path, HOP) as writer,
        pytest.raises(ValueError, match=r"obs of shape \(4, 2\); \(4, 3\)"),
    ):
        writer.add(rows(CUP, 4))
    assert not (tmp_path / "dataset.json").exists()  # nothing was written


def test_a_task_of_other_sizes_is_refused(tmp_path):
    make(tmp_path)
    with pytest.raises(ValueError, match=r"holds .*name='hop', obs_size=3.* was expected"):
        Writer(tmp_path, TaskInfo("hop", 4, 2, 500))


def test_broken_sets_are_refused_by_name(tmp_path):
    with pytest.raises(ValueError, match=r"is not a data set: it has no dataset\.json"):
        open_data(tmp_path / "none")
    dataset = make(tmp_path)
    with pytest.raises(ValueError, match="no data of task 'walk'; it has: hop, cup"):
        dataset.of(("hop", "walk"))
    file = dataset.chunks[1].path / "obs.npy"
    name = dataset.chunks[1].path.name
    whole = file.read_bytes()
    file.write_bytes(whole[:-8])
    with pytest.raises(ValueError, match=rf"{name}/obs\.npy is cut short"):
        open_data(tmp_path)
    np.save(file, np.zeros((40, 3)))
    with pytest.raises(ValueError, match=r"float64 of shape \(40, 3\); float32 of \(40, 3\)"):
        open_data(tmp_path)
    with file.open("wb") as opened:
        np.savez(opened, obs=np.zeros(3))
    with pytest.raises(ValueError, match="is cut short or no array"):
        open_data(tmp_path)
    file.write_bytes(whole.replace(b"}", b"{", 1))  # numpy parses the header as Python
    with pytest.raises(ValueError, match="is cut short or no array"):
        open_data(tmp_path)
    file.unlink()
    with pytest.raises(ValueError, match="is missing"):
        open_data(tmp_path)
    manifest = tmp_path / "dataset.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "version": 2}))
    with pytest.raises(ValueError, match="mjxwm-data version 2; mjxwm-data version 1 was expected"):
        open_data(tmp_path)


def test_what_a_killed_process_left_is_swept_up(tmp_path):
    make(tmp_path)
    old, other = tmp_path / "hop-old.partial", tmp_path / "hop-other.partial"
    for partial in (old, other):
        partial.mkdir()
    os.utime(old, (0, 0))
    with Writer(tmp_path, HOP) as writer:
        writer.add(rows(HOP, 2))
    assert not old.exists()
    assert other.exists()  # another process may be writing it
    assert open_data(tmp_path).rows == 132


def test_chunks_shorter_than_a_window_are_refused(tmp_path):
    with Writer(tmp_path, HOP) as writer:
        writer.add(rows(HOP, 3))
    with pytest.raises(ValueError, match="no chunk of hop has more than 3 rows; windows of 4"):
        Stream(open_data(tmp_path), 1, 1, 4, 0)
    with Writer(tmp_path, HOP) as writer:
        writer.add(rows(HOP, 9, start=50))
    with Stream(open_data(tmp_path), 1, 500, 4, 0) as stream:  # the short one is left out
        assert jax.device_get(next(stream)).obs[..., 0].min() == 50


def test_every_batch_is_of_the_whole_set(tmp_path):
    with Writer(tmp_path, HOP) as writer:
        writer.add(rows(HOP, 10_000))
    with Stream(open_data(tmp_path), batches=20, batch=200, length=2, seed=3) as stream:
        starts = jax.device_get(next(stream)).obs[:, 0, :, 0]
    np.testing.assert_allclose(starts.mean(axis=1), 5000, atol=5 * 2887 / np.sqrt(200))
    np.testing.assert_allclose(starts.std(axis=1), 2887, rtol=0.2)
    # Nor does a place within its batch say where it is from.
    assert abs(np.corrcoef(starts.ravel(), np.arange(starts.size))[0, 1]) < 0.1


def test_more_chunks_than_a_process_may_open_files(tmp_path):
    resource = pytest.importorskip("resource")
    with Writer(tmp_path, HOP, chunk_rows=2) as writer:
        for start in range(0, 200, 2):
            writer.add(rows(HOP, 2, start))
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    open_files = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 64
    resource.setrlimit(resource.RLIMIT_NOFILE, (open_files + 300, limits[1]))
    try:
        with Stream(open_data(tmp_path), 1, 2000, 2, 0) as stream:
            starts = jax.device_get(next(stream)).obs[0, 0, :, 0]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert set(starts) == set(range(0, 200, 2))


def test_processes_write_into_one_set_at_once(tmp_path):
    def write(task, starts):
        for start in starts:
            with Writer(tmp_path, task) as writer:
                writer.add(rows(task, 5, start))

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        done = [
            pool.submit(write, task, range(k, k + 100, 10)) for task in (HOP, CUP) for k in (0, 500)
        ]
        for each in done:
            each.result()
    dataset = open_data(tmp_path)
    assert dataset.rows == 4 * 10 * 5
    assert len({chunk.path for chunk in dataset.chunks}) == 40


def test_a_chunk_that_another_process_ends_meanwhile_is_no_error(tmp_path, monkeypatch):
    theirs = tmp_path / "hop-theirs.partial"
    theirs.mkdir()

    def ended():  # between the listing and the look at it
        theirs.rename(tmp_path / "hop-theirs") if theirs.exists() else None
        return 0.0

    monkeypatch.setattr("mjxwm.data.writer.time", types.SimpleNamespace(time=ended))
    with Writer(tmp_path, HOP) as writer:
        writer.add(rows(HOP, 5, 0))
    assert open_data(tmp_path).rows == 5


def test_an_error_while_drawing_reaches_who_waits(tmp_path):
    dataset = make(tmp_path)
    stream = Stream(dataset, 1, 4, 2, 0)
    stream.sample = None  # type: ignore[assignment]
    waiting = itertools.islice(stream, 10)
    with pytest.raises(TypeError):
        list(waiting)
    stream.close()


MEMORY = """
import re, sys
from pathlib import Path
import jax
from mjxwm import data
def peak():  # of this program alone; getrusage would count the one that started it
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
dataset = data.open_data(Path(sys.argv[1]))
jax.device_put(0)
before = peak()
with data.Stream(dataset, 4, 256, 17, 0) as stream:
    for _ in range(40):
        next(stream)
print(peak() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is read as on Linux")
def test_streaming_keeps_memory_flat(tmp_path):
    task = TaskInfo("big", 60, 4, 1000)
    with Writer(tmp_path, task, chunk_rows=200_000) as writer:
        for _ in range(8):  # 420 MB
            block = 200_000
            writer.add(
                Rows(
                    np.ones((block, 60), np.float32),
                    np.ones((block, 4), np.float32),
                    np.ones(block, np.float32),
                    np.zeros(block, np.uint8),
                )
            )
    size = sum(file.stat().st_size for file in tmp_path.rglob("*.npy"))
    assert size > 400e6
    out = subprocess.run(
        [sys.executable, "-c", MEMORY, str(tmp_path)], capture_output=True, text=True, check=True
    )
    grown = 1024 * int(out.stdout)
    # 40 items touch every page of it several times over; what may grow is the windows waiting.
    assert grown < 100e6, f"{grown / 1e6:.0f} MB of {size / 1e6:.0f} MB"
