"""Breaks runs by force, and counts what is lost: docs/reliability.md, By force.

    python scripts/break_runs.py kills --times 20
    python scripts/break_runs.py flips --times 50
    python scripts/break_runs.py disk

`kills` ends a training run at random moments with `kill -9` and goes on with it, until it was
killed so many times: what was learned since the last checkpoint is lost, and the state, record,
policy and data at the end are bitwise those of a run that nothing disturbed. `flips` flips a bit or
cuts a file at so many random places of each thing that a run keeps: it is used as it was, or the
one before is and that is said, or it is refused. `disk` trains in a file system of 4 MB (tmpfs, for
which it must be root) that is full from the first row on: the run learns to its end, says what it
could not write, has status 4, and the checkpoint before is whole.
"""

import argparse
import contextlib
import dataclasses
import io
import itertools
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from long_run import tiny

from mjxwm import ConfigError
from mjxwm.data import TaskInfo, open_data
from mjxwm.runs import checkpoint, exits, folders, manifests, policies, presets, record, start
from mjxwm.runs.build import build
from mjxwm.runs.config import Config
from mjxwm.runs.folders import RunFolder

EVERY = 10
"""Iterations from one checkpoint to the next."""
NO_DATA = "-without-data"
"""End of the name of a run that collects none: it learns while it saves."""
TIMES = ("minutes", "perf/env_steps_per_s")
"""What differs from run to run."""

parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
parser.add_argument("parts", nargs="+", choices=["kills", "flips", "disk"])
parser.add_argument("--times", type=int, default=20)
parser.add_argument("--iterations", type=int, default=900)
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--folder", type=Path, help="where the runs are kept, by default nowhere")


