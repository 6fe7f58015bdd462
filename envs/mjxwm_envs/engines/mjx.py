"""MuJoCo in JAX: runs on every XLA device, in float32 or float64, and is the engine with gradients.

The state of a world between two control steps is `Physics` and the solver's warm start. Each
control step rebuilds `mjx.Data` from a template, so that the arrays carried by `scan` stay small.
"""

import operator
from collections.abc import Collection
from typing import Any

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
from jaxtyping import Array, Bool, Float
from mujoco import mjx

from mjxwm_envs.core import Initial, Physics, SimState
from mjxwm_envs.engines import (
    contacts,
    derived_fields,
    features,
    limit_rows,
    mjx_data,
    rough_contacts,
    solver,
)
from mjxwm_envs.engines.joints import fwd_velocity
from mjxwm_envs.engines.mjx_model import for_mjx
from mjxwm_envs.engines.positions import fwd_position
from mjxwm_envs.engines.precision import in_full

ACCELERATION_STAGE = frozenset(
    {"act_dot", "actuator_force", "cacc", "cfrc_ext", "cfrc_int", "qacc", "qacc_smooth"}
    | {"qfrc_actuator", "qfrc_constraint", "qfrc_smooth"}
)
"""Fields that `mj_step` computes at the start of its last physics step, not at the new state."""


