"""Adapter from this project's worlds to Brax: B worlds as one `brax.envs.Env`, resets included.

Brax's wrappers would add time limits and resets, which always return to the first start state;
these worlds reset themselves, so Brax must not wrap them. In a Brax state, `done` is terminated or
truncated, `info["truncation"]` is truncated only, and `obs` is the observation to act on: after the
end of an episode, the first one of the next. `info["step"]` has the observation before the reset.
Brax's losses do not need it: they do not bootstrap at a termination, and leave truncated steps
(and those of worlds whose physics diverged) out of PPO's advantages and SAC's TD errors.
"""

from typing import Any

import jax
import jax.numpy as jnp
from brax.envs.base import Env as BraxEnv
from brax.envs.base import State
from brax.training.acme import running_statistics, specs
from brax.training.acme.running_statistics import RunningStatisticsState
from jaxtyping import Array, Float
from mjxwm_envs.core import Source, Step, Worlds

from mjxwm.maths import finite


class BraxWorlds(BraxEnv):
    """B worlds as one Brax environment; use it without Brax's wrappers (`wrap_env=False`)."""

    def __init__(self, env: Source):
        """`env` is a single world; the number of keys passed to `reset` sets B."""
        self._env = env
        self._spec = env.spec
        self._batches: dict[int, Any] = {}

    def reset(self, rng: Array) -> State:
        """B fresh worlds for B keys (raw or typed), with staggered episode clocks."""
        key = rng[0]
        if not jnp.issubdtype(key.dtype, jax.dtypes.prng_key):
            key = jax.random.wrap_key_data(key)
        batch = self._worlds(len(rng))
        worlds = batch.reset(key, stagger=True)
        _, step = jax.eval_shape(batch.step, worlds, jnp.zeros((len(rng), self.action_size)))
        no_step = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), step)
        return _state(worlds, no_step)

    def step(self, state: State, action: Float[Array, "B a"]) -> State:
        """One action in each world."""
        worlds: Any = state.pipeline_state
        return _state(*self._worlds(len(action)).step(worlds, action))

    def _worlds(self, num_worlds: int) -> Any:
        # Cached, because reset and step must use the same object: host worlds are not in the state.
        if num_worlds not in self._batches:
            self._batches[num_worlds] = self._env.batch(num_worlds)
        return self._batches[num_worlds]

    @property
    def observation_size(self) -> int:
        """Size of an observation."""
        return self._spec.obs_size

    @property
    def action_size(self) -> int:
        """Size of an action."""
        return self._spec.action_size

    @property
    def backend(self) -> str:
        """The engine's name."""
        return self._spec.engine


def init_normalizer(env: BraxWorlds) -> RunningStatisticsState:
    """Brax's running mean and deviation of observations, before the first one."""
    return running_statistics.init_state(specs.Array((env.observation_size,), jnp.dtype("float32")))


def observed(
    normalizer: RunningStatisticsState, obs: Float[Array, "*s o"]
) -> tuple[RunningStatisticsState, Float[Array, ""]]:
    """The normaliser after these observations; and 1 if it was left as it was, because they or
    what became of it are not finite, else 0.
    """
    updated = running_statistics.update(normalizer, obs)
    sound = finite.all_finite(updated)
    return finite.kept_unless(sound, updated, normalizer), finite.skipped(sound)


def _state(worlds: Worlds, step: Step) -> State:
    truncation = step.truncated.astype(jnp.float32)
    done = jnp.maximum(step.terminated, truncation)
    length = step.episode_length.astype(jnp.float32)
    info = {
        "step": step._replace(fault=None),  # checkpoints of this state have none
        "truncation": truncation,
        # Brax's training loops also read these.
        "steps": length,
        "episode_done": done,
        "episode_metrics": {"sum_reward": step.episode_return, "length": length},
    }
    physics: Any = worlds  # Brax does not look into it
    return State(physics, finite.or_zero(worlds.obs), step.reward, done, {}, info)
