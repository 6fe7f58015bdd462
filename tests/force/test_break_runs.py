"""Runs that are killed, files that are damaged, runs that are long: a small part of each."""

import random
import subprocess
import sys
from collections import Counter
from pathlib import Path

import break_runs
import numpy as np
import pytest

from mjxwm.data import Rows, TaskInfo, Writer, open_data
from mjxwm.runs import record
from mjxwm.runs.folders import RunFolder

SCRIPTS = Path(break_runs.__file__).parent
HOP = TaskInfo("hop", 3, 2, 500)


def judged(place, read, times=50):
    before, counts = read(), Counter()
    for _ in break_runs.damages(place, times, random.Random(0)):
        counts[break_runs._judged(read, before)] += 1
    assert break_runs._judged(read, before) == "as it was", "all is mended"
    return counts


def test_50_damages_of_a_record(tmp_path):
    run = RunFolder(tmp_path)
    tracker = record.JsonLines(run.metrics)
    for iteration in range(30):
        tracker.log({"iteration": iteration, "eval/return": iteration / 7, "minutes": 0.5})
    counts = judged(run.metrics, lambda: break_runs.rows_and_notes(run))
    assert counts.total() == 50
    assert counts[break_runs._SILENCE] == 0
    assert counts["the one before, or without it, and said"] > 20


def test_50_damages_of_a_data_set(tmp_path):
    rng = np.random.default_rng(0)
    with Writer(tmp_path, HOP, chunk_rows=10) as writer:
        for _ in range(3):
            obs, action = rng.normal(size=(10, 3)), rng.normal(size=(10, 2))
            writer.add(Rows(obs, action, rng.normal(size=10), np.zeros(10, np.uint8)))

    def read():
        return [chunk.map() for chunk in open_data(tmp_path).matching((HOP,)).chunks]

    counts = judged(tmp_path, read)
    assert counts[break_runs._SILENCE] == 0
    assert counts["refused"] > 40


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    [
        "break_runs.py kills --times 20",
        "break_runs.py flips --times 50",
        "long_run.py --iterations 10000",
    ],
)
def test_by_force(command):
    script, *args = command.split()
    subprocess.run([sys.executable, SCRIPTS / script, *args], check=True)