class Mjx:
    """MuJoCo in JAX, with the precision that JAX has when the engine is made.

    If `differentiable`, `jax.grad` and `jax.jvp` work through `reset` and `step`, with the implicit
    gradient of `mjxwm_envs.engines.solver`. If not, `obstacle` is the reason, which an attempt to
    differentiate raises, too. Backpropagation stores one state per control step and recomputes the
    physics between.

    After `step`, position and velocity fields and sensors are those of the new state. Acceleration
    fields and sensors (touch, force, accelerometer) are those of the last physics step, as with
    `mj_step` and the native engine; with RK4, those of its last stage, where C keeps the first.
    """

    name = "mjx"
    _impl = "jax"
    _computed = derived_fields.MJX

    def __init__(self, model: mujoco.MjModel, n_substeps: int, derived: tuple[str, ...] = ()):
        """Args:
            model: compiled model.
            n_substeps: physics steps per control step.
            derived: `MjData` fields to refresh after each control step, `sensordata` among them.

        Raises:
            ValueError: the model has delays or a feature that MJX lacks, or MJX does not compute
                something in `derived`.
        """
        if model.nhistory:
            raise ValueError(
                f"engine={self.name!r} does not keep the history of delayed actuators and "
                "sensors; use engine='native' or remove the delays"
            )
        features.check(model, self.name, derived)
        derived_fields.check(model, derived, self._computed, self.name)
        self.model, self.n_substeps, self.derived = model, n_substeps, derived
        self._supported = for_mjx(model, derived)
        self._model = self._put(self._supported)
        self._template = self._make_template()
        self._shapes = self._derived_shapes()
        acceleration_sensor = model.sensor_needstage == mujoco.mjtStage.mjSTAGE_ACC
        self._sensor_held = np.repeat(acceleration_sensor, model.sensor_dim)
        self._needs_acceleration = bool(ACCELERATION_STAGE.intersection(derived)) or (
            "sensordata" in derived and bool(acceleration_sensor.any())
        )
        self.obstacle = self._find_obstacle()
        self.differentiable = self.obstacle is None

    def for_worlds(self, num_worlds: int) -> "Mjx":
        """This engine: nothing is sized by the number of worlds."""
        return self

    def check_devices(self, num_devices: int) -> None:
        """Any number of devices will do."""

    def can_differ(self, name: str) -> bool:
        """See `Engine`. Fields that are no JAX arrays are constants of the compiled program."""
        try:
            return name == "eq_active0" or isinstance(
                operator.attrgetter(name)(self._model), jax.Array
            )
        except AttributeError:
            return False

    @in_full
    def reset(self, initial: Initial) -> SimState:
        """See `Engine`."""
        view = Physics(jnp.zeros(()), *initial[:3], jnp.zeros(self.model.nu), {}, initial.goal)
        zero = SimState(view, jnp.zeros(self.model.nv), initial.fields)
        model, data = self._with(zero.fields), self._load(zero, view.ctrl)
        if self._needs_acceleration:
            data = self._momenta(model, self._forces(model, self._forward(model, data)))
        elif self.derived:
            data = self._refresh(model, data)
        return self._view(data, zero)._replace(hidden=zero.hidden)

    @in_full
    def step(self, sim: SimState, ctrl: Float[Array, " nu"]) -> SimState:
        """See `Engine`."""
        # Without differentiation a checkpoint is nothing but a call.
        return jax.checkpoint(self._control_step)(sim, ctrl)

    @in_full
    def bare_steps(self, sim: SimState, ctrls: Float[Array, "T u"]) -> Float[Array, " nq"]:
        """T control steps of physics alone, for benchmarks: all of `mjx.Data` stays in the loop.

        Returns the positions at the end.
        """
        model = self._with(sim.fields)

        def substep(data: mjx.Data, ctrl: Array) -> tuple[mjx.Data, None]:
            return self._substep(model, data.replace(ctrl=ctrl)), None

        substeps = jnp.repeat(ctrls, self.n_substeps, axis=0)
        return jax.lax.scan(substep, self._load(sim, ctrls[0]), substeps)[0].qpos

    def reset_where(self, done: Bool[Array, ""], initial: Initial, sim: SimState) -> SimState:
        """See `Engine`."""
        return jax.tree.map(lambda n, o: jnp.where(done, n, o), self.reset(initial), sim)

    def _control_step(self, sim: SimState, ctrl: Float[Array, " nu"]) -> SimState:
        model = self._with(sim.fields)

        def substep(data: mjx.Data, _: None) -> tuple[mjx.Data, None]:
            return self._substep(model, data), None

        data, _ = jax.lax.scan(substep, self._load(sim, ctrl), None, self.n_substeps)
        data = self._forces(model, data)
        after = self._refresh(model, data) if self.derived else data
        return self._view(after, sim)._replace(hidden=real(data.qacc_warmstart))

    def _substep(self, model: mjx.Model, data: mjx.Data) -> mjx.Data:
        # Under x64, step returns some int32 fields as int64, which a scan's carry cannot do.
        after = self._physics_step(model, data)
        return jax.tree.map(lambda new, old: jnp.asarray(new, old.dtype), after, data)

    def _physics_step(self, model: mjx.Model, data: mjx.Data) -> mjx.Data:
        after = self._dynamics(model, data)
        if derived_fields.RNE.intersection(self.derived):  # they depend on many other fields
            return after
        # Gradients flow through these only: the next step recomputes all other fields, and the scan
        # would carry zero gradients for them all the way back.
        live = ("qpos", "qvel", "act", "ctrl", *self.derived)
        public = {f.name for f in data.fields()}
        carried = {k if k in public else f"_impl.{k}": field_of(after, k) for k in live}
        return jax.lax.stop_gradient(after).tree_replace(carried)

    def _dynamics(self, model: mjx.Model, data: mjx.Data) -> mjx.Data:
        return solver.step(model, data, self._plan)

    def _forward(self, model: mjx.Model, data: mjx.Data) -> mjx.Data:
        return solver.forward(model, data, plan=self._plan)

    def _put(self, model: mujoco.MjModel) -> mjx.Model:
        try:
            return mjx.put_model(model, impl=self._impl, graph_mode=self._graph_mode())
        except NotImplementedError as error:
            lack = features.plainly(error, model)
            raise ValueError(
                f"engine={self.name!r} lacks a feature of this model: {lack}; use engine='native'"
            ) from error

    def _graph_mode(self) -> Any:
        return None

    def _make_template(self) -> Any:
        rough_contacts.refuse(self._supported)
        rough_contacts.warn(self._supported, stacklevel=5)
        self._plan = contacts.make_plan(self._supported)
        return jax.tree.map(jnp.asarray, mjx_data.make_data(self._supported, self._plan))

    def _data(self, fields: Collection[str]) -> Any:
        """Empty data for worlds that have their own values of the model's `fields`."""
        if limit_rows.FIELDS.isdisjoint(fields):
            return self._template
        return mjx_data.for_both_limits(self._model, self._template)

    def _find_obstacle(self) -> str | None:
        return solver.obstacle(self._model, self._template)

    def _with(self, fields: dict[str, Array]) -> mjx.Model:
        # `eq_active0` is part of the state, see `from_model`; nothing else reads it.
        fields = self._open({k: x for k, x in fields.items() if k != "eq_active0"})
        old = {k: operator.attrgetter(k)(self._model) for k in fields}
        new = {k: jnp.asarray(x, old[k].dtype).reshape(old[k].shape) for k, x in fields.items()}
        return self._model.tree_replace(new)

    def _open(self, inputs: dict[str, Array]) -> dict[str, Array]:
        """`inputs`; differentiation with respect to them raises the obstacle, if there is one."""
        return inputs if self.obstacle is None else _refuse_gradients(self.obstacle)(inputs)

    def _refresh(self, model: mjx.Model, data: mjx.Data) -> mjx.Data:
        data = mjx.sensor_pos(model, fwd_position(model, data, self._plan))
        return self._momenta(model, mjx.sensor_vel(model, fwd_velocity(model, data)))

    def _forces(self, model: mjx.Model, data: mjx.Data) -> mjx.Data:
        if not derived_fields.RNE.intersection(self.derived):
            return data
        return mjx.rne_postconstraint(model, data)

    def _momenta(self, model: mjx.Model, data: mjx.Data) -> mjx.Data:
        if not derived_fields.SUBTREE.intersection(self.derived):
            return data
        return mjx.subtree_vel(model, data)

    def _load(self, sim: SimState, ctrl: Float[Array, " nu"]) -> mjx.Data:
        view, old = sim.physics, self._data(sim.fields)
        new = {"qpos": view.qpos, "qvel": view.qvel, "act": view.act, "ctrl": ctrl}
        new |= from_model(self.model, sim.fields)
        new = self._open(new) | {"time": view.time, "qacc_warmstart": sim.hidden}
        return old.replace(**{k: jnp.asarray(x, getattr(old, k).dtype) for k, x in new.items()})

    def _view(self, data: mjx.Data, before: SimState) -> SimState:
        derived = {k: real(field_of(data, k)).reshape(s) for k, s in self._shapes.items()}
        time, qpos, qvel, act, ctrl = map(
            real, (data.time, data.qpos, data.qvel, data.act, data.ctrl)
        )
        view = Physics(time, qpos, qvel, act, ctrl, derived, before.physics.goal)
        return SimState(view, data.qacc_warmstart, before.fields)

    def _derived_shapes(self) -> dict[str, tuple[int, ...]]:
        data = mujoco.MjData(self.model)
        shapes: dict[str, tuple[int, ...]] = {}
        for name in self.derived:
            shape: tuple[int, ...] = np.shape(getattr(data, name, None))  # type: ignore[arg-type]
            if self._size(name) != np.prod(shape):
                raise ValueError(
                    f"derived field {name!r} is not available with engine={self.name!r}; "
                    "declare a sensor for it in the MJCF, or use engine='native'"
                )
            shapes[name] = shape
        return shapes

    def _size(self, name: str) -> int | None:
        """Numbers in a field of the engine's data; None if there is no such field."""
        field = field_of(self._data(()), name)
        return None if field is None else np.size(field)


