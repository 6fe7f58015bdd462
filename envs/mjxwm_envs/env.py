"""Task x Engine: one world as an agent meets it, pure; `mjxwm_envs.batch` makes it many."""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import mujoco
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from mjxwm_envs.contract import check_initial, check_model
from mjxwm_envs.core import (
    Engine,
    EnvSpec,
    Failure,
    Initial,
    Physics,
    Randomiser,
    SimState,
    State,
    Task,
)
from mjxwm_envs.derived_constants import derived_constants
from mjxwm_envs.precision import in_full


def load_model(task: Task) -> mujoco.MjModel:
    """Compiles a task's MJCF with its physics step.

    Raises:
        ValueError: there is no model, or `ctrl_dt` is not a positive whole multiple of `sim_dt`.
    """
    model = check_model(task)
    ratio = task.ctrl_dt / task.sim_dt
    if ratio < 0.5 or abs(ratio - round(ratio)) > 1e-6:
        raise ValueError(
            f"ctrl_dt={task.ctrl_dt} is not a whole multiple of sim_dt={task.sim_dt}; "
            f"the nearest is ctrl_dt={max(1, round(ratio)) * task.sim_dt:.6g}"
        )
    model.opt.timestep = task.sim_dt
    # A world that diverges must show as NaN, to be reset and counted, not silently restarted.
    model.opt.disableflags |= mujoco.mjtDisableBit.mjDSBL_AUTORESET
    return model


