"""What collection costs besides physics: `mj_step` is replaced by nothing, the rest is timed.

    python scripts/collection_overhead.py

Prints milliseconds per control step of 1024 hoppers with the networks of `pwm-hopper-cpu`; the
parts are programs of their own, so they add up only roughly.
"""

import time

import jax
import jax.numpy as jnp
import mujoco.batch
import numpy as np

import envs
from mjxwm import config, rollout, train
from mjxwm.algos import pwm
from mjxwm.running import Iteration, Running

WORLDS, UNROLLS = 1024, 80
mujoco.batch.Batch.step = lambda self, *args, **kwargs: None

algo = config.load_preset(train.Config, "pwm-hopper-cpu").algo
algo = algo.__class__(**{**algo.__dict__, "worlds": WORLDS})
env = envs.make("hopper", "native")
batch = envs.BatchEnv(env, WORLDS)
init = jax.jit(pwm.make(algo, env).init)
SHAPE = (algo.unroll, WORLDS, env.action_size)


def engine(state):
    """The engine alone."""

    def step(sim, ctrl):
        return jax.vmap(env.engine.step)(sim, ctrl), None

    sim, _ = jax.lax.scan(step, state.worlds.state.sim, jnp.zeros(SHAPE))
    return with_worlds(state, state.worlds._replace(state=state.worlds.state._replace(sim=sim)))


def without_policy(state):
    """Engine, task, resets, metrics."""
    return with_worlds(
        state, rollout.unroll(batch, lambda obs, a: a, state.worlds, jnp.zeros(SHAPE))[0]
    )


def collection(state):
    """All of it, replay included."""
    key, key_act = jax.random.split(state.key)
    return pwm.collect(algo, batch, state._replace(key=key), key_act)[0]


def with_worlds(state, worlds):
    """The state with its worlds replaced."""
    return state._replace(worlds=worlds)


for program in (engine, without_policy, collection):
    iteration, times = Iteration(lambda state, program=program: (program(state), {})), []
    running = Running(iteration, init(jax.random.key(0)))
    running()
    running.wait()
    for _ in range(UNROLLS):
        start = time.perf_counter()
        running()
        running.wait()
        times.append((time.perf_counter() - start) / algo.unroll * 1e3)
    print(f"{program.__doc__:35} median {np.median(times):.2f} ms, least {min(times):.2f} ms")
