"""Small runs give the metrics that they gave before: `recorded_metrics.json` says when and where.

Rows are compared to the last of the six digits that a record keeps on the processor and the jax
version that they were recorded with; on others, whose compilers order sums otherwise, the first
row within one part in a thousand. To record anew after a change that is meant to change numbers:
run each of these with `mjxwm train NAME ARGUMENTS --no-video` and copy its first and last row.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import jax
import pytest

from mjxwm.runs import record

RECORDED = json.loads(Path(__file__).with_name("recorded_metrics.json").read_text())


def compared(row: dict, recorded: dict) -> dict:
    """What was recorded of a row: nothing that depends on the machine's speed, and no metrics that
    came later."""
    return {k: row.get(k) for k in recorded}


def same_machine() -> bool:
    try:
        processor = Path("/proc/cpuinfo").read_text()
    except OSError:
        return False
    return RECORDED["processor"] in processor and RECORDED["jax"] == jax.__version__


@pytest.mark.parametrize(
    "preset",
    [
        "debug",
        pytest.param("tdmpc2-dmc-cpu", marks=pytest.mark.slow),
        pytest.param("shac-cartpole", marks=pytest.mark.slow),
    ],
)
def test_a_small_run_gives_the_metrics_that_it_gave(preset, tmp_path):
    run = RECORDED["runs"][preset]
    args = ["train", preset, "--run", "run", "--folder", str(tmp_path), "--no-video"]
    # Compiled as users do: other tests leave optimisations out, which rounds otherwise.
    environ = {name: value for name, value in os.environ.items() if name != "XLA_FLAGS"}
    subprocess.run(
        [sys.executable, "-m", "mjxwm", *args, *run["arguments"]], env=environ, check=True
    )
    first, last = run["rows"][0], run["rows"][-1]
    rows = record.read(tmp_path / "run" / "metrics.jsonl")
    rows = [compared(rows[0], first), compared(rows[-1], last)]
    if same_machine():
        assert rows == [first, last]
    else:
        assert rows[0] == pytest.approx(first, rel=1e-3, abs=1e-5)
        assert rows[-1].keys() == last.keys()
