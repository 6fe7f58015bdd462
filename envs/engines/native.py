"""C MuJoCo on a pool of CPU threads (`mujoco.batch.Batch`), called from inside compiled programs.

The worlds live in JAX arrays, not in the batch: each control step carries them through one
`jax.pure_callback` that loads the rows, steps and reads them back. That keeps `Env` pure (scan,
vmap, donation and bitwise checkpoints work) and makes the batch a scratch pad that any number of
programs can share. MuJoCo computes in float64 and JAX mostly in float32, so the exact bits of the
integration state travel as uint32 pairs beside the float view: a trajectory equals a loop over
`mj_step` to the last bit, whatever JAX's precision.
"""

import functools
import math
import threading
from typing import Any

import jax
import jax.numpy as jnp
import mujoco
import mujoco.batch
import numpy as np
from jaxtyping import Array, Bool, Float

from envs.core import Initial, Physics, SimState

_STATE = mujoco.mjtState


class Native:
    """C MuJoCo behind a host callback. Not differentiable."""

    name = "native"
    differentiable = False

    def __init__(
        self,
        model: mujoco.MjModel,
        n_substeps: int,
        derived: tuple[str, ...] = (),
        threads: int = 0,
    ):
        """Args:
        model: compiled model; the batch keeps a copy.
        n_substeps: physics steps per control step.
        derived: `MjData` fields to refresh after each control step, `sensordata` among them.
        threads: CPU threads, 0 for all.
        """
        self.model, self.n_substeps, self.derived, self.threads = (
            model,
            n_substeps,
            derived,
            threads,
        )
        self._batches: dict[int, mujoco.batch.Batch] = {}
        self._lock = threading.Lock()
        # time, qpos, qvel, act, (history,) warm start: a prefix of the batch's rows.
        spec = int(_STATE.mjSTATE_FULLPHYSICS) | int(_STATE.mjSTATE_WARMSTART)
        self._row = mujoco.mj_stateSize(model, spec & ~int(_STATE.mjSTATE_PLUGIN))
        self._first_warmstart = self._row - model.nv
        # Derived fields are one substep old after mj_step; the velocity stage makes them current.
        self._stage = _STAGE.mjSTAGE_VEL if derived else _STAGE.mjSTAGE_NONE
        data = mujoco.MjData(model)
        self._derived_shapes = {k: np.shape(getattr(data, k)) for k in derived}

    def for_worlds(self, num_worlds: int) -> "Native":
        """Itself: batches are made for whatever number of worlds comes."""
        return self

    def reset(self, initial: Initial) -> SimState:
        """See `envs.core.Engine`."""
        return self._call(self._reset, jnp.ones((), bool), jnp.concatenate(initial))

    def reset_where(self, done: Bool[Array, ""], initial: Initial, sim: SimState) -> SimState:
        """See `envs.core.Engine`."""
        fresh = self._call(self._reset, done, jnp.concatenate(initial))
        return jax.tree.map(lambda n, o: jnp.where(done, n, o), fresh, sim)

    def step(self, sim: SimState, ctrl: Float[Array, " nu"]) -> SimState:
        """See `envs.core.Engine`."""
        return self._call(self._step, sim.hidden, ctrl)

    def _call(self, function: Any, *args: Array) -> SimState:
        dtype = jnp.result_type(float)
        shapes = {k: jax.ShapeDtypeStruct(s, dtype) for k, s in self._derived_shapes.items()}
        bits, row, ctrl, derived = jax.pure_callback(
            functools.partial(function, np.dtype(dtype)),
            (
                jax.ShapeDtypeStruct((2 * self._row,), jnp.uint32),
                jax.ShapeDtypeStruct((self._first_warmstart,), dtype),
                jax.ShapeDtypeStruct((self.model.nu,), dtype),
                shapes,
            ),
            *args,
            vmap_method="broadcast_all",
        )
        nq, nv, na = self.model.nq, self.model.nv, self.model.na
        qpos, qvel, act = jnp.split(row[1 : 1 + nq + nv + na], (nq, nq + nv))
        return SimState(Physics(row[0], qpos, qvel, act, ctrl, derived), bits)

    # Host side: every array below is numpy with the worlds on its leading axes.

    def _step(self, dtype: np.dtype, bits: Any, ctrl: Any) -> tuple[Any, ...]:
        bits, ctrl = np.asarray(bits), np.asarray(ctrl)
        with self._lock:
            batch = self._batch(bits.shape[:-1])
            self._load(batch, bits)
            batch.ctrl[...] = ctrl.reshape(batch.nsim, -1)
            try:
                batch.step(nstep=self.n_substeps, stage=self._stage)
            except mujoco.batch.SimulationError as error:
                batch.state[error.ids, : self._row] = np.nan
            return self._read(batch, dtype, bits.shape[:-1])

    def _reset(self, dtype: np.dtype, done: Any, start: Any) -> tuple[Any, ...]:
        """Rows of worlds that are not done come back without meaning."""
        done, start = np.asarray(done), np.asarray(start)
        with self._lock:
            batch = self._batch(done.shape)
            batch.state[:, : self._row] = 0
            batch.state[:, 1 : 1 + start.shape[-1]] = start.reshape(batch.nsim, -1)
            batch.ctrl[...] = 0
            if self.derived:
                ids = np.flatnonzero(done.reshape(-1)).astype(np.int32)
                # All stages: a thread's scratch data still hold another world's accelerations.
                batch.forward(ids)
            return self._read(batch, dtype, done.shape)

    def _batch(self, lead: tuple[int, ...]) -> mujoco.batch.Batch:
        nsim = math.prod(lead)
        if nsim not in self._batches:
            batch = self._batches[nsim] = mujoco.batch.Batch(self.model, nsim, self.threads)
            # Only fields bound before a call are copied out by it.
            for name in self.derived:
                batch.bind(name)
        return self._batches[nsim]

    def _load(self, batch: mujoco.batch.Batch, bits: np.ndarray) -> None:
        rows = np.ascontiguousarray(bits).view(np.float64)
        batch.state[:, : self._row] = rows.reshape(batch.nsim, self._row)

    def _read(
        self, batch: mujoco.batch.Batch, dtype: np.dtype, lead: tuple[int, ...]
    ) -> tuple[Any, ...]:
        rows = np.ascontiguousarray(batch.state[:, : self._row])
        with np.errstate(over="ignore"):  # a diverged world may exceed float32: infinity says so
            view = rows[:, : self._first_warmstart].astype(dtype)
        derived = {
            k: batch.bind(k).astype(dtype).reshape(*lead, *s)
            for k, s in self._derived_shapes.items()
        }
        ctrl = batch.ctrl.astype(dtype)
        return (
            rows.view(np.uint32).reshape(*lead, -1),
            view.reshape(*lead, -1),
            ctrl.reshape(*lead, -1),
            derived,
        )


_STAGE = mujoco.mjtStage
