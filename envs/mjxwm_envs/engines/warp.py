"""MuJoCo Warp: the fastest engine on an NVIDIA GPU. float32 only, no gradients.

Warp captures its kernels in a CUDA graph, once per set of buffer addresses. If XLA moves the
buffers between calls the graph is captured again, which can cost three quarters of the speed; with
MJXWM_WARP_GRAPH=WARP_STAGED they are copied into fixed buffers instead. `mjxwm bench sim` counts
the captures.
"""

import copy
import functools
import os
import warnings
from collections.abc import Collection
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
import warp
from jaxtyping import Array, Float
from mujoco import mjx
from mujoco.mjx.third_party.mujoco_warp import OverflowType

from mjxwm_envs import shards
from mjxwm_envs.core import SimState
from mjxwm_envs.engines import derived_fields, limit_rows
from mjxwm_envs.engines.buffer_sizes import BufferSizes, RequestedSizes, largest_sizes
from mjxwm_envs.engines.mjx import ACCELERATION_STAGE, Mjx, field_of

GRAPH_VARIABLE = "MJXWM_WARP_GRAPH"
"""Environment variable with the name of a `warp.JaxCallableGraphMode`."""
GraphMode: Any = getattr(warp, "JaxCallableGraphMode", None)

# Flags of dropped contacts or rows; the others mean that the solver used all its iterations.
DROPPED = int(
    OverflowType.NEFC
    | OverflowType.NJMAX_NNZ
    | OverflowType.BROADPHASE
    | OverflowType.NARROWPHASE
    | OverflowType.CCD
    | OverflowType.HFIELD
)


