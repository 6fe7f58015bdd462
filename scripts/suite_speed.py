"""Speed of native worlds and of gymnasium's AsyncVectorEnv of dm_control: a table of docs/results.

    python scripts/suite_speed.py [--samples 7] [--json FILE] [TASK ...]

Both step the same tasks with random actions on the same cores, in turns: 1024 worlds of ours, exact
and fast, in one compiled program with rewards, observations and resets; and as many dm_control
environments as there are cores, and four times as many, each in a process of its own, the better
number of them counting. Steps are control steps.
"""

import argparse
import datetime
import functools
import json
import os
import time
import warnings
from pathlib import Path
from typing import Any

import gymnasium
import jax
import mjxwm_envs as envs
import numpy as np
from gymnasium.vector import AsyncVectorEnv

from mjxwm.runs import system

parser = argparse.ArgumentParser()
parser.add_argument("tasks", nargs="*", default=[])
parser.add_argument("--samples", type=int, default=7)
parser.add_argument("--worlds", type=int, default=1024)
parser.add_argument("--seconds", type=float, default=1.0)
parser.add_argument("--json", type=Path)
TASKS = ("cheetah-run", "hopper-hop", "walker-walk", "humanoid-walk")


class Suite(gymnasium.Env):
    """A task of dm_control with a flat observation."""

    def __init__(self, name: str):
        """`name` is ours."""
        from dm_control import suite

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self._env = suite.load(*name.split("-", 1))
        spec = self._env.action_spec()
        self.action_space = gymnasium.spaces.Box(spec.minimum, spec.maximum, dtype=np.float64)
        size = len(self._flat(self._env.reset()))
        self.observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (size,), np.float64)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict]:
        """See gymnasium."""
        return self._flat(self._env.reset()), {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict]:
        """See gymnasium."""
        step = self._env.step(action)
        return self._flat(step), step.reward, False, step.last(), {}

    def _flat(self, step: Any) -> np.ndarray:
        return np.concatenate([np.ravel(x) for x in step.observation.values()])


class Ours:
    """B worlds in one compiled program, stepped T times per call."""

    def __init__(self, name: str, worlds: int):
        """Compiles."""
        env = envs.make(name, engine="native")
        batch, self._size = env.batch(worlds), (16, worlds)

        @jax.jit
        def run(worlds: Any, key: Any) -> Any:
            shape = (*self._size, env.action_size)
            actions = jax.random.uniform(key, shape, minval=-1, maxval=1)
            return jax.lax.scan(batch.step, worlds, actions)[0]

        self._run, self._key = run, jax.random.key(0)
        start = jax.jit(functools.partial(batch.reset, stagger=True))(self._key)
        self._worlds = run(start, self._key)

    def rate(self, seconds: float) -> float:
        """Control steps per second."""
        jax.block_until_ready(self._worlds)
        begin, count = time.perf_counter(), 0
        while time.perf_counter() - begin < seconds:
            self._key = jax.random.fold_in(self._key, count)
            self._worlds = jax.block_until_ready(self._run(self._worlds, self._key))
            count += 1
        return count * self._size[0] * self._size[1] / (time.perf_counter() - begin)


class Theirs:
    """dm_control in gymnasium's processes."""

    def __init__(self, name: str, number: int):
        """Starts the processes."""
        self._env = AsyncVectorEnv([lambda: Suite(name)] * number, context="forkserver")
        self._env.reset()
        self._action = self._env.action_space.sample()
        self.rate(0.2)

    def rate(self, seconds: float) -> float:
        """Control steps per second."""
        begin, count = time.perf_counter(), 0
        while time.perf_counter() - begin < seconds:
            self._env.step(self._action)
            count += self._env.num_envs
        return count / (time.perf_counter() - begin)

    def close(self) -> None:
        """Ends the processes."""
        self._env.close()


def measure(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """One task: rates in turns, medians, and the ratios of each turn."""
    cores = os.cpu_count() or 1
    peers = {f"dm_control x {n}": Theirs(name, n) for n in (cores, 4 * cores)}
    ours = {kind: Ours(name + kind, options.worlds) for kind in ("", "-fast")}
    rates: dict[str, list[float]] = {}
    for _ in range(options.samples):
        for kind, one in {**peers, **ours}.items():
            rates.setdefault(kind or "exact", []).append(one.rate(options.seconds))
    for peer in peers.values():
        peer.close()
    best = np.max([rates[kind] for kind in peers], axis=0)
    ratios = {k: (np.array(rates[k or "exact"]) / best) for k in ours}
    row = {
        "task": name,
        "rates": rates,
        "exact": float(np.median(ratios[""])),
        "fast": float(np.median(ratios["-fast"])),
    }
    exact, fast = (np.median(rates[kind]) for kind in ("exact", "-fast"))
    figures = f"{exact:,.0f} | {fast:,.0f} | {np.median(best):,.0f}"
    print(f"| `{name}` | {figures} | {row['exact']:.1f} | {row['fast']:.1f} |", flush=True)
    return row


def main() -> None:
    """Measures and prints row by row."""
    options = parser.parse_args()
    print("| task | ours, exact | ours, fast | AsyncVectorEnv | exact : it | fast : it |")
    print("|---|---|---|---|---|---|")
    rows = [measure(name, options) for name in options.tasks or TASKS]
    if options.json:
        described = system.describe()
        facts = {name: described[name] for name in ("commit", "python", "devices", "packages")}
        facts |= {"machine": f"{os.cpu_count()} cores", "date": str(datetime.date.today())}
        options.json.write_text(
            json.dumps({**facts, "rows": rows}, indent=1) + "\n", encoding="utf-8"
        )


if __name__ == "__main__":
    main()
