"""What collection costs besides physics: the reasons in docs/performance.md, Collection.

    python scripts/collection_overhead.py [--json FILE]

Milliseconds per control step of 1024 hoppers with the networks of `pwm-hopper-cpu`. The collection
that training runs is timed with `mj_step` as it is, with nothing in its place, and with one thread
in its place that counts as long as physics takes; then parts of it, with nothing in place of
`mj_step`. The parts are programs of their own, so they add up only roughly. All take turns of one
unroll, so that other load hits all of them.
"""

import argparse
import collections
import dataclasses
import datetime
import json
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import mjxwm_envs as envs
import mujoco.batch
import numpy as np
from mjxwm_envs.engines.native import Native

from mjxwm.algos import pwm
from mjxwm.algos.pwm import learner
from mjxwm.data import rollout
from mjxwm.runs import presets, system
from mjxwm.runs.config import Config as RunConfig

parser = argparse.ArgumentParser()
parser.add_argument("--json", type=Path)
parser.add_argument("--turns", type=int, default=80)
options = parser.parse_args()

WORLDS, WARMUP = 1024, 4
preset = presets.load_preset(RunConfig, "pwm-hopper-cpu").algo
algo = dataclasses.replace(preset, worlds=WORLDS)
env = envs.make("hopper", "native")
batch = envs.BatchEnv(env, WORLDS)
init = jax.jit(pwm.make(algo, env).init)
SHAPE = (algo.unroll, WORLDS, env.action_size)

spent = collections.Counter()
"""Seconds inside of physics and of the callback that runs it, in this turn."""


def timed(name, function):
    """`function`, whose time is added to `spent[name]`."""

    def call(*args, **kwargs):
        start = time.perf_counter()
        try:
            return function(*args, **kwargs)
        finally:
            spent[name] += time.perf_counter() - start

    return call


physics, physics_seconds = mujoco.batch.Batch.step, 0.0


def nothing(*_, **__):
    """The worlds stay where they are."""


def count(*_, **__):
    """One thread that is busy as long as physics is."""
    end = time.perf_counter() + physics_seconds
    while time.perf_counter() < end:
        pass


Native._step = timed("callback", Native._step)


def engine(state):
    """The engine alone: the callback, and what carries the worlds to it and back."""

    def step(sim, ctrl):
        return jax.vmap(env.engine.step)(sim, ctrl), None

    sim, _ = jax.lax.scan(step, state.worlds.state.sim, jnp.zeros(SHAPE))
    worlds = state.worlds._replace(state=state.worlds.state._replace(sim=sim))
    return state._replace(worlds=worlds), {}


def without_policy(state):
    """Engine, task, resets, metrics."""
    worlds, *_ = rollout.unroll(batch, lambda obs, a: a, state.worlds, jnp.zeros(SHAPE))
    return state._replace(worlds=worlds), {}


def policy(state):
    """The policy alone; its actions go into its next observations, so that none is spared."""
    acting = learner.acting(algo, state.learner)

    def step(obs, noise):
        action = learner.act(acting, obs, noise)
        return obs.at[:, : action.shape[1]].set(action), None

    key, key_act = jax.random.split(state.key)
    obs, _ = jax.lax.scan(step, state.worlds.obs, jax.random.normal(key_act, SHAPE))
    return state._replace(key=key), {"obs": obs}


def collection(state):
    """All of it, replay included."""
    key, key_act = jax.random.split(state.key)
    return pwm.collect(algo, batch, state._replace(key=key), key_act)


def turn(part, state, stand_in):
    """One unroll: the next state, and ms per control step in all, in the callback, in physics."""
    mujoco.batch.Batch.step = timed("physics", stand_in)
    spent.clear()
    start = time.perf_counter()
    state, _ = jax.block_until_ready(part(state))
    seconds = [time.perf_counter() - start, spent["callback"], spent["physics"]]
    return state, [1e3 * s / algo.unroll for s in seconds]


rows = [(collection, physics), (collection, nothing), (collection, count)]
rows += [(part, nothing) for part in (without_policy, engine, policy)]
parts = [jax.jit(part, donate_argnums=0) for part, _ in rows]
states = [init(jax.random.key(0)) for _ in rows]
times = [[] for _ in rows]
for _ in range(WARMUP + options.turns):
    for i, (_, stand_in) in enumerate(rows):
        states[i], milliseconds = turn(parts[i], states[i], stand_in)
        times[i].append(milliseconds)
    physics_seconds = np.median([t[2] for t in times[0]]) / 1e3

print("medians in ms per control step     program  callback   physics   outside of the callback")
facts = {"worlds": WORLDS, "turns": options.turns, "rows": []}
for (part, stand_in), found in zip(rows, times, strict=True):
    kept = np.array(found[WARMUP:])
    outside = kept[:, 0] - kept[:, 1]
    low, middle, high = np.percentile(outside, (25, 50, 75))
    whole, callback, inner = np.median(kept, axis=0)
    name = f"{part.__name__}, {stand_in.__name__ if stand_in is not physics else 'physics'}"
    print(
        f"{name:32}{whole:10.2f}{callback:10.2f}{inner:10.2f}{middle:10.2f} ({low:.2f}..{high:.2f})"
    )
    facts["rows"].append({"name": name, "ms": kept.round(4).tolist()})

if options.json:
    facts |= {"date": f"{datetime.datetime.now():%Y-%m-%d %H:%M}", "system": system.describe()}
    options.json.write_text(json.dumps(facts) + "\n", encoding="utf-8")
