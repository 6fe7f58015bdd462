"""Our worlds behind brax's interface: `brax.envs.Env` with B worlds in one, resets included.

Brax wraps an environment in episodes and resets of its own, which go back to the first start state
again and again; these worlds come with theirs, so nothing is to be wrapped. A brax state's `done`
is terminated or truncated, `info["truncation"]` is truncated alone, and its observation is the one
to act on: after an end that of the fresh start. What came before the reset is in `info["step"]`,
but brax's losses read the observation alone. They take care not to: a termination is not
bootstrapped at all, and a truncated step, as that of a world whose physics diverged, is left out of
PPO's advantages and of SAC's errors, the return before it being bootstrapped from its own value.
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


class BraxWorlds(BraxEnv):
    """B worlds for `brax.training`, to be used without its wrappers (`wrap_env=False`)."""

    def __init__(self, env: Source):
        """`env` is one world; B follows from the keys that `reset` is given."""
        self._env = env
        self._spec = env.spec
        self._batches: dict[int, Any] = {}

    def reset(self, rng: Array) -> State:
        """Fresh worlds with staggered clocks, as many as there are keys, raw or typed."""
        key = rng[0]
        if not jnp.issubdtype(key.dtype, jax.dtypes.prng_key):
            key = jax.random.wrap_key_data(key)
        batch = self._worlds(len(rng))
        worlds = batch.reset(key, stagger=True)
        _, step = jax.eval_shape(batch.step, worlds, jnp.zeros((len(rng), self.action_size)))
        nothing = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), step)
        return _state(worlds, nothing)

    def step(self, state: State, action: Float[Array, "B a"]) -> State:
        """One action in each world."""
        worlds: Any = state.pipeline_state
        return _state(*self._worlds(len(action)).step(worlds, action))

    def _worlds(self, num_worlds: int) -> Any:
        # The same ones for reset and steps: worlds on the host are not in the state.
        if num_worlds not in self._batches:
            self._batches[num_worlds] = self._env.batch(num_worlds)
        return self._batches[num_worlds]

    @property
    def observation_size(self) -> int:
        """Numbers in an observation."""
        return self._spec.obs_size

    @property
    def action_size(self) -> int:
        """Numbers in an action."""
        return self._spec.action_size

    @property
    def backend(self) -> str:
        """The engine's name."""
        return self._spec.engine


def init_normalizer(env: BraxWorlds) -> RunningStatisticsState:
    """Running mean and deviation of observations, of which none has been seen."""
    return running_statistics.init_state(specs.Array((env.observation_size,), jnp.dtype("float32")))


def _state(worlds: Worlds, step: Step) -> State:
    truncation = step.truncated.astype(jnp.float32)
    done = jnp.maximum(step.terminated, truncation)
    length = step.episode_length.astype(jnp.float32)
    info = {
        "step": step,
        "truncation": truncation,
        # What brax's own loops ask for besides.
        "steps": length,
        "episode_done": done,
        "episode_metrics": {"sum_reward": step.episode_return, "length": length},
    }
    physics: Any = worlds  # brax hands it back as it was
    return State(physics, worlds.obs, step.reward, done, {}, info)
