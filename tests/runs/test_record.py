"""The record of a run outlives crashes, bad bytes and resuming: only what is broken goes."""

import json
import os

import pytest

from mjxwm.reports import plot
from mjxwm.runs import record


def line(iteration, **more):
    return json.dumps({"iteration": iteration, **more}).encode()


BAD = {
    "no text": b'{"iteration": 3, "a": "\xff"}',
    "zeros of a disk that lost power": b"\0" * 30,
    "cut": b'{"iteration": 3, "los',
    "a list": b"[3]",
    "a number": b"3",
    "no iteration": b'{"minutes": 1}',
    "an iteration that is none": b'{"iteration": true}',
    "nested beyond reading": b"[" * 100_000,
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_only_a_bad_line_goes(bad, tmp_path, capsys):
    path = tmp_path / "metrics.jsonl"
    good = [line(i, minutes=i / 10) for i in (1, 2, 4, 5)]
    path.write_bytes(b"\n".join([*good[:2], bad, *good[2:]]) + b"\n")
    assert [row["iteration"] for row in record.read(path)] == [1, 2, 4, 5]
    assert f"{path}: line 3 is no row, or was changed, and is left out" in capsys.readouterr().out
    record.JsonLines(path, resume_at=5).log({"iteration": 6})
    assert "line 3" in capsys.readouterr().out
    assert path.read_bytes().splitlines()[:4] == good, "what is good stays byte for byte"
    assert [row["iteration"] for row in record.read(path)] == [1, 2, 4, 5, 6]
    assert "left out" not in capsys.readouterr().out
    assert os.listdir(tmp_path) == [path.name]


def test_a_rewrite_that_fails_leaves_the_record(tmp_path, monkeypatch):
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(b"\n".join(line(i) for i in range(9)) + b"\n")
    before = path.read_bytes()

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        record.JsonLines(path, resume_at=4)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == [path.name], "half a file takes room, too"


def test_a_record_that_is_a_link_stays_one(tmp_path):
    (tmp_path / "disk").mkdir()
    real, link = tmp_path / "disk" / "m.jsonl", tmp_path / "metrics.jsonl"
    real.write_bytes(line(1) + b"\n" + line(2) + b"\n")
    link.symlink_to(real)
    record.JsonLines(link, resume_at=1)
    assert link.is_symlink()
    assert real.read_bytes() == line(1) + b"\n"


def test_of_rows_written_twice_the_last_counts(tmp_path):
    path = tmp_path / "metrics.jsonl"
    rows = [line(1, a=1), line(2, a=2), line(1, a=3), b"", line(3, a=4)]
    path.write_bytes(b"\r\n".join(rows) + b"\n")
    assert [(row["iteration"], row["a"]) for row in record.read(path)] == [(1, 3), (2, 2), (3, 4)]


def test_a_last_line_that_is_being_written_is_nothing_to_speak_of(tmp_path, capsys):
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(line(1) + b'\n{"iteration": 2, "')
    assert [row["iteration"] for row in record.read(path)] == [1]
    assert capsys.readouterr().out == ""


def test_ends_of_lines_within_text_are_none(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"iteration": 1, "note": "a\u2028b\u0085c"}\n', encoding="utf-8")
    assert record.read(path)[0]["note"] == "a\u2028b\u0085c"


def test_rows_without_numbers_are_no_evaluations(tmp_path):
    path = tmp_path / "metrics.jsonl"
    assert record.evaluations(path) == []
    assert record.minutes(path, 9) == 0
    rows = [
        line(1, env_steps=10, minutes=1.5, **{"eval/return": 3.0}),
        line(2, env_steps=20, **{"eval/return": 4.0}),
        line(3, env_steps=30, minutes=2.5, **{"eval/return": None}),
        line(4, minutes="long", **{"eval/return": 5.0}),
    ]
    path.write_bytes(b"\n".join(rows) + b"\n")
    assert [row["iteration"] for row in record.evaluations(path)] == [1, 2]
    assert [row["iteration"] for row in record.evaluations(path, "minutes")] == [1]
    assert [record.minutes(path, i) for i in range(5)] == [0, 1.5, 1.5, 2.5, 2.5]


def test_names_are_drawn_as_they_are(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(line(1, env_steps=10, minutes=1.0, **{"eval/return": 3.0}) + b"\n")
    target = plot.learning_curve({"_a $\\b$": path}, tmp_path / "new" / "c.png", r"half $\frac")
    assert target.stat().st_size > 10_000


def test_a_row_that_was_changed_is_left_out_and_none_without_a_sum_comes_after(tmp_path, capsys):
    """As a bit that flips in a digit, or in the name of the sum."""
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(line(0) + b"\n")  # of an earlier version
    tracker = record.JsonLines(path)
    for iteration in (1, 2, 3, 4):
        tracker.log({"iteration": iteration, "eval/return": 7.5})
    rows = path.read_bytes().splitlines()
    rows[2] = rows[2].replace(b"7.5", b"7.4")
    rows[3] = rows[3].replace(b"crc32", b"crc22")
    path.write_bytes(b"\n".join(rows) + b"\n")
    assert record.read(path) == [
        {"iteration": 0},
        {"iteration": 1, "eval/return": 7.5},
        {"iteration": 4, "eval/return": 7.5},
    ]
    said = capsys.readouterr().out
    assert "line 3 is no row, or was changed, and is left out" in said
    assert "line 4 is no row, or was changed, and is left out" in said


def test_rows_that_are_lost_before_the_checkpoint_are_spoken_of(tmp_path, capsys):
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(b"\n".join(line(i) for i in range(0, 50, 5)) + b"\n")
    record.JsonLines(path, resume_at=49)
    assert capsys.readouterr().out == ""
    record.JsonLines(path, resume_at=90)
    assert (
        "ends at iteration 45, the checkpoint is of 90: the rows between" in capsys.readouterr().out
    )
