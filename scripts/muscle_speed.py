"""Speed of the muscle humanoids, native and on MJX: the table of docs/results, 152 muscles.

    python scripts/muscle_speed.py --json docs/results/muscle-humanoid-speed.json

Native: collection as in training, 256 worlds, against the bare `mujoco.batch.Batch` (bar: 0.9), see
`mjxwm.bench.simulation`. MJX: seconds per control step and world, 32 worlds at once, stepping alone
and with the gradient of the rewards' sum with respect to 16 steps of actions; float32.
"""

import argparse
import datetime
import json
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import mjxwm_envs as envs

from mjxwm.bench import simulation
from mjxwm.runs import presets, system
from mjxwm.runs.config import Config as RunConfig

PRESET = "pwm-muscle-humanoid-cpu"


def native(task: str, pairs: int) -> dict[str, Any]:
    """Collection against the bare simulator, in turns."""
    settings = simulation.Config(
        engine=("native",), task=task, worlds=(256,), preset=PRESET, samples=pairs, warmup=32
    )
    (row,) = simulation.run(settings, presets.load_preset(RunConfig, PRESET).algo)
    print(simulation.table([row]))
    return row._asdict()


def mjx(task: str, worlds: int, steps: int, repeats: int) -> dict[str, Any]:
    """Stepping and differentiating `worlds` worlds for `steps` control steps."""
    env = envs.make(task, engine="mjx")
    states = jax.jit(jax.vmap(env.reset))(jax.random.split(jax.random.key(0), worlds))
    actions = jax.random.uniform(jax.random.key(1), (worlds, steps, env.action_size)) - 0.5

    def total(state: envs.State, actions: jax.Array) -> jax.Array:
        def step(state: envs.State, action: jax.Array) -> tuple[envs.State, jax.Array]:
            state = env.step(state, action)
            return state, state.reward

        return jax.lax.scan(step, state, actions)[1].sum()

    row: dict[str, Any] = {"task": task, "worlds": worlds, "steps": steps}
    for name, function in (("step", total), ("gradient", jax.grad(total, argnums=1))):
        seconds, compile_s = timed(jax.jit(jax.vmap(function)), (states, actions), repeats)
        per_step = statistics.median(seconds) / steps
        row |= {f"{name}_s": seconds, f"{name}_compile_s": compile_s}
        row |= {f"{name}_ms_per_world": 1e3 * per_step / worlds}
        print(f"{task}: {name} {row[f'{name}_ms_per_world']:.3f} ms per control step and world")
    return row


def timed(program: Callable, arguments: tuple, repeats: int) -> tuple[list[float], float]:
    """Seconds of each repeat, and of compilation."""
    start = time.perf_counter()
    compiled = program.lower(*arguments).compile()
    compile_s = time.perf_counter() - start
    result = jax.block_until_ready(compiled(*arguments))
    assert all(bool(jnp.isfinite(leaf).all()) for leaf in jax.tree.leaves(result))
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        jax.block_until_ready(compiled(*arguments))
        seconds.append(time.perf_counter() - start)
    return seconds, compile_s


def main() -> None:
    """Reads the options, measures, prints and writes."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--json", type=Path, help="file for the figures")
    parser.add_argument("--pairs", type=int, default=7, help="samples of the native comparison")
    parser.add_argument("--mjx", nargs="*", default=["muscle-humanoid"], help="tasks for MJX")
    options = parser.parse_args()
    described = system.describe()
    results = {
        "machine": f"{described['cores']} shared cores, no GPU",
        "load_before": os.getloadavg(),
        "date": datetime.date.today().isoformat(),
        **{name: described[name] for name in ("commit", "python", "devices", "packages")},
        "native": [
            native(task, options.pairs) for task in ("muscle-humanoid", "muscle-humanoid-muscle")
        ],
        "mjx": [mjx(task, worlds=32, steps=16, repeats=5) for task in options.mjx],
    }
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