@dataclasses.dataclass(frozen=True)
class Env:
    """Task x Engine for one world. `reset` and `step` are pure; `jax.vmap` makes them many."""

    name: str
    task: Task
    engine: Engine
    action_repeat: int = 1
    randomise: Randomiser | None = None

    @property
    def spec(self) -> EnvSpec:
        """Sizes and times; the first access traces a reset."""
        return self._spec

    @functools.cached_property
    def _spec(self) -> EnvSpec:
        obs = jax.eval_shape(lambda key: self.reset(key).obs, jax.random.key(0))
        return EnvSpec(
            name=self.name,
            engine=self.engine.name,
            obs_size=obs.shape[0],
            action_size=self.action_size,
            ctrl_dt=self.task.ctrl_dt * self.action_repeat,
            sim_dt=self.task.sim_dt,
            n_substeps=self.engine.n_substeps * self.action_repeat,
            episode_length=self.episode_length,
            differentiable=self.engine.differentiable,
            obstacle=self._obstacle(),
            action_repeat=self.action_repeat,
            terminates=type(self.task).terminated is not Task.terminated,
        )

    @property
    def action_size(self) -> int:
        """Numbers in an action: one per actuator."""
        return self.engine.model.nu

    @property
    def episode_length(self) -> int:
        """Actions of the agent until truncation."""
        return -(-self.task.episode_length // self.action_repeat)

    def for_worlds(self, num_worlds: int) -> "Env":
        """The same environment with the engine's buffers sized for `num_worlds` worlds."""
        return dataclasses.replace(self, engine=self.engine.for_worlds(num_worlds))

    def worlds(self, num_worlds: int) -> Any:
        """`num_worlds` of them as an `envs.BatchEnv`."""
        from mjxwm_envs.batch import BatchEnv  # which is made of this module

        return BatchEnv(self, num_worlds)

    def failures(self) -> list[Failure]:
        """None: what diverges is reset and counted, see `mjxwm_envs.batch`."""
        return []

    @property
    def reset_computes(self) -> bool:
        """Whether a reset runs physics, for derived fields, rather than writing a start state."""
        return bool(self.task.derived)

    @in_full
    def initial(self, key: PRNGKeyArray) -> Initial:
        """Draws a start state, and another body where worlds are randomised."""
        if self.randomise is None:
            return self._complete(self.task.initial(key))
        key_task, key_body = jax.random.split(key)
        initial = self.task.initial(key_task)
        return self._complete(self.randomise.apply(self.engine.model, key_body, initial))

    def reset(self, key: PRNGKeyArray) -> State:
        """A fresh start state."""
        return self.place(self.initial(key))

    @in_full
    def place(self, initial: Initial) -> State:
        """A world at a start state that is given."""
        initial = self._complete(initial)
        return self._fresh(self.engine.reset(initial), initial.lag)

    @in_full
    def reset_where(self, done: Bool[Array, ""], initial: Initial, state: State) -> State:
        """A world at `initial` where `done`, `state` elsewhere."""
        initial = self._complete(initial)
        fresh = self._fresh(self.engine.reset_where(done, initial, state.sim), initial.lag)
        return State(
            fresh.sim, *(_where(done, f, s) for f, s in zip(fresh[1:], state[1:], strict=True))
        )

    @in_full
    def step(self, state: State, action: Float[Array, " a"]) -> State:
        """One action, held for `action_repeat` control steps; rewards add up until termination."""
        action = jnp.clip(action, -1, 1)

        def control_step(carry: State, _: None) -> tuple[State, None]:
            taken, pending = _late(carry.pending, action)
            sim = self.engine.step(carry.sim, self.to_ctrl(taken))
            reward, terms = self.task.reward(carry.sim.physics, action, sim.physics)
            alive = ~carry.terminated
            reward, terms = jax.tree.map(
                lambda new, old: old + jnp.where(alive, new, 0),
                (reward, terms),
                (carry.reward, carry.terms),
            )
            ended = carry.terminated | self.task.terminated(sim.physics)
            success = self._success(sim.physics)
            return State(sim, carry.obs, reward, ended, terms, success, pending), None

        start = self._fresh(state.sim)._replace(obs=state.obs, pending=state.pending)
        if self.action_repeat == 1:
            after, _ = control_step(start, None)
        else:
            after, _ = jax.lax.scan(control_step, start, None, self.action_repeat)
        return after._replace(obs=self._observe(after.sim.physics, after.pending))

    def _complete(self, initial: Initial) -> Initial:
        """With what MuJoCo derives from masses and inertias, where a world has its own."""
        check_initial(initial, self.engine.model)
        constants = derived_constants(self.engine.model, initial.fields)
        return initial._replace(fields={**initial.fields, **constants})

    def to_ctrl(self, action: Float[Array, " a"]) -> Float[Array, " nu"]:
        """Maps [-1, 1] onto the actuators' control ranges; unlimited actuators take it as it is."""
        model, action = self.engine.model, self.task.shape(action)
        low, high = jnp.asarray(model.actuator_ctrlrange.T, action.dtype)
        limited = jnp.asarray(model.actuator_ctrllimited, bool)
        return jnp.where(limited, low + (action + 1) * (high - low) / 2, action)

    def _obstacle(self) -> str:
        if self.engine.differentiable:
            return ""
        why = getattr(self.engine, "obstacle", None)
        return why or f"engine={self.engine.name!r} has no gradients; use engine='mjx'"

    def _fresh(self, sim: SimState, lag: Any = ()) -> State:
        physics, zero = sim.physics, jnp.zeros_like(sim.physics.time)
        action = jnp.zeros(self.engine.model.nu, zero.dtype)
        _, terms = jax.eval_shape(self.task.reward, physics, action, physics)
        pending = self._pending(lag, action)
        return State(
            sim=sim,
            obs=self._observe(physics, pending),
            reward=zero,
            terminated=jnp.zeros((), bool),
            # Terms add up as numbers, also where they are switches or counts.
            terms=jax.tree.map(lambda t: jnp.zeros_like(zero), terms),
            success=self._success(physics),
            pending=pending,
        )

    def _success(self, physics: Physics) -> Bool[Array, ""] | None:
        success = self.task.success(physics)
        return None if success is None else jnp.asarray(success)

    def _observe(self, physics: Physics, pending: Any) -> Float[Array, " o"]:
        """What the task shows; and, where actions come late, the last ones.

        Without them the same observation and action lead to different places, and nothing tells
        which: not a state that a model can learn or a policy act on.
        """
        obs = self.task.observe(physics)
        if not pending:
            return obs
        _, past = pending
        return jnp.concatenate([obs, past.ravel().astype(obs.dtype)])

    def _pending(self, lag: Any, nothing: Float[Array, " a"]) -> Any:
        if self.randomise is None or not self.randomise.latency:
            return ()
        lag = jnp.zeros((), jnp.int32) if isinstance(lag, tuple) else jnp.asarray(lag)
        return lag, jnp.tile(nothing, (self.randomise.latency, 1))


def _late(pending: Any, action: Float[Array, " a"]) -> tuple[Float[Array, " a"], Any]:
    """The action that arrives now, and those that are still to come."""
    if not pending:
        return action, ()
    lag, past = pending
    line = jnp.concatenate([action[None], past])
    return line[lag], (lag, line[:-1])


def _where(done: Bool[Array, ""], new: Any, old: Any) -> Any:
    return jax.tree.map(lambda n, o: jnp.where(done, n, o), new, old)
