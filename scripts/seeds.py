"""Time of an iteration with several seeds in one program, against as many iterations of one.

    python scripts/seeds.py debug 8

One row: milliseconds of both, medians of turns that alternate, and the quotient.
"""

import statistics
import sys
import time
from typing import Any

import jax
from mjxwm_envs import seeds

from mjxwm.runs import build, presets, together
from mjxwm.runs.config import Config

TURNS, ITERATIONS = 12, 10


def first(trainer: build.Trainer) -> Any:
    """The state after an iteration, so that the program is compiled."""
    return trainer.programs.iterate(trainer.programs.init(trainer.keys(seeds.key)))[0]


def turn(trainer: build.Trainer, state: Any) -> tuple[Any, float]:
    """The next state, and milliseconds of an iteration."""
    start = time.perf_counter()
    for _ in range(ITERATIONS):
        state, _ = trainer.programs.iterate(state)
    jax.block_until_ready(state)
    return state, 1e3 * (time.perf_counter() - start) / ITERATIONS


def main(preset: str, number: int) -> None:
    """Measures a preset with this many seeds."""
    config = presets.load_preset(Config, preset)
    numbered = together.numbered(config.seed, number)
    trainers = build.build(config), build.build(config, seeds=numbered)
    states, times = [first(trainer) for trainer in trainers], ([], [])
    for _ in range(TURNS):
        for i, trainer in enumerate(trainers):
            states[i], spent = turn(trainer, states[i])
            times[i].append(spent)
    one, several = map(statistics.median, times)
    ratio = statistics.median(number * a / b for a, b in zip(*times, strict=True))
    print(f"{preset}: one seed {one:.1f} ms, {number} seeds {several:.1f} ms: {ratio:.1f} times")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
