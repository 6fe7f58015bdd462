"""MuJoCo Warp: the fastest engine on an NVIDIA GPU. float32 only, no gradients.

Worlds live in Warp's own buffers while a control step runs, see `mjxwm_envs.engines.warp_worlds`;
between two steps their state is in JAX's arrays, as with the other engines.
"""

import copy
import functools
import warnings
from collections.abc import Collection
from typing import Any

import jax.numpy as jnp
import mujoco
from jaxtyping import Array, Float
from mujoco.mjx.third_party.mujoco_warp import OverflowType

from mjxwm_envs.core import Initial, Physics, SimState
from mjxwm_envs.engines import derived_fields, limit_rows
from mjxwm_envs.engines.buffer_sizes import BufferSizes, RequestedSizes, largest_sizes
from mjxwm_envs.engines.mjx import ACCELERATION_STAGE, Mjx, from_model, real
from mjxwm_envs.engines.precision import in_full
from mjxwm_envs.engines.warp_calls import Inputs, Simulator
from mjxwm_envs.engines.warp_worlds import HELD, Sizes, Work, Worlds, varying_fields

STATE = ("time", "qpos", "qvel", "act", "qacc_warmstart")
"""Fields of Warp's data that a physics step changes and the next one needs."""

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
    """MuJoCo Warp. Its buffers hold `num_worlds` worlds, see `for_worlds`.

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
        if num_worlds <= self._num_worlds:
            return self
        larger = copy.copy(self)
        larger._num_worlds = num_worlds
        larger._simulator = larger._make_simulator()
        return larger

    def can_differ(self, name: str) -> bool:
        """See `Engine`."""
        return name == "eq_active0" or name in varying_fields()

    @in_full
    def reset(self, initial: Initial) -> SimState:
        """See `Engine`."""
        view = Physics(jnp.zeros(()), *initial[:3], jnp.zeros(self.model.nu), {}, initial.goal)
        sim = SimState(view, jnp.zeros(self.model.nv), initial.fields)
        if not self.derived:
            return self._view(self._state(sim, view.ctrl), sim, {})
        return self._run(self._reset_work, sim, view.ctrl, ("overflow", *self.derived))

    @in_full
    def step(self, sim: SimState, ctrl: Float[Array, " nu"]) -> SimState:
        """See `Engine`."""
        held = (HELD,) if self._refreshes and self._sensor_held.any() else ()
        return self._run(self._step_work, sim, ctrl, (*STATE, "overflow", *self.derived, *held))

    def bare_worlds(self, num_worlds: int) -> Worlds:
        """Warp's buffers of so many worlds, for benchmarks that step them without JAX."""
        return self._simulator.alone(num_worlds)

    def _run(
        self, work: Work, sim: SimState, ctrl: Float[Array, " nu"], results: Collection[str]
    ) -> SimState:
        """The state after `work`, with those of the results that a state has."""
        if not limit_rows.FIELDS.isdisjoint(sim.fields):
            warnings.warn(
                "engine='warp' pushes away from the nearer limit alone in worlds whose own "
                f"{', '.join(sorted(limit_rows.FIELDS.intersection(sim.fields)))} let both push",
                stacklevel=2,
            )
        state = self._state(sim, ctrl)
        varying = self._open({k: x for k, x in sim.fields.items() if k in varying_fields()})
        inputs = Inputs(state | from_model(self.model, sim.fields), varying)
        return self._view(state, sim, self._simulator(work, inputs, results))

    def _state(self, sim: SimState, ctrl: Float[Array, " nu"]) -> dict[str, Array]:
        """The state of a world as fields of Warp's data, in float32."""
        state = dict(zip(STATE, (*sim.physics[:4], sim.hidden), strict=True)) | {"ctrl": ctrl}
        return self._open({k: jnp.asarray(x, jnp.float32) for k, x in state.items()})

    def _view(self, old: dict[str, Array], before: SimState, results: dict[str, Array]) -> SimState:
        """The state after Warp's results; what is not among them is as in `old`."""
        state = {k: results.get(k, x) for k, x in old.items()}
        if "overflow" in results:
            dropped = (results["overflow"] & DROPPED) != 0
            state["qpos"] = jnp.where(dropped, jnp.nan, state["qpos"])
        if HELD in results:
            sensors = jnp.where(self._sensor_held, results[HELD], results["sensordata"])
            results = {**results, "sensordata": sensors}
        derived = {k: real(results[k]).reshape(s) for k, s in self._shapes.items() if k in results}
        state = {k: real(x) for k, x in state.items()}
        view = (state[k] for k in Physics._fields[:5])
        physics = Physics(*view, derived=derived, goal=before.physics.goal)
        return SimState(physics, state["qacc_warmstart"], before.fields)

    @property
    def works(self) -> tuple[Work, ...]:
        """What Warp computes for this engine: in a step, and in a reset if that needs it."""
        return (self._step_work, self._reset_work) if self.derived else (self._step_work,)

    @property
    def _step_work(self) -> Work:
        return Work(self.n_substeps, "refresh" if self._refreshes else "nothing")

    @property
    def _reset_work(self) -> Work:
        return Work(0, "forward" if self._needs_acceleration else "refresh")

    def buffers(self, varying: tuple[str, ...]) -> Worlds:
        """New buffers on the CPU, where the worlds have their own values of these fields."""
        return self._simulator.buffers("cpu", self._num_worlds, varying)

    @functools.cached_property
    def _refreshes(self) -> bool:
        """Whether a derived field is of the new state, not of the last physics step."""
        rest = set(self.derived) - ACCELERATION_STAGE
        if self._sensor_held.all():
            rest.discard("sensordata")
        return bool(rest)

    def _find_obstacle(self) -> str:
        return "engine='warp' has no gradients; use engine='mjx'"

    def _make_template(self) -> None:
        """There is none: the buffers are Warp's own."""
        self._simulator = self._make_simulator()

    def _make_simulator(self) -> Simulator:
        sizes = self.buffer_sizes
        # At least 1: kernels may fail on buffers of size zero.
        room = Sizes(max(1, sizes.contacts * self._num_worlds), max(1, sizes.rows))
        return Simulator(self._supported, room, self._num_worlds)

    def _size(self, name: str) -> int | None:
        return self._simulator.size(name)