def begin(folder: Path, name: str, iterations: int) -> subprocess.Popen[bytes]:
    """Starts a run, or goes on with it, in a process of its own."""
    config = dataclasses.replace(tiny(iterations), checkpoints=iterations // EVERY - 1)
    if not name.endswith(NO_DATA):  # a data set has the run wait for each checkpoint
        config = dataclasses.replace(config, data=str(folder / f"{name}-data"))
    preset = folder / f"{name}.yaml"
    presets.save_yaml(config, preset)
    command = [sys.executable, "-m", "mjxwm", "train", str(preset), "--go-on"]
    command += ["--run", name, "--folder", str(folder)]
    with (folder / f"{name}.log").open("ab") as log:
        return subprocess.Popen(command, stdout=log, stderr=log)


def finished(process: subprocess.Popen[bytes]) -> None:
    """Waits for a run to end well."""
    if process.wait():
        raise SystemExit(f"the run ended with status {process.returncode}")


def rows(run: RunFolder) -> list[dict[str, Any]]:
    """Rows of a record, without what differs from run to run."""
    with contextlib.redirect_stdout(io.StringIO()):  # a line may be cut by a kill
        read = record.read(run.metrics) if run.metrics.is_file() else []
    return [{k: v for k, v in row.items() if k not in TIMES} for row in read]


def kills(folder: Path, times: int, iterations: int, rng: random.Random) -> bool:
    """Kills runs so many times; prints what was lost, and whether their ends are the same."""
    finished(begin(folder, "straight", iterations))
    straight = contents(RunFolder(folder / "straight"), folder / "straight-data")
    lost, before_first, ends = [], 0, []
    for number in itertools.count():
        run = RunFolder(folder / f"broken-{number}{NO_DATA if number % 2 else ''}")
        process = begin(folder, run.path.name, iterations)
        most = min(times, (number + 1) * times // 2)
        while len(lost) + before_first < most and not _killed(process, run, rng):
            newest, known = checkpoint.latest(run.checkpoints), rows(run)
            if newest is None:
                before_first += 1
            else:
                lost.append(max(0, known[-1]["iteration"] - newest) if known else 0)
            process = begin(folder, run.path.name, iterations)
        finished(process)
        ends.append(contents(run, folder / f"{run.path.name}-data"))
        if len(lost) + before_first >= times:
            break
    same = [k for k in straight if all(equal(end[k], straight[k]) for end in ends if k in end)]
    other = [name for name in straight if name not in same]
    print(
        f"kills: {times}, {before_first} of them before the first checkpoint; lost at most "
        f"{max(lost, default=0)} iterations, {EVERY} are from checkpoint to checkpoint; at the end "
        f"of {len(ends)} runs bitwise the same: {', '.join(same)}; other: {', '.join(other) or '-'}"
    )
    return max(lost, default=0) <= EVERY and not other


def _killed(process: subprocess.Popen[bytes], run: RunFolder, rng: random.Random) -> bool:
    """Kills a process at a random moment; returns whether it had finished before."""
    if rng.random() < 0.15:
        moment = time.monotonic() + rng.uniform(0, 10)  # in its start
    else:
        size = run.metrics.stat().st_size if run.metrics.is_file() else 0
        while process.poll() is None and not (
            run.metrics.is_file() and run.metrics.stat().st_size != size
        ):
            time.sleep(0.01)
        moment = time.monotonic() + rng.uniform(0, 2.5)
    while time.monotonic() < moment and process.poll() is None:
        time.sleep(0.001)
    if process.poll() is None:
        process.send_signal(signal.SIGKILL)
    return process.wait() == 0


def contents(run: RunFolder, data: Path) -> dict[str, Any]:
    """All that a finished run keeps: state, policy, record, data."""
    _, state, _ = start.load(run)
    kept = {
        "state": [np.asarray(jax.random.key_data(x) if _is_key(x) else x) for x in _leaves(state)],
        "policy": [np.asarray(x) for x in _leaves(policies.of_run(run.path).arrays)],
        "record": rows(run),
    }
    if run.path.name.endswith(NO_DATA):
        return kept
    task = TaskInfo.of(build(presets.load_yaml(Config, run.config)).env.spec)  # type: ignore[union-attr]
    chunks = open_data(data).matching((task,)).chunks
    arrays = [chunk.map() for chunk in chunks]
    data_rows = [np.concatenate([a["obs"], a["action"], a["reward"][:, None]], 1) for a in arrays]
    joined = np.concatenate(data_rows)  # chunks come in the order of checkpoints
    return {**kept, "data": [joined[np.lexsort(joined.T)]]}


def _leaves(tree: Any) -> list[Any]:
    return jax.tree.leaves(tree)


def _is_key(x: Any) -> bool:
    return jnp.issubdtype(x.dtype, jax.dtypes.prng_key)


def equal(one: Any, other: Any) -> bool:
    """Whether two lists of arrays or of rows are the same, bit by bit."""
    if len(one) != len(other):
        return False
    pairs = zip(one, other, strict=True)
    return all(
        np.array_equal(a, b, equal_nan=a.dtype.kind == "f") if hasattr(a, "dtype") else a == b
        for a, b in pairs
    )


def flips(folder: Path, times: int, iterations: int, rng: random.Random) -> bool:
    """Damages what a run keeps, a place at a time; prints what came of it."""
    if not (folder / "straight").is_dir():
        finished(begin(folder, "straight", iterations))
    run, data = RunFolder(folder / "straight"), folder / "straight-data"
    trainer, _, _ = start.load(run)
    abstract = jax.eval_shape(trainer.algorithm.init, jax.random.key(0))
    assert trainer.env is not None
    task = TaskInfo.of(trainer.env.spec)
    reads: dict[str, tuple[Path, Callable[[], Any]]] = {
        "policy": (run.path / "policy" / "last", lambda: policies.of_run(run.path).arrays),
        "checkpoints": (run.checkpoints, lambda: checkpoint.restore(run.checkpoints, abstract)),
        "record": (run.metrics, lambda: rows_and_notes(run)),
        "data": (data, lambda: [c.map() for c in open_data(data).matching((task,)).chunks]),
        "configuration": (run.config, lambda: edits_said(run)),
    }
    good = True
    for name, (place, read) in reads.items():
        before, counts = read(), Counter()
        for damage in damages(place, times, rng):
            what = _judged(read, before)
            counts[what] += 1
            if what == "OTHER, IN SILENCE":
                good = False
                print(f"  {name}: {damage}")
        print(f"flips of {name}: {', '.join(f'{n} {what}' for what, n in sorted(counts.items()))}")
    return good


def rows_and_notes(run: RunFolder) -> list[dict[str, Any]]:
    """The rows of a record; notes on lines that are left out are printed."""
    return record.read(run.metrics)


def edits_said(run: RunFolder) -> dict[str, Any]:
    """A run's configuration; notes on what was edited are printed."""
    folders.say_edits(run)
    return presets.to_dict(presets.load_yaml(Config, run.config))


def _judged(read: Callable[[], Any], before: Any) -> str:
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said):
            now = read()
    except (ConfigError, ValueError):
        return "refused"
    same = jax.tree.structure(now) == jax.tree.structure(before) and equal(
        *([_plain(x) for x in _leaves(tree)] for tree in (now, before))
    )
    if same:
        return "as it was"
    if "note" in said.getvalue():
        return "the one before, or without it, and said"
    is_record = isinstance(now, list) and all(isinstance(row, dict) for row in now)
    return "the rows before the cut" if is_record and now == before[: len(now)] else _SILENCE


_SILENCE = "OTHER, IN SILENCE"


def _plain(x: Any) -> Any:
    return np.asarray(jax.random.key_data(x) if isinstance(x, jax.Array) and _is_key(x) else x)


def damages(place: Path, times: int, rng: random.Random) -> Iterator[str]:
    """Flips a bit, or every third time cuts a file, of a folder or file; mended afterwards."""
    files = [place] if place.is_file() else sorted(p for p in place.rglob("*") if p.is_file())
    files = [file for file in files if file.stat().st_size]
    for number in range(times):
        file = rng.choice(files)
        whole, stat = file.read_bytes(), file.stat()
        where = rng.randrange(len(whole))
        if number % 3 == 2:
            file.write_bytes(whole[:where])
            yield f"{file} cut at {where}"
        else:
            changed = bytearray(whole)
            changed[where] ^= 1 << rng.randrange(8)
            file.write_bytes(changed)
            yield f"{file} flipped at {where}"
        file.write_bytes(whole)
        os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def disk(folder: Path, times: int, iterations: int, rng: random.Random) -> bool:
    """Trains on a disk that is full after the first checkpoint; prints what came of it."""
    place = folder / "small"
    place.mkdir(exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(place)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        print("disk: a small file system cannot be mounted here")
        return False
    try:
        run = RunFolder(place / "full")
        process = begin(place, "full", iterations)
        while process.poll() is None and checkpoint.latest(run.checkpoints) is None:
            time.sleep(0.01)
        with (place / "filler").open("wb", buffering=0) as filler, contextlib.suppress(OSError):
            while True:
                filler.write(b"x" * 4096)
        status = process.wait()
        left, known = checkpoint.latest(run.checkpoints), rows(run)
        damage = manifests.damage(run.checkpoints / str(left))
        said = "No space left" in (place / "full.log").read_text(encoding="utf-8")
        print(
            f"disk: status {status}, {'said' if said else 'not said'}; checkpoint {left} is "
            f"{damage or 'whole'}, the last row is of iteration {known[-1]['iteration']}"
        )
        return status == exits.UNWRITTEN and not damage
    finally:
        subprocess.run(["umount", "-l", str(place)], check=False)


def main() -> int:
    """Prints a line per part; status 1 if something was lost that must not be."""
    options = parser.parse_args()
    rng, good = random.Random(options.seed), True
    with tempfile.TemporaryDirectory(prefix="broken-") as temporary:
        folder = (options.folder or Path(temporary)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        for part in options.parts:
            run = {"kills": kills, "flips": flips, "disk": disk}[part]
            good = run(folder, options.times, options.iterations, rng) and good
    return int(not good)


if __name__ == "__main__":
    sys.exit(main())
