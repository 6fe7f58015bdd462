"""Memory, speed and files over a long run of the smallest sizes: docs/reliability.md, By force.

    python scripts/long_run.py --iterations 10000

Trains the preset `debug` at its smallest sizes, all that a run does included: rows, evaluations,
checkpoints, policies. Prints a row of the process's memory, of its speed and of the run's files
around a tenth of the iterations and around the end, and their quotient; the status is 1 where
memory grows by more than 2 %, where an iteration takes over 10 % more, or where there are more
files than before. Time is the process's own seconds of CPU: other work on the machine changes less
of it.
"""

import argparse
import dataclasses
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
    cpu: float
    """Seconds of CPU that the process has taken."""
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
    sizes = []
    for path in run.rglob("*"):
        try:
            sizes.append(path.stat().st_size if path.name != "metrics.jsonl" else 0)
        except FileNotFoundError:  # a checkpoint that is replaced just now
            continue
    memory = pages * resource.getpagesize()
    return Sample(time.monotonic(), time.process_time(), memory, len(sizes), sum(sizes))


def trained(config: Config, folder: Path, every: float) -> tuple[list[Sample], list[float]]:
    """Trains, and looks at the process meanwhile.

    Returns:
        The samples, and the times (monotonic clock) of the record's rows by iteration.
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
    steps = {row["iteration"]: began + 60 * row["minutes"] for row in rows}
    return samples, [steps.get(i, float("nan")) for i in range(1 + config.algo.iterations)]


def between(samples: list[Sample], times: list[float], first: int, last: int) -> dict[str, float]:
    """Memory [MB], CPU [ms] per iteration, files and their size [MB] between two iterations."""
    inside = [s for s in samples if times[first] <= s.seconds <= times[last]]
    if len(inside) < 3:
        raise SystemExit(f"too few samples from iteration {first} to {last}: --every is too large")
    spent = 1e3 * (inside[-1].cpu - inside[0].cpu) / (inside[-1].seconds - inside[0].seconds)
    pace = (times[last] - times[first]) / (last - first)
    return {
        "memory, MB": statistics.median(s.memory for s in inside) / 2**20,
        "CPU per iteration, ms": spent * pace,
        "files": statistics.median(s.files for s in inside),
        "size of files, MB": statistics.median(s.size for s in inside) / 2**20,
    }


def main() -> int:
    """Prints the rows; status 1 where something grows."""
    options = parser.parse_args()
    config = tiny(options.iterations)
    total = config.algo.iterations
    grid = max(1, total // 500)  # rows of the record are on it
    with tempfile.TemporaryDirectory() as temporary:
        samples, times = trained(config, options.folder or Path(temporary), options.every)
    tenth, width = total // 10 // grid * grid, total // 20 // grid * grid
    early = between(samples, times, tenth, tenth + width)
    late = between(samples, times, total - width - grid, total - grid)
    print(f"{'':24}{f'from {tenth:,}':>14}{f'to {total:,}':>14}{'quotient':>10}")
    for name, before in early.items():
        print(f"{name:24}{before:14.2f}{late[name]:14.2f}{late[name] / before:10.3f}")
    grows = late["memory, MB"] > 1.02 * early["memory, MB"] or late["files"] > early["files"]
    return int(grows or late["CPU per iteration, ms"] > 1.1 * early["CPU per iteration, ms"])


if __name__ == "__main__":
    sys.exit(main())
