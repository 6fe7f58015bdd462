"""A data set that was damaged is refused before anything is learned from it."""

import json

import numpy as np
import pytest

from mjxwm.data import Rows, TaskInfo, Writer, dataset, open_data

HOP = TaskInfo("hop", 3, 2, 500)


@pytest.fixture
def place(tmp_path):
    with Writer(tmp_path, HOP) as writer:
        zeros = np.zeros(9, np.float32)
        rows = Rows(
            np.ones((9, 3), np.float32), np.ones((9, 2), np.float32), zeros, zeros.astype(np.uint8)
        )
        writer.add(rows)
    return tmp_path


def test_a_bit_that_flips_is_found(place):
    (chunk,) = open_data(place).chunks
    file = chunk.path / "obs.npy"
    whole = bytearray(file.read_bytes())
    whole[-5] ^= 1
    file.write_bytes(bytes(whole))
    damaged = open_data(place)
    with pytest.raises(
        ValueError, match=r"obs\.npy is damaged: it was written with other contents"
    ):
        damaged.matching((HOP,))


def test_a_file_is_read_once(place, monkeypatch):
    read = []
    monkeypatch.setattr(
        dataset, "file_sum", lambda file, real=dataset.file_sum: read.append(file) or real(file)
    )
    for _ in range(3):
        open_data(place).matching((HOP,))
    assert len(read) == len(dataset.ARRAYS)


def manifest(place):
    return json.loads((place / "dataset.json").read_text())


def test_a_manifest_that_was_changed_says_how_it_is_taken_all_the_same(place):
    edited = manifest(place)
    edited["tasks"][0]["episode_length"] = 400
    (place / "dataset.json").write_text(json.dumps(edited))
    with pytest.raises(ValueError, match='or was edited; without "crc32", its last field'):
        open_data(place)
    del edited["crc32"]
    (place / "dataset.json").write_text(json.dumps(edited))
    assert open_data(place).tasks[0].episode_length == 400


def test_a_set_of_an_earlier_version_has_no_sums(place):
    earlier = manifest(place)
    del earlier["crc32"], earlier["chunks"][0]["crc32"]
    (place / "dataset.json").write_text(json.dumps(earlier))
    assert open_data(place).matching((HOP,)).rows == 9
    with Writer(place, HOP) as writer:  # which adds them, to what it writes
        writer.add(Rows(np.ones((2, 3)), np.ones((2, 2)), np.ones(2), np.zeros(2, np.uint8)))
    assert [bool(chunk.sums) for chunk in open_data(place).chunks] == [False, True]


WRONG = {
    "no chunks": {"chunks": None},
    "a folder elsewhere": {"folder": "../x"},
    "no folder": {"folder": 3},
    "rows that are none": {"rows": "9"},
    "fewer rows than none": {"rows": -1},
    "a task that is not there": {"task": "cup"},
    "a task that is none": {"task": []},
    "a size that is none": {"obs_size": 0},
    "another size that is none": {"episode_length": True},
    "nested beyond reading": "[" * 100_000,
}


@pytest.mark.parametrize("case", WRONG)
def test_a_manifest_that_is_not_whole_is_named(case, place):
    """Also where something is added to the set."""
    change, values = WRONG[case], manifest(place)
    del values["crc32"]
    if isinstance(change, dict):
        (name,) = change
        part = values if name == "chunks" else values["tasks" if "_" in name else "chunks"][0]
        part.update(change)
    (place / "dataset.json").write_text(change if isinstance(change, str) else json.dumps(values))
    for use in (open_data, lambda place: Writer(place, HOP)):
        with pytest.raises(ValueError, match=r"dataset\.json is not"):
            use(place)
