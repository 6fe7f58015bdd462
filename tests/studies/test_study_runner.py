"""Processes of a study: their order, what becomes of each, and that none outlives the study."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from study_cells import SCRIPT, SLOT, FakeCell, fake_child

from mjxwm.runs import exits
from mjxwm.studies import machine
from mjxwm.studies.journal import Journal
from mjxwm.studies.machine import Slot
from mjxwm.studies.runner import Runner


@pytest.fixture
def place(monkeypatch, tmp_path):
    fake_child(monkeypatch, tmp_path)
    monkeypatch.setattr("mjxwm.studies.runner._PAUSE", 0.02)
    return tmp_path


def run(place, cells, again=False, slots=(SLOT,)):
    said, journal = [], Journal(place / "journal.jsonl")
    runner = Runner(cells, journal, place, slots, again, lambda: None, said.append)
    return runner.run(), said


def events(place):
    return [(row["cell"], row["event"]) for row in Journal(place / "journal.jsonl").rows]


def test_cells_run_in_their_order_and_once(place):
    cells = [FakeCell(name, place) for name in "abc"]
    assert run(place, cells)[0] == exits.DONE
    assert events(place) == [(name, event) for name in "abc" for event in ("began", "ended")]
    assert run(place, cells) == (exits.DONE, [])
    assert len(events(place)) == 6


def test_a_cell_that_fails_is_told_and_the_others_go_on(place):
    cells = [
        FakeCell("a", place, "fails"),
        FakeCell("b", place, needs=("a",)),
        FakeCell("c", place),
    ]
    status, said = run(place, cells)
    assert status == 1
    assert any("failed   a after" in line and "error: it cannot be" in line for line in said)
    assert cells[2].standing().word == "done"
    assert run(place, cells) == (1, [])  # it would fail again
    assert [event[0] for event in events(place)] == ["a", "a", "c", "c"]
    run(place, [FakeCell("a", place), *cells[1:]], again=True)
    assert [event[0] for event in events(place)][4:] == ["a", "a", "b", "b"]


def test_what_a_signal_has_ended_goes_on_with_the_next_start(place):
    cells = [FakeCell("a", place, "killed"), FakeCell("b", place)]
    status, said = run(place, cells)
    assert status == 137
    assert "memory is full" in said[1]
    assert run(place, [FakeCell("a", place), cells[1]])[0] == exits.DONE
    assert [event[0] for event in events(place)] == ["a", "a", "b", "b", "a", "a"]


def test_a_cell_that_came_to_its_end_after_its_study_was_killed_is_not_run_again(place):
    cell = FakeCell("a", place)
    cell.result.partial.write_text("{}")
    cell.finish()
    Journal(place / "journal.jsonl").add("a", "began", process=1)
    assert run(place, [cell])[0] == exits.DONE
    assert events(place) == [("a", "began"), ("a", "ended")]
    assert run(place, [cell]) == (exits.DONE, [])


def test_a_process_that_leaves_no_result_has_failed(place):
    status, said = run(place, [FakeCell("a", place, "writes nothing")])
    assert status == exits.UNWRITTEN
    assert "its result cannot be kept" in said[-1]


def test_nothing_begins_on_a_full_disk(place, monkeypatch):
    monkeypatch.setattr("mjxwm.runs.keeping.free", lambda path: 1000)
    status, said = run(place, [FakeCell("a", place)])
    assert status == exits.UNWRITTEN
    assert "the disk is full" in said[0]
    assert events(place) == []


def test_as_many_at_once_as_there_are_parts_of_the_machine(place):
    cells = [FakeCell(name, place) for name in "abcd"]
    run(place, cells, slots=(Slot((0,), {}), Slot((1,), {"A": "B"})))
    assert [event for _, event in events(place)][:2] == ["began", "began"]
    assert all(cell.standing().word == "done" for cell in cells)


def test_a_journal_that_a_crash_has_cut_is_read_and_goes_on(tmp_path):
    journal = Journal(tmp_path / "j")
    journal.add("a", "began", process=1)
    with (tmp_path / "j").open("a") as file:
        file.write('{"cell": "a", "eve')
    Journal(tmp_path / "j").add("a", "ended", status=0, message="", seconds=1.0)
    assert [row["event"] for row in Journal(tmp_path / "j").rows] == ["began", "ended"]


def test_cores_are_shared_out_evenly(monkeypatch):
    monkeypatch.setattr(machine, "_cores", lambda: [0, 1, 2, 3, 4])
    monkeypatch.setattr(machine, "_gpus", list)
    assert [slot.cores for slot in machine.slots(None)] == [(0, 1), (2, 3)]
    assert [slot.cores for slot in machine.slots(1)] == [(0, 1, 2, 3, 4)]
    assert [slot.cores for slot in machine.slots(7)] == [(i % 5,) for i in range(7)]
    monkeypatch.setattr(machine, "_gpus", lambda: ["0", "3"])
    assert [s.environ for s in machine.slots(None)] == [{"CUDA_VISIBLE_DEVICES": n} for n in "03"]
    assert machine.slots(4)[1].environ["XLA_PYTHON_CLIENT_MEM_FRACTION"] == "0.45"


STUDY = """
import sys
from pathlib import Path
sys.path[:0] = {path!r}
from mjxwm.runs import stops
from mjxwm.studies import workers
from mjxwm.studies.journal import Journal
from mjxwm.studies.runner import Runner
from study_cells import SLOT, FakeCell
workers.CHILD = (sys.executable, {script!r})
stops.watch()
place = Path({place!r})
cell = FakeCell("a", place, "slow")
sys.exit(Runner([cell], Journal(place / "journal.jsonl"), place, [SLOT]).run())
"""


@pytest.mark.parametrize(
    ("number", "status"),
    [
        (signal.SIGKILL, -9),
        pytest.param(signal.SIGTERM, 143, marks=pytest.mark.slow),
        pytest.param(signal.SIGINT, 130, marks=pytest.mark.slow),
    ],
)
def test_no_process_outlives_its_study(number, status, tmp_path):
    script = tmp_path / "child.py"
    script.write_text(textwrap.dedent(SCRIPT))
    code = STUDY.format(path=sys.path, script=str(script), place=str(tmp_path))
    study = subprocess.Popen([sys.executable, "-c", code])
    file = tmp_path / "a.partial.pid"
    _until(lambda: file.is_file() and file.read_text())
    child = int(file.read_text())
    os.kill(study.pid, number)
    assert study.wait(60) == status
    _until(lambda: not Path(f"/proc/{child}").exists())


def _until(condition, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)
