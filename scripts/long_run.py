"""Memory, speed and files over a long run of the smallest sizes: docs/reliability.md, By force.

    python scripts/long_run.py --iterations 10000

Trains the preset `debug` at its smallest sizes, all that a run does included: rows, evaluations,
checkpoints, policies. Prints a row of the process's memory, of its speed and of the run's files
around a tenth of the iterations and around the end, and their quotient; the status is 1 where
memory grows by more than 2 %, where an iteration takes over 10 % more, or where there are half as
many files more, which is more than a checkpoint that is just being replaced. The time of an
iteration is that of the fastest tenth of the rows of the record in a fifth of the run: other work
on the machine makes the others slower.
"""

import argparse
import contextlib
import dataclasses
import itertools
import os
import resource
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import NamedTuple

from mjxwm.runs import loop, presets, record
from mjxwm.runs.config import Config

parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
parser.add_argument("--iterations", type=int, default=10_000)
parser.add_argument("--every", type=float, default=0.5, help="seconds between samples")
parser.add_argument("--folder", type=Path, help="where the run is kept, by default nowhere")


class Sample(NamedTuple):
    """The process and its run at a moment."""

    seconds: float
    memory: int
    """Bytes of resident memory."""
    files: int
    size: int
    """Bytes of the run's files, but for its record."""


def tiny(iterations: int) -> Config:
    """The preset `debug` at its smallest sizes, for so many iterations."""
    config = presets.load_preset(Config, "debug")
    algo = config.algo
    model = dataclasses.replace(algo.model, latent=8, encoder=(8,), hidden=(8,))
    policy = dataclasses.replace(algo.policy, actor=(8,), critic=(8,))
    algo = dataclasses.replace(
        algo,
        worlds=2,
        unroll=2,
        warmup=4,
        batch=2,
        horizon=2,
        imagine_batch=2,
        imagine_horizon=2,
        capacity=200,
        model=model,
        policy=policy,
    )
    steps = (iterations + algo.warmup) * algo.steps_per_iteration
    algo = dataclasses.replace(algo, env_steps=steps)
    return dataclasses.replace(
        config, algo=algo, evaluations=10, episodes=1, checkpoints=20, video=False
    )


def sample(run: Path) -> Sample:
    """The process and its run now."""
    pages = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[1])
    # `os.walk` passes over what goes while it looks, as a checkpoint that is replaced.
    paths = [Path(folder) / name for folder, _, names in os.walk(run) for name in names]
    sizes = []
    for path in paths:
        with contextlib.suppress(FileNotFoundError):
            sizes.append(path.stat().st_size if path.name != "metrics.jsonl" else 0)
    memory = pages * resource.getpagesize()
    return Sample(time.monotonic(), memory, len(sizes), sum(sizes))


def trained(
    config: Config, folder: Path, every: float
) -> tuple[list[Sample], list[tuple[int, float]]]:
    """Trains, and looks at the process meanwhile.

    Returns:
        The samples, and the record's rows: iteration and time (monotonic clock).
    """
    samples: list[Sample] = []
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(every):
            samples.append(sample(folder / "long"))

    thread = threading.Thread(target=look, daemon=True)
    began = time.monotonic()
    thread.start()
    result = loop.run(config, "debug", "long", folder)
    ended.set()
    thread.join()
    rows = record.read(result.run.metrics)
    return samples, [(row["iteration"], began + 60 * row["minutes"]) for row in rows]


def between(
    samples: list[Sample], rows: list[tuple[int, float]], first: float, last: float
) -> dict[str, float]:
    """Memory [MB], files, their size [MB], time of an iteration [ms] between two iterations."""
    chosen = [row for row in rows if first <= row[0] <= last]
    inside = [s for s in samples if chosen[0][1] <= s.seconds <= chosen[-1][1]]
    pairs = list(itertools.pairwise(chosen))
    if len(inside) < 3 or len(pairs) < 10:
        raise SystemExit(f"too few samples from iteration {first} to {last}")
    paces = sorted((t1 - t0) / (i1 - i0) for (i0, t0), (i1, t1) in pairs)
    return {
        "memory, MB": statistics.median(s.memory for s in inside) / 2**20,
        "iteration, ms": 1e3 * paces[len(paces) // 10],
        "files": statistics.median(s.files for s in inside),
        "size of files, MB": statistics.median(s.size for s in inside) / 2**20,
    }


def main() -> int:
    """Prints the rows; status 1 where something grows."""
    options = parser.parse_args()
    config = tiny(options.iterations)
    total = config.algo.iterations
    with tempfile.TemporaryDirectory() as temporary:
        samples, rows = trained(config, options.folder or Path(temporary), options.every)
    early = between(samples, rows, 0.1 * total, 0.3 * total)
    late = between(samples, rows, 0.8 * total, total)
    # Memory at two moments, not over the same long parts: what grows has grown by the end.
    for part, ends in ((early, (0.1, 0.12)), (late, (0.98, 1.0))):
        moment = between(samples, rows, (ends[0] - 0.02) * total, ends[1] * total)
        part["memory, MB"] = moment["memory, MB"]
    print(f"{'':20}{f'from {total // 10:,}':>14}{f'to {total:,}':>14}{'quotient':>10}")
    for name, before in early.items():
        print(f"{name:20}{before:14.2f}{late[name]:14.2f}{late[name] / before:10.3f}")
    grows = late["memory, MB"] > 1.02 * early["memory, MB"] or late["files"] > 1.5 * early["files"]
    return int(grows or late["iteration, ms"] > 1.1 * early["iteration, ms"])


if __name__ == "__main__":
    sys.exit(main())
