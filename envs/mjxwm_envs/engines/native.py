"""C MuJoCo on a pool of CPU threads (`mujoco.batch.Batch`), called from inside compiled programs.

The worlds' states are JAX arrays, not the batch: each control step is one callback that loads the
states into the batch, steps it and reads them back. That keeps `Env` pure (scan, vmap, donation and
bitwise checkpoints work), and any number of programs can share the batch. MuJoCo computes in
float64 and JAX mostly in float32, so the exact state is stored as pairs of uint32 next to its float
view: a trajectory equals a loop over `mj_step` to the last bit, whatever JAX's precision. Two more
words align the rows and mark a new episode, whose start state is stored in JAX's precision, so
that a reset needs no callback.
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

from mjxwm_envs.core import Initial, Physics, SimState
from mjxwm_envs.engines import derived_fields, features
from mjxwm_envs.engines.callback import on_host
from mjxwm_envs.engines.shortcuts import without_shortcuts

_STATE, _STAGE = mujoco.mjtState, mujoco.mjtStage
_FRESH = 1
"""Value of a hidden state's last word if its first words are a start state in JAX's precision."""


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

        Raises:
            ValueError: a feature or a derived field that the engine lacks, see
                `mjxwm_envs.engines.features` and `mjxwm_envs.engines.derived_fields`.
        """
        self.model, self.n_substeps, self.derived, self.threads = (
            model,
            n_substeps,
            derived,
            threads,
        )
        self._batches: dict[tuple[int, frozenset[str]], mujoco.batch.Batch] = {}
        self._lock = threading.Lock()
        self._carried, self._row = _carried(model)
        # Numbers before the warm start: time, qpos, qvel, act and the history of delays.
        self._num_physics = mujoco.mj_stateSize(model, int(_STATE.mjSTATE_PHYSICS)) + 1
        # Derived fields are one substep old after mj_step; the velocity stage makes them current.
        self._stage = _STAGE.mjSTAGE_VEL if derived else _STAGE.mjSTAGE_NONE
        features.check(model, self.name, derived)
        derived_fields.check(model, derived, derived_fields.NATIVE, self.name)
        data = mujoco.MjData(model)
        self._derived_shapes = {k: np.shape(getattr(data, k)) for k in derived}
        self._forces = derived_fields.RNE.intersection(derived)
        self._momenta = derived_fields.SUBTREE.intersection(derived)
        self._stepped = derived_fields.with_energy(model) if "energy" in derived else model

    @property
    def _on_demand(self) -> bool:
        return bool(self._forces or self._momenta)

    def for_worlds(self, num_worlds: int) -> "Native":
        """This engine: a batch is made for each number of worlds that it is called with."""
        return self

    def check_devices(self, num_devices: int) -> None:
        """Any number of devices will do."""

    def can_differ(self, name: str) -> bool:
        """See `Engine`."""
        return name in mujoco.batch.MODEL_FIELDS

    def reset(self, initial: Initial) -> SimState:
        """See `Engine`. Without derived fields there is nothing to compute.

        Raises:
            ValueError: worlds differ in a field that C MuJoCo assumes to be equal in all.
        """
        without_shortcuts(self.model, initial.fields)
        start = jnp.concatenate(initial[:3]).astype(jnp.result_type(float))
        if self.derived:
            return self._call(self._forward, initial.goal, initial.fields, start)
        words = jax.lax.bitcast_convert_type(start, jnp.uint32).reshape(-1)
        hidden = jnp.zeros(2 * self._row + 2, jnp.uint32)
        hidden = hidden.at[-1].set(_FRESH).at[: words.size].set(words)
        return SimState(self._physics(initial), hidden, initial.fields)

    def reset_where(self, done: Bool[Array, ""], initial: Initial, sim: SimState) -> SimState:
        """See `Engine`."""
        return jax.tree.map(lambda n, o: jnp.where(done, n, o), self.reset(initial), sim)

    def step(self, sim: SimState, ctrl: Float[Array, " nu"]) -> SimState:
        """See `Engine`."""
        after = self._call(self._step, sim.physics.goal, sim.fields, sim.hidden, ctrl)
        return after._replace(physics=after.physics._replace(ctrl=ctrl))

    def rows(self, sim: SimState) -> np.ndarray:
        """The exact states of worlds, on the host: float64 [..., row] in MuJoCo's order."""
        hidden, fields = np.asarray(sim.hidden), jax.tree.map(np.asarray, sim.fields)
        with self._lock:
            batch = self._batch(hidden.shape[:-1], fields)
            rows = self._rows(batch, hidden, np.dtype(sim.physics.qpos.dtype))
        return rows.reshape(*hidden.shape[:-1], -1)

    def load(self, batch: mujoco.batch.Batch, rows: Float[np.ndarray, "B row"]) -> None:
        """Loads exact states into a batch of this model."""
        batch.state[:, self._carried] = rows

    def nudged(self, sim: SimState, change: Float[np.ndarray, "B nv"]) -> SimState:
        """Worlds with so much added to their generalised velocities, on the host; the rest is kept.

        Derived fields stay those of before, until the next step.
        """
        rows = self.rows(sim).copy()
        nq, nv = self.model.nq, self.model.nv
        rows[:, 1 + nq : 1 + nq + nv] += change
        hidden = np.zeros((len(rows), 2 * self._row + 2), np.uint32)
        hidden[:, :-2] = rows.view(np.uint32)
        qvel = rows[:, 1 + nq : 1 + nq + nv].astype(sim.physics.qvel.dtype)
        physics = sim.physics._replace(qvel=jnp.asarray(qvel))
        return sim._replace(physics=physics, hidden=jnp.asarray(hidden))

    def _physics(self, initial: Initial) -> Physics:
        dtype = jnp.result_type(float)
        qpos, qvel, act = (x.astype(dtype) for x in initial[:3])
        ctrl = jnp.zeros(self.model.nu, dtype)
        return Physics(jnp.zeros((), dtype), qpos, qvel, act, ctrl, {}, initial.goal)

    def _call(self, function: Any, goal: Any, fields: dict[str, Array], *args: Array) -> SimState:
        dtype = jnp.result_type(float)
        shapes = {k: jax.ShapeDtypeStruct(s, dtype) for k, s in self._derived_shapes.items()}
        hidden, row, derived = on_host(
            functools.partial(function, np.dtype(dtype)),
            (
                jax.ShapeDtypeStruct((2 * self._row + 2,), jnp.uint32),
                jax.ShapeDtypeStruct((self._num_physics,), dtype),
                shapes,
            ),
            fields,
            *args,
        )
        nq, nv, na = self.model.nq, self.model.nv, self.model.na
        qpos, qvel, act = jnp.split(row[1 : 1 + nq + nv + na], (nq, nq + nv))
        state = Initial(qpos, qvel, act, goal)
        physics = self._physics(state)._replace(time=row[0], derived=derived)
        return SimState(physics, hidden, fields)

    # Host side: every array below is numpy with the worlds on its leading axes; `out` is filled.

    def _step(self, dtype: np.dtype, out: Any, fields: Any, hidden: Any, ctrl: Any) -> None:
        with self._lock:
            batch = self._batch(ctrl.shape[:-1], fields)
            if self._starts_with(fields):  # state that steps do not change but worlds differ in
                batch.reset(stage=_STAGE.mjSTAGE_NONE)
            self.load(batch, self._rows(batch, hidden, dtype))
            batch.ctrl[...] = ctrl.reshape(batch.nsim, -1)
            stage = _STAGE.mjSTAGE_NONE if self._on_demand else self._stage
            try:
                batch.step(nstep=self.n_substeps, stage=stage)
            except mujoco.batch.SimulationError as error:
                batch.state[error.ids, : self._num_physics] = np.nan
            values = derived_fields.on_demand(batch, self._forces, bool(fields))
            if self._on_demand:
                batch.forward(stage=self._stage)
                values |= derived_fields.on_demand(batch, self._momenta, bool(fields))
            self._read(batch, out, values)

    def _forward(self, dtype: np.dtype, out: Any, fields: Any, start: Any) -> None:
        with self._lock:
            batch = self._batch(start.shape[:-1], fields)
            batch.reset(stage=_STAGE.mjSTAGE_NONE)
            rows = batch.state[:, self._carried]
            rows[:, 1 : 1 + start.shape[-1]] = start.reshape(batch.nsim, -1)
            self.load(batch, rows)
            # All stages: a thread's scratch data still hold another world's accelerations.
            batch.forward()
            values = derived_fields.on_demand(batch, self._forces | self._momenta, bool(fields))
            self.load(batch, rows)  # without the warm start that `forward` leaves
            self._read(batch, out, values)

    def _rows(
        self, batch: mujoco.batch.Batch, hidden: np.ndarray, dtype: np.dtype
    ) -> Float[np.ndarray, "B row"]:
        hidden = hidden.reshape(-1, hidden.shape[-1])
        rows = hidden[:, :-2].view(np.float64)
        fresh = np.flatnonzero(hidden[:, -1])
        if fresh.size:
            size = self.model.nq + self.model.nv + self.model.na
            start = hidden[fresh, : size * dtype.itemsize // 4].copy().view(dtype)
            batch.reset(fresh, stage=_STAGE.mjSTAGE_NONE)
            rows = rows.copy()
            rows[fresh] = batch.state[fresh][:, self._carried]
            rows[fresh, 1 : 1 + size] = start
        return rows

    def _starts_with(self, fields: dict[str, Any]) -> bool:
        """Whether `mj_resetData` initialises state that `_carried` leaves out from these fields."""
        poses = bool(self.model.nmocap) and not {"body_pos", "body_quat"}.isdisjoint(fields)
        return poses or "eq_active0" in fields

    def _batch(self, lead: tuple[int, ...], fields: dict[str, Any]) -> mujoco.batch.Batch:
        nsim = math.prod(lead)
        # One batch for each set of fields: a field that is expanded in a batch stays expanded.
        key = nsim, frozenset(fields)
        if key not in self._batches:
            model = without_shortcuts(self._stepped, fields)
            # Persistent: keeps each world's MjData after a call, for fields computed on demand.
            batch = self._batches[key] = mujoco.batch.Batch(
                model, nsim, self.threads, persistent=self._on_demand
            )
            # A call copies only fields that were bound before it.
            for name in self.derived:
                if name not in self._forces | self._momenta:
                    batch.bind(name)
        for name, values in fields.items():
            expanded = self._batches[key].expand(name)
            expanded[...] = values.reshape(expanded.shape)
        return self._batches[key]

    def _read(self, batch: mujoco.batch.Batch, out: Any, on_demand: dict[str, np.ndarray]) -> None:
        hidden, view, derived = out
        hidden = hidden.reshape(batch.nsim, -1)
        hidden[:, -2:] = 0
        hidden[:, :-2].view(np.float64)[...] = batch.state[:, self._carried]
        with np.errstate(over="ignore"):  # a diverged world may exceed float32: infinity says so
            view.reshape(batch.nsim, -1)[...] = batch.state[:, : self._num_physics]
            for name, value in derived.items():
                field = on_demand[name] if name in on_demand else batch.bind(name)
                value.reshape(batch.nsim, -1)[...] = field.reshape(batch.nsim, -1)


def _carried(model: mujoco.MjModel) -> tuple[slice | np.ndarray, int]:
    """Indices and number of those entries of a batch's row that steps change.

    Time, qpos, qvel, act, history and warm start come first, the plugins' state last. The rest
    (`eq_active`, mocap poses, ...) keeps its values from the reset.
    """
    changes = int(_STATE.mjSTATE_TIME | _STATE.mjSTATE_PHYSICS | _STATE.mjSTATE_WARMSTART)
    begin = mujoco.mj_stateSize(model, changes)
    whole = mujoco.mj_stateSize(model, int(_STATE.mjSTATE_INTEGRATION))
    plugins = mujoco.mj_stateSize(model, int(_STATE.mjSTATE_PLUGIN))
    if not plugins:  # no copies
        return slice(begin), begin
    return np.r_[:begin, whole - plugins : whole], begin + plugins
