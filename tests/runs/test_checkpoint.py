"""Checkpoints of any state: what was saved is what is read, and another state's is refused."""

import errno
import os
import shutil
from pathlib import Path
from typing import NamedTuple

import damage
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mjxwm import ConfigError
from mjxwm.runs import checkpoint, manifests, together
from mjxwm.runs.folders import RunFolder


class State(NamedTuple):
    weight: jax.Array
    key: jax.Array
    nothing: jax.Array


class Later(NamedTuple):
    weight: jax.Array
    bias: jax.Array
    key: jax.Array


def state(size=3):
    return State(jnp.arange(float(size)), jax.random.key(7), jnp.zeros((2, 0)))


def abstract(made):
    return jax.eval_shape(lambda: made)


@pytest.fixture
def saved(tmp_path):
    checkpoint.save(tmp_path / "run", 5, state())
    return tmp_path / "run"


def test_a_state_comes_back_with_its_keys_and_its_empty_arrays(saved):
    found = checkpoint.restore(saved, abstract(state()))
    np.testing.assert_array_equal(found.weight, state().weight)
    np.testing.assert_array_equal(jax.random.bits(found.key), jax.random.bits(jax.random.key(7)))
    assert found.nothing.shape == (2, 0)
    assert checkpoint.latest(saved) == 5


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (state(4), r".weight is float32\[3\] there and float32\[4\] here"),
        (
            Later(jnp.zeros(3), jnp.zeros(2), jax.random.key(0)),
            r".bias is missing there and float32\[2\] here",
        ),
        (
            state()._replace(weight=jnp.arange(3)),
            r".weight is float32\[3\] there and int32\[3\] here",
        ),
    ],
)
def test_a_checkpoint_of_another_state_is_refused_and_kept(saved, other, message):
    with pytest.raises(ConfigError, match=message):
        checkpoint.restore(saved, abstract(other))
    assert checkpoint.restore(saved, abstract(state())).weight[2] == 2


class Parameter(NamedTuple):
    """How version 0.1 kept the parameters of its networks: leaves were named ".weight.value"."""

    value: jax.Array


@pytest.mark.parametrize("size", [3, 4])
def test_a_checkpoint_of_version_0_1_is_read_and_checked_as_any_other(tmp_path, size):
    before = state()._replace(weight=Parameter(state().weight))
    checkpoint.save(tmp_path / "run", 5, before)
    if size == 3:
        found = checkpoint.restore(tmp_path / "run", abstract(state()))
        np.testing.assert_array_equal(found.weight, state().weight)
    else:
        with pytest.raises(ConfigError, match=r".weight.value is float32\[3\] there and float32"):
            checkpoint.restore(tmp_path / "run", abstract(state(size)))


def test_a_folder_without_checkpoints_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="holds no checkpoint"):
        checkpoint.restore(tmp_path / "none", abstract(state()))


@pytest.fixture
def two(tmp_path):
    """Checkpoints of iterations 1 and 2, whose weights are 0, 1, 2 and 1, 2, 3."""
    for iteration in (1, 2):
        made = state()._replace(weight=state().weight + iteration - 1)
        checkpoint.save(tmp_path / "resume", iteration, made)
    return tmp_path / "resume"


def taken(folder):
    """The iteration of the checkpoint that is restored; all of it must be as it was saved."""
    found = checkpoint.restore(folder, abstract(state()))
    iteration = int(found.weight[0]) + 1
    np.testing.assert_array_equal(found.weight, state().weight + iteration - 1)
    np.testing.assert_array_equal(jax.random.bits(found.key), jax.random.bits(jax.random.key(7)))
    return iteration


def test_each_of_50_damages_is_found_and_the_one_before_taken(two, capsys):
    for file, what in damage.damages(two, 50):
        newest = two / "2" in file.parents
        assert taken(two) == (1 if newest else 2), what
        said = capsys.readouterr().out
        assert said.count("\n") == newest, what
        if newest:
            assert f"checkpoint 2 of {two} is passed over: {file} " in said, what
            assert "The one before, 1, is taken" in said
    assert taken(two) == 2


def test_without_a_whole_checkpoint_the_way_out_is_said(two):
    for iteration in ("1", "2"):
        (two / iteration / manifests.NAME).unlink()
    assert checkpoint.iterations(two) == []
    with pytest.raises(
        ConfigError,
        match=r"no checkpoint is whole: .*2/manifest.json is missing.*"
        "`mjxwm eval`",
    ):
        taken(two)


