"""What tests of studies share: cells without learning, and run folders without a run."""

import dataclasses
import json
import re
import sys
from pathlib import Path

import numpy as np

from mjxwm.runs import policy_files, presets, record
from mjxwm.runs.folders import RunFolder
from mjxwm.studies.cells import Cost, ResultFile, Standing
from mjxwm.studies.machine import Slot

SLOT = Slot((0,), {})
SCRIPT = """
import json, os, sys, threading, time, signal
where, what = sys.argv[2], sys.argv[3]
def watch():
    while os.read(0, 1): pass
    os._exit(143)
threading.Thread(target=watch, daemon=True).start()
signal.signal(signal.SIGTERM, lambda *_: os._exit(143))
print("does", what)
if what == "fails": sys.exit("error: it cannot be")
if what == "killed": os.kill(os.getpid(), signal.SIGKILL)
if what == "slow":
    open(where + ".pid", "w").write(str(os.getpid())); time.sleep(60)
if what != "writes nothing": json.dump({"what": what}, open(where, "w"))
"""


def fake_child(monkeypatch, tmp_path: Path) -> None:
    """Has cells do what `SCRIPT` does: no JAX, no training."""
    script = tmp_path / "child.py"
    script.write_text(SCRIPT)
    monkeypatch.setattr("mjxwm.studies.workers.CHILD", (sys.executable, str(script)))


@dataclasses.dataclass(frozen=True)
class FakeCell:
    """A cell that writes a file, at once or never."""

    name: str
    folder: Path
    what: str = "works"
    seed: int = 0
    needs: tuple[str, ...] = ()
    task: str = "task"
    algorithm: str = "algorithm"
    variant: str = ""
    kind = "fake"

    @property
    def result(self) -> ResultFile:
        return ResultFile(self.folder / f"{self.name}.json")

    def standing(self) -> Standing:
        return Standing("waiting" if self.result.read() is None else "done")

    def cost(self) -> Cost:
        return Cost(10, 1.0, 1, 1)

    def command(self) -> list[str]:
        return [str(self.result.partial), self.what]

    def finish(self) -> None:
        self.result.keep({"what": self.what})

    def busy(self) -> bool:
        return False


def learn(cell, end: float, part: float = 1.0, minutes: float = 1.0) -> None:
    """Writes what a cell's runs would leave after a part of their budget.

    Args:
        cell: a TrainCell.
        end: the return at the end.
        part: share of the iterations.
        minutes: wall-clock time of the whole.
    """
    for run, config in zip(cell.runs, cell.configs, strict=True):
        _learned(run, config, end, part, minutes)


def _learned(run: RunFolder, config, end: float, part: float, minutes: float) -> None:
    run.path.mkdir(parents=True, exist_ok=True)
    presets.save_yaml(config, run.config)
    run.system.write_text(json.dumps({"preset": "debug"}))
    (run.path / "resume" / "1").mkdir(parents=True, exist_ok=True)
    (run.path / "resume" / "1" / "state").write_text("")
    run.metrics.unlink(missing_ok=True)
    rows = record.JsonLines(run.metrics)
    algo = config.algo
    last = max(1, round(part * algo.iterations))
    for i in sorted({max(1, last * k // 4) for k in range(1, 5)}):
        steps = min(algo.env_steps, i * algo.steps_per_iteration)
        steps = algo.env_steps if i == algo.iterations else steps
        row = {"iteration": i, "env_steps": steps, "minutes": minutes * i / algo.iterations}
        rows.log({**row, "eval/return": end * i / last})
    header = policy_files.describe(config, last)
    policy_files.write(run.policy / "last", header, {"w": np.zeros(2, np.float32)})


def without_clock(page: str) -> str:
    """A study's page without what depends on the clock."""
    return re.sub(r"<!--clock-->.*?<!--/clock-->", "", page, flags=re.S)
