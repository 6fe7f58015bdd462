"""Sizes, speed and the return of doing nothing, task by task: the figures of docs/tasks.md.

    python scripts/task_table.py [--engine native] [--worlds 256] [--json FILE] [TASK ...]

Speed is of one compiled loop over `BatchEnv.step` with random actions drawn beforehand: physics,
observation, reward and resets. The fastest of several timings, after one that compiles: on a
shared machine the others say how busy the neighbours were.
"""

import argparse
import json
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import mjxwm_envs as envs

from mjxwm.runs import evaluate, system

parser = argparse.ArgumentParser()
parser.add_argument("tasks", nargs="*")
parser.add_argument("--engine", default="native")
parser.add_argument("--worlds", type=int, default=256)
parser.add_argument("--steps", type=int, default=64)
parser.add_argument("--samples", type=int, default=7)
parser.add_argument("--json", type=Path)


def speed(env: envs.BatchEnv, steps: int, samples: int) -> float:
    """Control steps per second, all worlds together."""
    shape = (steps, env.num_worlds, env.env.action_size)
    actions = jax.random.uniform(jax.random.key(1), shape, minval=-1, maxval=1)
    run = jax.jit(lambda w: jax.lax.scan(lambda w, a: (env.step(w, a)[0], None), w, actions)[0])
    worlds, seconds = run(env.reset(jax.random.key(0))), []
    for _ in range(samples):
        start = time.perf_counter()
        worlds = jax.block_until_ready(run(worlds))
        seconds.append(time.perf_counter() - start)
    return steps * env.num_worlds / min(seconds)


def idle_return(env: envs.Env, episodes: int = 16) -> float:
    """Mean return of a policy whose controls are as near to zero as the actuators allow."""
    low = env.engine.model.actuator_ctrlrange[:, 0]
    limited = env.engine.model.actuator_ctrllimited.astype(bool)
    action = jnp.where(limited & (low >= 0), -1.0, 0.0)

    def idle(obs: jax.Array) -> jax.Array:
        return jnp.tile(action, (len(obs), 1))

    run = jax.jit(lambda key: evaluate.evaluate(env, idle, key, episodes).episode_return.mean())
    return float(run(jax.random.key(0)))


def main() -> None:
    """Prints one row per task."""
    options = parser.parse_args()
    rows = []
    print(f"{'task':28s} obs  actions  steps  control/s  physics/s  idle return")
    for name in options.tasks or envs.names():
        env = envs.make(name, engine=options.engine)
        spec, batch = env.spec, envs.BatchEnv(env, options.worlds)
        row = {"task": name, "obs": spec.obs_size, "actions": spec.action_size}
        row |= {"episode": spec.episode_length, "worlds": options.worlds, "engine": spec.engine}
        row["control_steps_per_s"] = speed(batch, options.steps, options.samples)
        row["physics_steps_per_s"] = row["control_steps_per_s"] * spec.n_substeps
        row["idle_return"] = idle_return(env)
        rows.append(row)
        print(
            f"{name:28s} {row['obs']:3d} {row['actions']:8d} {row['episode']:6d} "
            f"{row['control_steps_per_s']:10,.0f} {row['physics_steps_per_s']:10,.0f} "
            f"{row['idle_return']:12.1f}",
            flush=True,
        )
        if options.json:  # after every row: all of them take a quarter of an hour
            result = {"system": system.describe(), "rows": rows}
            options.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
