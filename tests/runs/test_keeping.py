"""What cannot be written is said, and tried again; the run goes on."""

import errno
import functools
import logging
import os
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor

import jax.numpy as jnp
import pytest

from mjxwm import ConfigError
from mjxwm.runs import announce, checkpoint, devices, folders, keeping, record


@pytest.fixture
def run(tmp_path):
    run = folders.create(tmp_path, "a", "debug")
    run.config.write_text("task: hopper\n")
    keeping.begin(run)
    yield run
    keeping.end(run)


def full(*_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_is_said_once_until_there_is_room(run, capsys):
    for _ in range(3):
        assert not keeping.attempt(run, "the checkpoint", full)
    said = capsys.readouterr().out
    assert said.count("NOT WRITTEN") == 1
    assert "a: the checkpoint NOT WRITTEN: No space left on device; " in said
    assert "GB are free. The run goes on" in said
    assert keeping.unwritten(run) == ("the checkpoint",)
    assert keeping.attempt(run, "the checkpoint", lambda: None)
    assert "the checkpoint can be written again" in capsys.readouterr().out
    assert keeping.unwritten(run) == ()


def test_what_is_no_matter_of_the_disk_is_raised(run):
    def wrong():
        raise ValueError("other shapes")

    with pytest.raises(ValueError, match="other shapes"):
        keeping.attempt(run, "the checkpoint", wrong)


def test_a_folder_that_vanishes_is_made_again(run, capsys):
    shutil.rmtree(run.path)
    rows = record.JsonLines(run.metrics)
    rows.add({"iteration": 3})
    assert keeping.attempt(run, "the record", rows.flush)
    assert f"{run.path} is gone and is made again" in capsys.readouterr().out
    assert run.config.read_text() == run.trained.read_text() == "task: hopper\n"
    assert run.system.is_file()
    assert record.read(run.metrics) == [{"iteration": 3}]


@pytest.mark.parametrize("which", ["main", "thread"])
def test_what_fails_removes_nothing_that_another_thread_writes(run, which):
    """A checkpoint is written in a thread of its own, and all else meanwhile."""
    rows, saved = run.path / "dump.partial", run.checkpoints / "5.partial"
    for place in (rows, saved):
        place.mkdir(parents=True)
    if which == "main":
        assert not keeping.attempt(run, "the record", full)
        assert (rows.exists(), saved.exists()) == (False, True)
    else:
        assert not keeping.attempt(run, "the checkpoint", full, within=run.checkpoints)
        assert (rows.exists(), saved.exists()) == (True, False)


def test_two_threads_at_once_make_a_folder_again_once_and_keep_orbax_silent(run, capsys):
    shutil.rmtree(run.path)
    logger, together = logging.getLogger("absl"), threading.Barrier(2)

    def write():
        together.wait(30)
        assert logger.disabled
        assert run.config.is_file()

    with ThreadPoolExecutor() as pool:
        made = [pool.submit(keeping.attempt, run, f"part {i}", write) for i in range(2)]
        assert all(future.result() for future in made)
    assert capsys.readouterr().out.count("is made again") == 1
    assert not logger.disabled


def test_rows_that_found_no_room_come_with_the_next(tmp_path, monkeypatch):
    """A write of a part alone, as when the disk is just full, leaves no part of a row."""
    rows = record.JsonLines(tmp_path / "metrics.jsonl")
    rows.log({"iteration": 1})
    write = os.write
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda file, data: write(file, data[:5]))
        for iteration in (2, 3):
            with pytest.raises(OSError, match="No space left"):
                rows.log({"iteration": iteration})
    assert (tmp_path / "metrics.jsonl").read_text().count("\n") == 1
    rows.log({"iteration": 4})
    assert [row["iteration"] for row in record.read(tmp_path / "metrics.jsonl")] == [1, 2, 3, 4]


def test_what_finds_no_room_is_not_begun(run, monkeypatch, capsys):
    monkeypatch.setattr(keeping, "free", lambda path: 10 * 2**20)
    assert keeping.attempt(run, "the checkpoint", lambda: None, needed=8 * 2**20)
    assert not keeping.attempt(run, "the checkpoint", pytest.fail, needed=10 * 2**20)
    assert "No space left on device; 10.5 MB are free" in capsys.readouterr().out


def test_processes_agree_whether_to_save(run, monkeypatch):
    """One that does not save, as it lacks room or has it, would leave others waiting for it."""
    monkeypatch.setattr(devices, "any_of", lambda *flags: tuple(True for _ in flags))
    assert not keeping.attempt(run, "the checkpoint", pytest.fail, needed=1)
    assert keeping.attempt(run, "the record", lambda: None)
    monkeypatch.setattr(devices, "of_the_first", lambda number: 1)
    checkpoint.save(run.checkpoints, 3, {})
    assert not run.checkpoints.exists()


def test_a_run_that_ends_is_called_saved_only_if_it_is(run, capsys):
    with pytest.raises(ConfigError, match=r"the world broke\. The run is saved: `mjxwm train"):
        announce.raise_failure("the world broke.", [run], saved=True)
    keeping.refuse(run, "the checkpoint", "the state is not finite")
    assert "a: the checkpoint NOT WRITTEN: the state is not finite" in capsys.readouterr().out
    assert keeping.unwritten(run) == ("the checkpoint",)
    with pytest.raises(ConfigError, match=r"NOT WRITTEN: the checkpoint; from its newest"):
        announce.raise_failure("the world broke.", [run], saved=True)


def test_a_folder_that_vanished_is_made_again_by_a_checkpoint_too(run, capsys):
    shutil.rmtree(run.path)
    write = functools.partial(checkpoint.save, run.checkpoints, 1, {"weight": jnp.zeros(2)})
    assert keeping.attempt(run, "the checkpoint", write, within=run.checkpoints)
    assert "is made again" in capsys.readouterr().out
    assert run.config.is_file()
    assert checkpoint.iterations(run.checkpoints) == [1]
