"""One process at a time on a run folder, and folders that a killed process has left."""

import errno
import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mjxwm import ConfigError
from mjxwm.runs import folders, locks

HOLD = """
import sys, time
from pathlib import Path
from mjxwm.runs import locks
locks.acquire(Path(sys.argv[1]))
print("locked", flush=True)
time.sleep(60)
"""


def test_a_lock_is_held_by_one_process_and_not_by_a_dead_one(tmp_path):
    other = subprocess.Popen([sys.executable, "-c", HOLD, tmp_path], stdout=subprocess.PIPE)
    try:
        assert other.stdout is not None
        other.stdout.readline()
        with pytest.raises(ConfigError, match=rf"in use by process {other.pid} on .*, since"):
            locks.acquire(tmp_path)
        assert not locks.holds(tmp_path)
    finally:
        other.kill()
        other.wait()
    locks.acquire(tmp_path)
    assert locks.holds(tmp_path)
    locks.acquire(tmp_path)  # twice is once
    locks.release(tmp_path)
    assert not locks.holds(tmp_path)
    assert (tmp_path / locks.FILE).read_text() == ""


def test_where_nothing_can_be_locked_a_line_says_so(tmp_path, monkeypatch, capsys):
    """As on some network file systems."""

    def refuse(file, how):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    locks.acquire(tmp_path)
    assert "cannot be locked (No locks available)" in capsys.readouterr().out
    locks.release(tmp_path)


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(ConfigError, match="gone cannot be written to: No such file"):
        locks.acquire(tmp_path / "gone")


def begun(folder, *names):
    """A run folder with these files, as a process that was killed leaves it."""
    run = folders.create(folder, "a", "debug")
    for name in names:
        path = run.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}\n")
    locks.release(run.path)
    return run


@pytest.mark.parametrize(
    "names",
    [
        [],
        ["config.yaml", "trained.yaml"],
        ["config.yaml", "metrics.jsonl", "metrics.jsonl.partial"],
        ["config.yaml", "checkpoints/5.orbax-checkpoint-tmp-17/array"],
        ["config.yaml", "policy/best.partial"],
    ],
)
def test_a_run_in_which_nothing_was_learned_begins_anew(tmp_path, names, capsys):
    begun(tmp_path, *names)
    run = folders.create(tmp_path, "a", "debug")
    said = capsys.readouterr().out
    assert f"{run.path} holds no checkpoint: the run begins anew there" in said
    assert ("its 1 rows" in said) == ("metrics.jsonl" in names)
    assert {path.name for path in run.path.iterdir()} == {"system.json", locks.FILE}
    locks.release(run.path)


@pytest.mark.parametrize("name", ["checkpoints/5/array", "notes.txt"])
def test_what_was_learned_or_is_somebodys_is_never_taken_over(tmp_path, name):
    run = begun(tmp_path, "config.yaml", name)
    for _ in range(2):
        with pytest.raises(ConfigError, match="exists and is never overwritten"):
            folders.create(tmp_path, "a", "debug")
    assert (run.path / name).read_text() == "{}\n"
    assert not locks.holds(run.path)


def test_policies_of_a_run_without_a_checkpoint_are_put_aside(tmp_path):
    for number in (1, 2):
        run = begun(tmp_path, "config.yaml", "policy/last/policy.yaml")
        kept = [tmp_path / "a" / f"policy-before-{i}" for i in range(1, number)]
        assert all((path / "last" / "policy.yaml").is_file() for path in kept)
    assert run.policy.is_dir()


def test_a_run_that_another_process_begins_is_not_taken_over(tmp_path, monkeypatch):
    run = begun(tmp_path, "config.yaml")
    with (run.path / locks.FILE).open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(ConfigError, match="is in use by another process"):
            folders.create(tmp_path, "a", "debug")
    assert run.config.is_file()


def test_what_is_half_made_is_removed(tmp_path):
    half = ["5.partial.orbax-checkpoint-tmp-17", "5.partial", "5.orbax-checkpoint-tmp-17"]
    names = ["metrics.jsonl.partial", *(f"resume/{name}/a" for name in half), "resume/4/a"]
    run = begun(tmp_path, *names)
    folders.clean(run.path, apart=run.checkpoints)
    assert not (run.path / names[0]).exists()
    assert {path.name for path in run.checkpoints.iterdir()} == {"4", *half}
    folders.clean(run.path)
    assert [path.name for path in run.checkpoints.iterdir()] == ["4"], "damaged, but not half made"


def test_what_cannot_be_removed_stays(tmp_path, monkeypatch):
    run = begun(tmp_path, "metrics.jsonl.partial")

    def read_only(*_, **__):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(Path, "unlink", read_only)
    folders.clean(run.path)
    assert (run.path / "metrics.jsonl.partial").is_file()