def from_model(model: mujoco.MjModel, fields: dict[str, Array]) -> dict[str, Array]:
    """State that `mj_resetData` initialises from the model, as the world's `fields` change it."""
    bodies = np.flatnonzero(model.body_mocapid >= 0)
    bodies = bodies[np.argsort(model.body_mocapid[bodies])]
    state = {}
    if bodies.size and "body_pos" in fields:
        state["mocap_pos"] = fields["body_pos"][bodies]
    if bodies.size and "body_quat" in fields:
        quat = fields["body_quat"][bodies]
        state["mocap_quat"] = quat / jnp.linalg.norm(quat, axis=1, keepdims=True)
    if "eq_active0" in fields:
        state["eq_active"] = fields["eq_active0"]
    return state


def field_of(data: Any, name: str) -> Any:
    """A field of `mjx.Data` or of its `_impl`; None if there is no such field."""
    # Data forwards to _impl too, but warns.
    public = name in {f.name for f in data.fields()}
    return getattr(data if public else data._impl, name, None)


def _refuse_gradients(reason: str) -> Any:
    @jax.custom_jvp
    def identity(inputs: dict[str, Array]) -> dict[str, Array]:
        return inputs

    @identity.defjvp
    def _(primals: Any, tangents: Any) -> Any:
        raise ValueError(reason)

    return identity


def real(x: Array) -> Array:
    """`x` in the precision that JAX has now."""
    return x.astype(jnp.result_type(float))
