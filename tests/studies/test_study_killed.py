"""A study that is killed again and again comes to what an undisturbed one comes to, once."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from study_cells import without_clock

from mjxwm.runs import record
from mjxwm.studies.journal import Journal

KILLS = 10
STUDY = """
base: studies/debug
budget: {env_steps: 5000}
"""


def start(file: Path, folder: Path) -> subprocess.Popen:
    command = [sys.executable, "-m", "mjxwm", "study", str(file), "--folder", str(folder)]
    with (folder.parent / f"{folder.name}.log").open("ab") as log:
        environ = os.environ | {"JAX_PLATFORMS": "cpu"}
        return subprocess.Popen([*command, "--jobs", "2"], stdout=log, stderr=log, env=environ)


def progress(study: Path) -> int:
    """How much a study has written: rows of its journal and of its runs' records."""
    files = [study / "journal.jsonl", *study.glob("runs/*/metrics.jsonl")]
    return sum(file.read_bytes().count(b"\n") for file in files if file.is_file())


def kill(process: subprocess.Popen, study: Path, everything: bool) -> None:
    """Kills a study as the system would: alone, or with all its processes."""
    running = {row["cell"]: row.get("process") for row in Journal(study / "journal.jsonl").rows}
    process.kill()
    process.wait()
    for number in running.values() if everything else ():
        if number and b"mjxwm" in _command(number):
            os.kill(number, signal.SIGKILL)


def _command(number: int) -> bytes:
    try:
        return Path(f"/proc/{number}/cmdline").read_bytes()
    except OSError:
        return b""


def timeless(value):
    """JSON without what depends on the clock."""
    if isinstance(value, dict):
        return {k: timeless(v) for k, v in value.items() if "minutes" not in k}
    return [timeless(x) for x in value] if isinstance(value, list) else value


def rows(run: Path) -> list[dict]:
    clock = ("minutes", "perf/")
    return [
        {k: str(v) for k, v in row.items() if not k.startswith(clock)}
        for row in record.read(run / "metrics.jsonl")
    ]


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="cores are not given here")
def test_killed_ten_times_it_comes_to_the_same_page_and_runs_nothing_twice(tmp_path):
    file = tmp_path / "killed.yaml"
    file.write_text(STUDY)
    calm, killed = (tmp_path / name / "killed" for name in ("calm", "disturbed"))
    assert start(file, calm.parent).wait() == 0
    total, chance = progress(calm), random.Random(0)
    for i in range(KILLS):
        process, before = start(file, killed.parent), progress(killed)
        enough = before + chance.randint(1, max(1, total // KILLS))
        while progress(killed) < enough and process.poll() is None:
            time.sleep(0.05)
        time.sleep(chance.uniform(0, 1))
        assert process.poll() is None, "it was done before it was killed ten times"
        kill(process, killed, everything=i % 2 == 1)
    assert start(file, killed.parent).wait() == 0

    pages = [without_clock((study / "study.html").read_text()) for study in (calm, killed)]
    assert pages[0] == pages[1]
    numbers = [timeless(json.loads((s / "study.json").read_text())) for s in (calm, killed)]
    assert numbers[0] == numbers[1]
    for run in calm.glob("runs/*"):
        assert rows(run) == rows(killed / "runs" / run.name)
    journal = Journal(killed / "journal.jsonl")
    for cell in {row["cell"] for row in journal.rows}:
        statuses = [row.get("status") for row in journal.rows if row["cell"] == cell]
        # A run that was at its end when the study was killed is done without a row that says so.
        assert 0 not in statuses[:-1], "no run twice"