def test_a_checkpoint_that_is_gone_on_from_is_the_newest(two):
    assert not checkpoint.set_aside(two, after=2)
    assert checkpoint.set_aside(two, after=1)
    assert checkpoint.iterations(two) == [1]
    assert (two / "damaged-2" / manifests.NAME).is_file()
    checkpoint.save(two, 2, state())
    assert taken(two) == 1
    assert checkpoint.iterations(two) == [1, 2]


def test_the_two_newest_are_kept_and_one_that_is_not_finished_is_written_anew(two):
    checkpoint.save(two, 3, state())
    assert checkpoint.iterations(two) == [2, 3]
    (two / "3" / manifests.NAME).unlink()
    assert taken(two) == 2
    checkpoint.save(two, 3, state())
    assert checkpoint.iterations(two) == [2, 3]


def test_an_earlier_one_that_cannot_be_removed_hinders_nothing(two, monkeypatch, capsys):
    def busy(*_, **__):
        raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", busy)
        checkpoint.save(two, 3, state())
    assert f"{two}/1 cannot be removed: " in capsys.readouterr().out
    assert checkpoint.iterations(two) == [1, 2, 3]
    checkpoint.save(two, 4, state())
    assert checkpoint.iterations(two) == [3, 4]


def test_one_is_called_by_its_iteration_once_all_of_it_is_written(two, monkeypatch):
    """What lacks its manifest has lost it."""

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(manifests, "write", full)
    with pytest.raises(OSError, match="No space left"):
        checkpoint.save(two, 3, state())
    assert {path.name for path in two.iterdir()} == {"1", "2", "3.partial"}


def test_runs_of_several_seeds_lose_none_before_a_common_one_is_known_to_be_whole(tmp_path):
    runs = [RunFolder(tmp_path / name) for name in "ab"]
    for run, iterations in zip(runs, [(1, 2), (1, 2, 3)], strict=True):
        for iteration in iterations:
            checkpoint.save(run.checkpoints, iteration, state(), keep=3)
    for iteration, left in ((2, [1]), (1, None)):
        (tmp_path / "c").mkdir()
        copies = [
            RunFolder(shutil.copytree(run.path, tmp_path / "c" / run.path.name)) for run in runs
        ]
        for damaged in range(iteration, 3):
            file = copies[0].checkpoints / str(damaged) / "_CHECKPOINT_METADATA"
            file.write_bytes(b"{")
        if left is None:
            with pytest.raises(ConfigError, match=r"are at one iteration.* has 1 bytes"):
                together.rewind(copies)
            assert checkpoint.iterations(copies[1].checkpoints) == [1, 2, 3]
        else:
            together.rewind(copies)
            assert [checkpoint.iterations(run.checkpoints) for run in copies] == [left, left]
        shutil.rmtree(tmp_path / "c")


@pytest.mark.parametrize("error", [OSError(errno.EMFILE, "too many"), RuntimeError("memory")])
def test_what_the_machine_lacks_is_no_damage(two, monkeypatch, error):
    def fail(*_, **__):
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "_load", fail)
        with pytest.raises(type(error), match=str(error.args[-1])):
            taken(two)
    monkeypatch.setattr(Path, "read_bytes", fail)
    with pytest.raises(type(error), match=str(error.args[-1])):
        taken(two)


def test_a_disk_that_cannot_be_read_is_damage(two, monkeypatch, capsys):
    read = Path.read_bytes

    def broken(path):
        if path == two / "2" / manifests.NAME:
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", broken)
    assert taken(two) == 1
    assert f"{two}/2/manifest.json cannot be read: Input/output error" in capsys.readouterr().out


@pytest.mark.parametrize(
    "name", ["_METADATA", "_sharding", "manifest.ocdbt", "array_metadatas/process_0", ""]
)
@pytest.mark.parametrize("others", [True, False])
def test_a_damaged_checkpoint_of_an_earlier_version_is_named(two, tmp_path, name, others, capsys):
    folder = tmp_path / manifests.EARLIER
    two.rename(folder)
    for manifest in folder.glob("*/manifest.json"):
        manifest.unlink()
    assert taken(folder) == 2
    if not others:
        shutil.rmtree(folder / "1")
    file = folder / "2" / "state" / name
    if file.is_dir():
        shutil.rmtree(file)
        file = Path(file, "_METADATA")
    else:
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    if others:
        assert taken(folder) == 1
        assert f"checkpoint 2 of {folder} is passed over: {file} " in capsys.readouterr().out
    else:
        with pytest.raises(ConfigError, match=str(file)) as refusal:
            taken(folder)
        assert "\n" not in str(refusal.value)
