"""Simulators alone, each in the way that is natural to it: what collection is compared with."""

import contextlib
import time
from collections.abc import Callable
from typing import Any

import jax
import mjxwm_envs as envs
import mujoco.batch
import numpy as np
from jaxtyping import Array, Float
from mjxwm_envs.core import SimState

Bare = Callable[[SimState, Float[Array, "T B u"]], float]
"""Steps B worlds T control steps from a state under given controls; returns the seconds."""


def bare_simulator(env: envs.Env, worlds: int) -> Bare:
    """The engine of `env` alone: MuJoCo's batch on threads, MuJoCo Warp's own step, or MJX."""
    if env.engine.name == "native":
        return _Native(env.engine, worlds)
    if env.engine.name == "warp":
        return Warp(env.engine, worlds)
    return _Mjx(env.engine)


class _Native:
    def __init__(self, engine: Any, worlds: int):
        self.engine = engine
        self.batch = mujoco.batch.Batch(engine.model, worlds, engine.threads)
        self.ctrl = self.batch.bind("ctrl")

    def __call__(self, sim: SimState, controls: Float[Array, "T B u"]) -> float:
        self.engine.load(self.batch, self.engine.rows(sim))
        values = np.asarray(controls, np.float64)
        start = time.perf_counter()
        for value in values:
            self.ctrl[...] = value
            # Where a world diverges, the others run on.
            with contextlib.suppress(mujoco.batch.SimulationError):
                self.batch.step(nstep=self.engine.n_substeps)
        return time.perf_counter() - start


class Warp:
    """`mujoco_warp.step` in a loop, without JAX; on a GPU a control step is one CUDA graph.

    It has buffers of its own, so that the graph, captured in the first call, stays valid.
    """

    def __init__(self, engine: Any, worlds: int):
        """Args:
        engine: engine warp with buffers for so many worlds or more.
        worlds: their number.
        """
        self.engine, self.buffers = engine, engine.bare_worlds(worlds)

    def __call__(self, sim: SimState, controls: Float[Array, "T B u"]) -> float:
        """Seconds of T control steps.

        Raises:
            ValueError: worlds whose models differ.
        """
        import warp
        from mjxwm_envs.engines.warp import STATE
        from mjxwm_envs.engines.warp_worlds import Work

        if sim.fields:
            raise ValueError(
                "the bare simulator of engine='warp' has one model for all worlds, but these "
                f"differ in {', '.join(sorted(sim.fields))}; take a task without randomisation"
            )
        state = dict(zip(STATE, (*sim.physics[:4], sim.hidden), strict=True))
        for name, values in state.items():
            if values.size:
                self.buffers.field(name).assign(np.asarray(values, np.float32))
        device, work = self.buffers.device, Work(self.engine.n_substeps, "nothing")
        each = [warp.array(c, dtype=float, device=device) for c in np.asarray(controls, np.float32)]
        warp.synchronize_device(device)
        start = time.perf_counter()
        with warp.ScopedDevice(device):
            for control in each:
                warp.copy(self.buffers.field("ctrl"), control)
                self.buffers.run(work)
        warp.synchronize_device(device)
        return time.perf_counter() - start


class _Mjx:
    def __init__(self, engine: Any):
        self.program = jax.jit(jax.vmap(engine.bare_steps, in_axes=(0, 1)))

    def __call__(self, sim: SimState, controls: Float[Array, "T B u"]) -> float:
        start = time.perf_counter()
        jax.block_until_ready(self.program(sim, controls))
        return time.perf_counter() - start