class Warp(Mjx):
    """MuJoCo Warp through MJX. Its buffers hold `num_worlds` worlds, see `for_worlds`.

    All worlds that are stepped together share one contact buffer; by default it is sized for the
    most contacts that the model can have, so that none is ever dropped.
    """

    name = "warp"
    _impl = "warp"
    _computed = derived_fields.WARP

    def __init__(
        self,
        model: mujoco.MjModel,
        n_substeps: int,
        derived: tuple[str, ...] = (),
        num_worlds: int = 1,
        requested: RequestedSizes | BufferSizes | None = None,
    ):
        """Args:
        model: compiled model.
        n_substeps: physics steps per control step.
        derived: `MjData` fields to refresh after each control step, `sensordata` among them.
        num_worlds: worlds that may be stepped together.
        requested: buffer sizes for each world, if the largest ones take too much memory. A world
            that exceeds them turns to NaN, is reset, and its step is not valid.
        """
        both = limit_rows.can_meet(model)
        if both:
            raise ValueError(
                f"engine='warp' pushes away from the nearer limit alone, but the margin of "
                f"{', '.join(both)} is wider than half the range, so that both limits push; use "
                "engine='native' or 'mjx', or a smaller margin"
            )
        self._num_worlds, self._requested = num_worlds, requested
        super().__init__(model, n_substeps, derived)

    @functools.cached_property
    def buffer_sizes(self) -> BufferSizes:
        """Contacts and rows that fit for one world: as requested, else the most that can occur.

        Raises:
            ValueError: no upper bound is known, see `mjxwm_envs.engines.buffer_sizes`.
        """
        contacts, rows = self._requested or RequestedSizes()
        if contacts is not None and rows is not None:
            return BufferSizes(contacts, rows)
        impl: Any = self._model._impl
        largest = largest_sizes(
            self._supported, impl.nxn_geom_pair_filtered, impl.nxn_pairid_filtered[:, 0]
        )
        return BufferSizes(
            largest.contacts if contacts is None else contacts,
            largest.rows if rows is None else rows,
        )

    def for_worlds(self, num_worlds: int) -> "Warp":
        """This engine with buffers for `num_worlds` worlds; itself if they are large enough."""
        self.check_devices(shards.count() // jax.process_count())
        if num_worlds <= self._num_worlds:
            return self
        larger = copy.copy(self)
        larger._num_worlds = num_worlds
        # This may be called while tracing: no tracer must get into the buffers.
        with jax.ensure_compile_time_eval():
            larger._template = larger._make_template()
        return larger

    def check_devices(self, num_devices: int) -> None:
        """Refuses several devices of one process if Warp stages its buffers: it would crash.

        Raises:
            ValueError: the message names the environment variable to unset.
        """
        name = os.environ.get(GRAPH_VARIABLE, "")
        if num_devices > 1 and name.startswith("WARP_STAGED"):
            raise ValueError(
                f"{GRAPH_VARIABLE}={name} runs on one device of a process, not on {num_devices}, "
                f"where Warp's staged buffers crash; unset {GRAPH_VARIABLE}, or take one device"
            )

    def _graph_mode(self) -> Any:
        name = os.environ.get(GRAPH_VARIABLE)
        if not name or not GraphMode:  # Warp's default
            return None
        # Graphs captured by JAX lack features that MuJoCo Warp needs.
        modes = [mode.name for mode in GraphMode if mode.name != "JAX"]
        if name not in modes:
            raise ValueError(f"{GRAPH_VARIABLE}={name!r} is unknown; choose {', '.join(modes)}")
        return GraphMode[name]

    def _find_obstacle(self) -> str:
        return "engine='warp' has no gradients; use engine='mjx'"

    def _physics_step(self, model: mjx.Model, data: mjx.Data) -> mjx.Data:
        return mjx.step(model, data)

    def _forward(self, model: mjx.Model, data: mjx.Data) -> mjx.Data:
        return mjx.forward(model, data)

    def _make_template(self) -> Any:
        sizes = self.buffer_sizes
        # At least 1: kernels may fail on buffers of size zero.
        contacts, rows = max(1, sizes.contacts * self._num_worlds), max(1, sizes.rows)
        data = mjx.make_data(self._supported, impl="warp", naconmax=contacts, njmax=rows)
        return jax.tree.map(_compact, data)

    def _data(self, fields: Collection[str]) -> Any:
        if not limit_rows.FIELDS.isdisjoint(fields):
            warnings.warn(
                "engine='warp' pushes away from the nearer limit alone in worlds whose own "
                f"{', '.join(sorted(limit_rows.FIELDS.intersection(fields)))} let both push",
                stacklevel=2,
            )
        return jax.tree.map(_expand, self._template, is_leaf=lambda x: isinstance(x, _Uniform))

    def _load(self, sim: SimState, ctrl: Float[Array, " nu"]) -> mjx.Data:
        data = super()._load(sim, ctrl)
        # Worlds are counted by the batch axes of both: a planner batches the controls only.
        qpos, ctrl = _at_most(self._num_worlds)((data.qpos, data.ctrl))
        return data.replace(qpos=qpos, ctrl=ctrl)

    def _refresh(self, model: mjx.Model, data: mjx.Data) -> mjx.Data:
        # Warp has no separate stages: compute all, then restore the fields of the last step.
        after = mjx.forward(model, data)
        public = {f.name for f in data.fields()}
        held: dict[str, Any] = {
            k if k in public else f"_impl.{k}": field_of(data, k)
            for k in ACCELERATION_STAGE.intersection(self.derived)
        }
        sensordata = jnp.where(self._sensor_held, data.sensordata, after.sensordata)
        return after.tree_replace({**held, "sensordata": sensordata})

    def _view(self, data: mjx.Data, before: SimState) -> SimState:
        sim = super()._view(data, before)
        impl: Any = data._impl
        overflowed = (impl.overflow & DROPPED) != 0
        qpos = jnp.where(overflowed, jnp.nan, sim.physics.qpos)
        return sim._replace(physics=sim.physics._replace(qpos=qpos))


def _at_most(capacity: int, worlds: int = 1) -> Any:
    """The identity; raises ValueError if it is vmapped over more than `capacity` worlds."""

    @jax.custom_batching.custom_vmap
    def identity(arrays: tuple[Array, ...]) -> tuple[Array, ...]:
        return arrays

    @identity.def_vmap
    def _(axis_size: int, in_batched: list[Any], arrays: tuple[Array, ...]) -> tuple[Any, Any]:
        total = worlds * axis_size
        if total > capacity:
            raise ValueError(
                f"{total} worlds or more are stepped together, but the buffers of engine='warp' "
                f"are made for {capacity}; use env.for_worlds(n) with the number of all worlds"
            )
        return _at_most(capacity, total)(arrays), in_batched[0]

    return identity


class _Uniform(NamedTuple):
    """A constant array, created inside the program: stored as a literal it would bloat it."""

    shape: tuple[int, ...]
    value: Any


def _compact(leaf: Any) -> Any:
    x = np.asarray(leaf)
    if isinstance(leaf, jax.Array) and x.size > 1 and (x == x.flat[0]).all():
        return _Uniform(x.shape, x.flat[0])
    return leaf


def _expand(leaf: Any) -> Any:
    return jnp.full(leaf.shape, leaf.value) if isinstance(leaf, _Uniform) else leaf
