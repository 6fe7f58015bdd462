"""Two checkouts of this project against each other: an iteration of training, in turns.

    git worktree add ../old COMMIT
    python scripts/in_turns.py ../old . --preset pwm-hopper-cpu

Each checkout trains in a process of its own, and one waits while the other works, so that what
else the machine does meets both. Prints the ratio of the second's time to the first's, as the
median over the pairs and its range.
"""

import argparse
import os
import statistics
import subprocess
import sys
from pathlib import Path

WORKER = """
import sys, time
import jax
from mjxwm.runs import build, presets
from mjxwm.runs.config import Config
from mjxwm_envs import seeds

trainer = build.build(presets.load_preset(Config, sys.argv[1]))
state = trainer.programs.init(seeds.key(0))
print("ready", flush=True)
for number in map(int, sys.stdin):
    start = time.perf_counter()
    for _ in range(number):
        state, metrics = trainer.programs.iterate(state)
    jax.block_until_ready((state, metrics))
    print("took", (time.perf_counter() - start) / number, flush=True)
"""

parser = argparse.ArgumentParser()
parser.add_argument("trees", nargs=2, type=Path, help="the checkouts")
parser.add_argument("--preset", default="pwm-hopper-cpu")
parser.add_argument("--iterations", type=int, default=4, help="iterations of a turn")
parser.add_argument("--pairs", type=int, default=10)


def started(tree: Path, preset: str) -> subprocess.Popen:
    """A process that trains with the code of a checkout, compiled and warm."""
    tree = tree.resolve()
    environment = os.environ | {"PYTHONPATH": f"{tree}{os.pathsep}{tree / 'envs'}"}
    process = subprocess.Popen(
        [sys.executable, "-c", WORKER, preset],
        cwd=tree,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )
    answer(process, "ready")
    seconds(process, 2)  # the first call compiles
    return process


def answer(process: subprocess.Popen, word: str) -> str:
    """The rest of the process's next line that begins with a word."""
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith(word):
            return line.removeprefix(word).strip()
    raise SystemExit("in_turns: a process has ended; its error is above")


def seconds(process: subprocess.Popen, iterations: int) -> float:
    """Time of an iteration [s]."""
    assert process.stdin is not None
    process.stdin.write(f"{iterations}\n")
    process.stdin.flush()
    return float(answer(process, "took"))


def main(options: argparse.Namespace) -> None:
    """Measures, and prints a line."""
    both = [started(tree, options.preset) for tree in options.trees]
    pairs = []
    for i in range(options.pairs):
        order = (0, 1) if i % 2 == 0 else (1, 0)
        times = {side: seconds(both[side], options.iterations) for side in order}
        pairs.append((times[0], times[1]))
    for process in both:
        process.kill()
    first, second = (1e3 * statistics.median(side) for side in zip(*pairs, strict=True))
    ratios = sorted(new / old for old, new in pairs)
    print(
        f"{options.preset}: {first:.1f} ms and {second:.1f} ms; "
        f"ratio {statistics.median(ratios):.3f} "
        f"({ratios[0]:.3f} to {ratios[-1]:.3f}, {len(ratios)} pairs)"
    )


if __name__ == "__main__":
    main(parser.parse_args())
