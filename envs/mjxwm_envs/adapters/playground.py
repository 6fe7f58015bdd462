"""MuJoCo Playground's environments: `envs.make("playground/CheetahRun")`.

They run unchanged on `engine="mjx"` (their impl "jax") or "warp", without Playground's wrappers:
every episode draws a new start state, and the observation before a reset is returned. Playground's
bodies differ from dm_control's (solver iterations, time steps, contacts), so returns compare in
scale only; dm_control's own tasks are shipped under plain names.
"""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from mjxwm_envs import engines
from mjxwm_envs.adapters import playground_loading as loading
from mjxwm_envs.batch import BatchEnv
from mjxwm_envs.core import EnvSpec, Failure, Physics, Scene, SimState, State
from mjxwm_envs.engines.precision import in_full
from mjxwm_envs.fields import nearest


def names() -> tuple[str, ...]:
    """Names of Playground's environments.

    Raises:
        ValueError: playground is not installed.
    """
    return tuple(loading.registry().ALL_ENVS)


def make(env_id: str, action_repeat: int = 1, engine: str = "auto", **config: Any) -> Any:
    """A Playground environment.

    Args:
        env_id: Playground's name, such as "CheetahRun".
        action_repeat: control steps per action; rewards are summed.
        engine: "mjx", "warp", or "auto": warp on an NVIDIA GPU, else mjx.
        config: values for entries of Playground's configuration, such as `episode_length`.

    Raises:
        ValueError: an unknown environment, engine or entry; files that cannot be downloaded; or
            observations that are pixels.
    """
    registry = loading.registry()
    if env_id not in registry.ALL_ENVS:
        raise ValueError(
            f"playground has no {env_id!r}{nearest(env_id, registry.ALL_ENVS)}. "
            f"It has: {', '.join(registry.ALL_ENVS)}"
        )
    if engine == "auto":
        engine = "warp" if engines.has_nvidia() else "mjx"
    if engine not in loading.IMPLS:
        raise ValueError(
            f"playground/{env_id} does not run on engine={engine!r}; use 'mjx' or 'warp'"
        )
    fields = list(registry.get_default_config(env_id))
    for field in config:
        if field not in fields:
            raise ValueError(
                f"playground/{env_id} has no {field!r}{nearest(field, fields)}. "
                f"It has: {', '.join(fields)}"
            )
    return PlaygroundEnv(env_id, engine, action_repeat, tuple(sorted(config.items())))


