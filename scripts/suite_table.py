"""dm_control's tasks against dm_control, between engines, and their speed: tables of docs/results.

    python scripts/suite_table.py parity|engines|speed [--json FILE] [TASK ...]

- parity: largest differences from dm_control's rewards and observations (of their own size above
  1), at 50 states of random episodes and over 20 steps, as tests/envs/test_suite.py
- engines: one control step of mjx and of warp against C MuJoCo, at states of random episodes
- speed: control steps per second of 1024 native worlds, exact and fast, in turns
"""

import argparse
import contextlib
import datetime
import json
import os
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "envs"))

import mjxwm_envs as envs
from mjxwm_envs import check
from mjxwm_envs.tasks.dm_control import EXACT

from mjxwm.runs import system

parser = argparse.ArgumentParser()
parser.add_argument("part", choices=("parity", "engines", "speed"))
parser.add_argument("tasks", nargs="*")
parser.add_argument("--worlds", type=int, default=1024)
parser.add_argument("--samples", type=int, default=3)
parser.add_argument("--json", type=Path)

BODIES = (
    *("acrobot-swingup", "cheetah-run", "cup-catch", "dog-walk", "dog-walk-fast", "finger-spin"),
    *("finger-spin-fast", "fish-swim", "hopper-hop", "humanoid-walk", "pendulum-swingup"),
    *("quadruped-walk", "reacher-easy", "reacher-three-easy", "walker-walk"),
)
CARTPOLES = [name for name in envs.names("dm_control") if name.startswith("cartpole")]
HEADERS = {
    "parity": "| task | observations, 50 states | rewards | observations, 20 steps | rewards |",
    "engines": "| task | mjx, median | nine of ten | warp, median | nine of ten |",
    "speed": "| task | exact | fast | fast : exact |",
}


def parity(name: str, options: argparse.Namespace) -> dict[str, Any] | None:
    """Largest differences from dm_control."""
    import suite_peer
    import test_suite as cases

    if name in suite_peer.NO_PEER:
        return None
    env, place, step = cases.compiled(name)
    rng, peer = np.random.default_rng(0), suite_peer.Peer(name)
    apart: dict[str, list[float]] = {"states": [], "reward": [], "steps": [], "steps_reward": []}

    def compare(state: Any, theirs: Any, obs: str, reward: str) -> None:
        far = np.abs(state.obs - theirs.obs) / np.maximum(1, np.abs(theirs.obs))
        apart[obs].append(float(far.max()))
        apart[reward].append(abs(float(state.reward) - theirs.reward))

    def act(state: Any) -> tuple[Any, Any]:
        action = jnp.asarray(rng.uniform(-1, 1, env.action_size), jnp.float32)
        state = step(state, action)
        return state, peer.step(np.asarray(state.sim.physics.ctrl))

    for _ in range(cases.STATES):
        cases.wander(peer, rng)
        start = peer.state()
        peer.put(start)
        compare(*act(place(start)), "states", "reward")
    peer.reset()
    start = peer.state()
    peer.put(start)
    state = place(start)
    for _ in range(cases.STEPS):
        state, theirs = act(state)
        compare(state, theirs, "steps", "steps_reward")
    return {name: max(values) for name, values in apart.items()}


def engines(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """What `mjxwm envs check` says of both."""
    row: dict[str, Any] = {}
    for engine in ("mjx", "warp"):
        found: tuple[float | None, float | None] = None, None
        # The dog's contacts take XLA more than half an hour to compile on two cores.
        if engine == "warp" or not name.startswith("dog"):
            with contextlib.suppress(ValueError):  # what it refuses
                env = envs.make(name, engine="native")
                found = check.against_native(env, engine, check.Config())
        row[f"{engine}_median"], row[f"{engine}_most"] = found
    return row


def speed(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """Control steps per second, the fastest of several timings."""
    kinds = _KINDS if name in EXACT else {"exact": ""}  # the cartpoles have one variant
    runs = {kind: _runner(name + ending, options.worlds) for kind, ending in kinds.items()}
    seconds: dict[str, list[float]] = {kind: [] for kind in runs}
    for _ in range(options.samples):
        for kind, run in runs.items():
            begin = time.perf_counter()
            run()
            seconds[kind].append(time.perf_counter() - begin)
    rates = {kind: 16 * options.worlds / min(values) for kind, values in seconds.items()}
    fast = rates.get("fast")
    return {"exact": rates["exact"], "fast": fast, "ratio": fast and fast / rates["exact"]}


_KINDS = {"exact": "", "fast": "-fast"}


def _runner(name: str, worlds: int) -> Any:
    env = envs.make(name, engine="native")
    batch = env.batch(worlds)
    shape = (16, worlds, env.action_size)
    actions = jax.random.uniform(jax.random.key(0), shape, minval=-1, maxval=1)
    step = jax.jit(lambda w: jax.lax.scan(lambda w, a: (batch.step(w, a)[0], None), w, actions)[0])
    state = [step(jax.jit(batch.reset)(jax.random.key(1)))]

    def run() -> None:
        state[0] = jax.block_until_ready(step(state[0]))

    return run


def main() -> None:
    """Measures and prints row by row."""
    options = parser.parse_args()
    measure = {"parity": parity, "engines": engines, "speed": speed}[options.part]
    every = {"parity": EXACT, "engines": BODIES, "speed": [*CARTPOLES, *EXACT]}
    tasks = options.tasks or every[options.part]
    header, rows = HEADERS[options.part], []
    print(f"{header}\n|{'---|' * (header.count('|') - 1)}")
    for name in tasks:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            row = measure(name, options)
        if row is None:
            continue
        rows.append({"task": name, **row})
        print(f"| `{name}` | {' | '.join(map(_figure, row.values()))} |", flush=True)
    if options.json:
        described = system.describe()
        facts = {key: described[key] for key in ("commit", "python", "devices", "packages")}
        facts |= {"machine": f"{os.cpu_count()} cores", "date": str(datetime.date.today())}
        options.json.write_text(
            json.dumps({**facts, "rows": rows}, indent=1) + "\n", encoding="utf-8"
        )


def _figure(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.0e}" if value < 0.1 else f"{value:,.1f}" if value < 100 else f"{value:,.0f}"


if __name__ == "__main__":
    main()
