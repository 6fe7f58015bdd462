"""Env = Task x Engine: one world as an agent meets it, as pure functions of its state."""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import mujoco
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from mjxwm_envs.batch import BatchEnv
from mjxwm_envs.contract import check_initial, check_model
from mjxwm_envs.core import EnvSpec, Failure, Initial, Physics, Scene, SimState, Source, State
from mjxwm_envs.engines.derived_constants import derived_constants
from mjxwm_envs.engines.engine import Engine
from mjxwm_envs.engines.precision import in_full
from mjxwm_envs.randomisation import Randomisation
from mjxwm_envs.rendering import scenes
from mjxwm_envs.task import Task


def load_model(task: Task) -> mujoco.MjModel:
    """The compiled model of a task, with the task's physics step.

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
    """One world of a task on an engine. `reset` and `step` are pure; `batch` makes many worlds."""

    name: str
    """The name that `make` was called with."""
    task: Task
    engine: Engine
    action_repeat: int = 1
    """Control steps per action of the agent."""
    randomise: Randomisation | None = None
    """How bodies differ between worlds and episodes; None for the body as it is."""

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
            terminates=self.task.terminates,
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

    def batch(self, num_worlds: int) -> BatchEnv:
        """`num_worlds` worlds, stepped together."""
        return BatchEnv(self, num_worlds)

    def failures(self) -> list[Failure]:
        """No failures: diverged worlds are reset and counted, see `mjxwm_envs.batch`."""
        return []

    def check_devices(self, num_devices: int) -> None:
        """Raises ValueError if worlds cannot be split over this many devices, of all processes."""
        self.engine.check_devices(num_devices // jax.process_count())

    def scene(self, fields: dict[str, Array], goal: Any) -> Scene:
        """What to draw of one world's episode.

        Args:
            fields: `SimState.fields` of the world.
            goal: `Physics.goal` of the world.

        Raises:
            RenderingUnavailableError: the task's `show` fails.
        """
        return scenes.scene(self.name, self.engine.model, self.task.show, fields, goal)

    @property
    def reset_computes(self) -> bool:
        """Whether a reset runs physics (for derived fields) besides writing a start state."""
        return bool(self.task.derived)

    @property
    def reset_is_cheap(self) -> bool:
        """Whether a GPU resets all worlds in less time than it waits for which of them ended."""
        physics = self.reset_computes and self.engine.name != "warp"
        return not physics and self.randomise is None

    @in_full
    def initial(self, key: PRNGKeyArray) -> Initial:
        """Draws a start state, and if worlds are randomised another body."""
        if self.randomise is None:
            return self._complete(self.task.initial(key))
        key_task, key_body = jax.random.split(key)
        initial = self.task.initial(key_task)
        return self._complete(self.randomise.apply(self.engine.model, key_body, initial))

    def reset(self, key: PRNGKeyArray) -> State:
        """A new episode at a start state that is drawn with `key`."""
        return self.place(self.initial(key))

    @in_full
    def place(self, initial: Initial) -> State:
        """A new episode at this start state."""
        initial = self._complete(initial)
        return self._start(self.engine.reset(initial), initial.lag)

    @in_full
    def reset_where(self, done: Bool[Array, ""], initial: Initial, state: State) -> State:
        """A world at `initial` where `done`, else `state`."""
        initial = self._complete(initial)
        start = self._start(self.engine.reset_where(done, initial, state.sim), initial.lag)
        return State(
            start.sim, *(_where(done, n, o) for n, o in zip(start[1:], state[1:], strict=True))
        )

    @in_full
    def step(self, state: State, action: Float[Array, " a"]) -> State:
        """One action in [-1, 1] for `action_repeat` control steps.

        Rewards and their terms are summed over these, up to a termination.
        """
        action = jnp.clip(action, -1, 1)

        def control_step(carry: State, _: None) -> tuple[State, None]:
            arrived, pending = _delayed(carry.pending, action)
            sim = self.engine.step(carry.sim, self.to_ctrl(arrived))
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

        start = self._start(state.sim)._replace(obs=state.obs, pending=state.pending)
        if self.action_repeat == 1:
            after, _ = control_step(start, None)
        else:
            after, _ = jax.lax.scan(control_step, start, None, self.action_repeat)
        return after._replace(obs=self._observe(after.sim.physics, after.pending))

    def _complete(self, initial: Initial) -> Initial:
        """`initial` with the constants that MuJoCo derives from the world's masses and inertias."""
        check_initial(initial, self.engine.model)
        constants = derived_constants(self.engine.model, initial.fields)
        return initial._replace(fields={**initial.fields, **constants})

    def measure(self, state: State) -> dict[str, Float[Array, ""]]:
        """`Task.measure` in a world's state."""
        return self.task.measure(state.sim.physics)

    def to_ctrl(self, action: Float[Array, " a"]) -> Float[Array, " nu"]:
        """Scales [-1, 1] to the control ranges; of actuators without a range, action is control."""
        model, action = self.engine.model, self.task.shape(action)
        low, high = jnp.asarray(model.actuator_ctrlrange.T, action.dtype)
        limited = jnp.asarray(model.actuator_ctrllimited, bool)
        return jnp.where(limited, low + (action + 1) * (high - low) / 2, action)

    def _obstacle(self) -> str:
        if self.engine.differentiable:
            return ""
        reason = getattr(self.engine, "obstacle", None)
        return reason or f"engine={self.engine.name!r} has no gradients; use engine='mjx'"

    def _start(self, sim: SimState, lag: Any = ()) -> State:
        """The state of an episode that begins at `sim`."""
        physics, zero = sim.physics, jnp.zeros_like(sim.physics.time)
        action = jnp.zeros(self.engine.model.nu, zero.dtype)
        _, terms = jax.eval_shape(self.task.reward, physics, action, physics)
        pending = self._pending(lag, action)
        return State(
            sim=sim,
            obs=self._observe(physics, pending),
            reward=zero,
            terminated=jnp.zeros((), bool),
            # Terms that are switches or counts are summed as floats, too.
            terms=jax.tree.map(lambda t: jnp.zeros_like(zero), terms),
            success=self._success(physics),
            pending=pending,
        )

    def _success(self, physics: Physics) -> Bool[Array, ""] | None:
        success = self.task.success(physics)
        return None if success is None else jnp.asarray(success)

    def _observe(self, physics: Physics, pending: Any) -> Float[Array, " o"]:
        """The task's observation; if actions are delayed, followed by those that may be pending.

        Without them the observation is no Markov state: what happens next depends on actions that
        it does not show.
        """
        obs = self.task.observe(physics)
        if not pending:
            return obs
        _, past = pending
        return jnp.concatenate([obs, past.ravel().astype(obs.dtype)])

    def _pending(self, lag: Any, no_action: Float[Array, " a"]) -> Any:
        """`State.pending` at the start of an episode; empty if actions are never delayed."""
        if self.randomise is None or not self.randomise.latency:
            return ()
        lag = jnp.zeros((), jnp.int32) if isinstance(lag, tuple) else jnp.asarray(lag)
        return lag, jnp.tile(no_action, (self.randomise.latency, 1))


def as_env(source: Source) -> Env:
    """`source` as an `Env`, for callers that need its task or its engine.

    Raises:
        ValueError: it is a foreign environment, which has neither.
    """
    if not isinstance(source, Env):
        raise ValueError(
            f"{source.name} is a foreign environment; one of this project's tasks is needed"
        )
    return source


def _delayed(pending: Any, action: Float[Array, " a"]) -> tuple[Float[Array, " a"], Any]:
    """The action that arrives in this control step, and `State.pending` after it."""
    if not pending:
        return action, ()
    lag, past = pending
    queue = jnp.concatenate([action[None], past])
    return queue[lag], (lag, queue[:-1])


def _where(done: Bool[Array, ""], new: Any, old: Any) -> Any:
    return jax.tree.map(lambda n, o: jnp.where(done, n, o), new, old)