@dataclasses.dataclass(frozen=True)
class PlaygroundEnv:
    """One world of a Playground environment, with the interface `mjxwm_envs.core.World`."""

    env_id: str
    """Playground's name."""
    engine_name: str
    action_repeat: int = 1
    """Control steps per action."""
    config: tuple[tuple[str, Any], ...] = ()
    """Entries of Playground's configuration that differ from its defaults."""
    num_worlds: int = 1
    """Worlds that its contact buffers are sized for."""

    @property
    def name(self) -> str:
        """The name for `envs.make`."""
        return f"playground/{self.env_id}"

    @property
    def env(self) -> Any:
        """Playground's own environment."""
        return loading.load(self)

    @property
    def spec(self) -> EnvSpec:
        """Sizes and times; the first access traces a reset."""
        return self._spec

    @functools.cached_property
    def _spec(self) -> EnvSpec:
        env = self.env
        obs = jax.eval_shape(lambda key: self.reset(key).obs, jax.random.key(0))
        return EnvSpec(
            name=self.name,
            engine=self.engine_name,
            obs_size=obs.shape[0],
            action_size=self.action_size,
            ctrl_dt=env.dt * self.action_repeat,
            sim_dt=env.sim_dt,
            n_substeps=env.n_substeps * self.action_repeat,
            episode_length=self.episode_length,
            differentiable=False,
            obstacle="Playground's environments step MJX's own solver, which has no reverse "
            "gradient; use one of this project's tasks on engine mjx",
            action_repeat=self.action_repeat,
        )

    @property
    def action_size(self) -> int:
        """Size of an action."""
        return self.env.action_size

    @property
    def episode_length(self) -> int:
        """Actions until truncation."""
        return -(-loading.configuration(self).episode_length // self.action_repeat)

    @property
    def reset_computes(self) -> bool:
        """False: `initial` has computed everything already."""
        return False

    @property
    def reset_is_cheap(self) -> bool:
        """False: `initial` runs physics."""
        return False

    def batch(self, num_worlds: int) -> BatchEnv:
        """`num_worlds` worlds, stepped together."""
        return BatchEnv(self, num_worlds)

    def failures(self) -> list[Failure]:
        """No failures: diverged worlds are reset and counted, see `mjxwm_envs.batch`."""
        return []

    def check_devices(self, num_devices: int) -> None:
        """Raises ValueError for several devices: collection is for one."""
        if num_devices > 1:
            raise ValueError(f"{self.name} is a foreign task, which one device collects from")

    def scene(self, fields: dict[str, Array], goal: Any) -> Scene:
        """Playground's body; it does not tell which of its sites is the goal."""
        return Scene(self.env.mj_model)

    def for_worlds(self, num_worlds: int) -> "PlaygroundEnv":
        """The same environment with contact buffers for `num_worlds` worlds."""
        return dataclasses.replace(self, num_worlds=num_worlds)

    @in_full
    def initial(self, key: PRNGKeyArray) -> Any:
        """Draws a start state, as Playground's `State`."""
        return self.env.reset(key)

    def reset(self, key: PRNGKeyArray) -> State:
        """A new episode."""
        return self._view(self.initial(key))

    def reset_where(self, done: Bool[Array, ""], initial: Any, state: State) -> State:
        """A world at `initial` where `done`, else `state`."""
        old, where = state.sim.hidden, functools.partial(jnp.where, done)
        # Some of Warp's buffers are shared by all worlds: `where` of its data does not touch them.
        merged = jax.tree.map(where, initial.replace(data=None), old.replace(data=None))
        start = self._view(merged.replace(data=old.data.where(done, initial.data)))
        outputs = jax.tree.map(where, start._replace(sim=()), state._replace(sim=()))
        return outputs._replace(sim=start.sim)

    @in_full
    def step(self, state: State, action: Float[Array, " a"]) -> State:
        """One action, held for `action_repeat` control steps; rewards are summed up to an end."""
        action = jnp.clip(action, -1, 1)

        def control_step(carry: Any, _: None) -> tuple[Any, None]:
            inner, total, ended = carry
            inner = self.env.step(inner, action)
            total = total + jnp.where(ended, 0, inner.reward)
            return (inner, total, ended | (inner.done > 0)), None

        start = (state.sim.hidden, jnp.zeros_like(state.reward), jnp.zeros((), bool))
        (inner, total, ended), _ = jax.lax.scan(control_step, start, None, self.action_repeat)
        view = self._view(inner)
        return view._replace(reward=total, terminated=ended, terms=_terms(inner.metrics))

    def _view(self, inner: Any) -> State:
        """Playground's state as ours."""
        data = inner.data
        physics = Physics(data.time, data.qpos, data.qvel, data.act, data.ctrl, {})
        if self.engine_name == "warp":
            overflow = (data._impl.overflow & _dropped()) != 0
            physics = physics._replace(qpos=jnp.where(overflow, jnp.nan, physics.qpos))
        zero = jnp.zeros((), physics.qpos.dtype)
        return State(
            sim=SimState(physics, inner),
            obs=_vector(inner.obs, self.name),
            reward=zero,
            terminated=jnp.zeros((), bool),
            terms=jax.tree.map(jnp.zeros_like, _terms(inner.metrics)),
            success=None,
        )


def _dropped() -> int:
    from mjxwm_envs.engines.warp import DROPPED

    return DROPPED


def _vector(obs: Any, name: str) -> Float[Array, " o"]:
    if isinstance(obs, Mapping):
        if "state" not in obs:
            raise ValueError(f"{name} observes {', '.join(obs)}: there is no vector 'state'")
        obs = obs["state"]
    if obs.ndim != 1:
        raise ValueError(f"{name} observes an array of shape {obs.shape}, not a vector")
    return obs


def _terms(metrics: Any) -> dict[str, Float[Array, ""]]:
    scalars = {k: jnp.asarray(v) for k, v in metrics.items() if np.ndim(v) == 0}
    return {k.removeprefix("reward/").replace("/", "_"): v * 1.0 for k, v in scalars.items()}
