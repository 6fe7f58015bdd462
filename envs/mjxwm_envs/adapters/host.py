"""Foreign worlds behind the interface of `BatchEnv`: one ordered host callback per step.

Their state is not in JAX's arrays, so one thing is lost: a checkpoint does not hold it. A run that
goes on from one meets other worlds than it left; its first step there is marked as cut and not
valid, and everything after it is sound.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import io_callback
from jaxtyping import Array, Float, PRNGKeyArray

from mjxwm_envs.adapters.foreign import HostStep, HostWorlds
from mjxwm_envs.core import EnvSpec, Failure, Physics, SimState, State, Step, Worlds


@dataclasses.dataclass(frozen=True)
class HostEnv:
    """Environments on the host as a source of data. Not differentiable."""

    spec: EnvSpec
    """Sizes and times; times are 0 where the environment does not say."""
    make: Callable[[int], HostWorlds]
    """Number of worlds -> worlds.

    Raises ValueError where it cannot be so many."""
    has_success: bool = False
    """Whether the environment says if its task is solved."""
    only: int | None = None
    """The one number of worlds that is possible, of a `VectorEnv`."""
    batches: "list[HostBatch]" = dataclasses.field(default_factory=list, compare=False)

    @property
    def name(self) -> str:
        """Its name."""
        return self.spec.name

    @property
    def action_size(self) -> int:
        """Numbers in an action."""
        return self.spec.action_size

    @property
    def episode_length(self) -> int:
        """Actions until truncation."""
        return self.spec.episode_length

    def batch(self, num_worlds: int) -> "HostBatch":
        """`num_worlds` worlds, which are made when they are first reset.

        Raises:
            ValueError: it is a `VectorEnv` of another number of worlds.
        """
        if self.only not in (None, num_worlds):
            raise ValueError(
                f"{num_worlds} worlds of a VectorEnv that has {self.only}; give a factory of "
                "single environments, or ask for as many worlds (and evaluation episodes)"
            )
        self.batches.append(HostBatch(self, num_worlds))
        return self.batches[-1]

    def failures(self) -> list[Failure]:
        """Errors in the worlds of all batches since the last call."""
        return [failure for batch in self.batches for failure in batch.failures()]

    def check_devices(self, num_devices: int) -> None:
        """Raises ValueError for several devices: the ordered callback runs on one."""
        if num_devices > 1:
            raise ValueError(f"{self.name} is a foreign task, which one device collects from")

    def scene(self, fields: dict[str, Array], goal: Any) -> None:
        """No scene: the environment's MuJoCo model, if it has one, is not known."""
        return


class HostBatch:
    """B worlds on the host; `reset` and `step` as in `BatchEnv`, but not to be vmapped."""

    def __init__(self, env: HostEnv, num_worlds: int) -> None:
        """B worlds of `env`."""
        self.env, self.num_worlds = env, num_worlds
        self._worlds: HostWorlds | None = None

    def failures(self) -> list[Failure]:
        """What went wrong since the last call."""
        if self._worlds is None:
            return []
        found, self._worlds.failures = self._worlds.failures, []
        return found

    def reset(self, key: PRNGKeyArray, stagger: bool = False) -> Worlds:
        """See `BatchEnv`."""
        key, key_seed = jax.random.split(key)
        seed = jax.random.randint(key_seed, (), 1, np.iinfo(np.int32).max)
        shape = jax.ShapeDtypeStruct((self.num_worlds, self.env.spec.obs_size), _dtype())

        def on_host(seed: Any) -> np.ndarray:
            return self._reset(int(seed), stagger).astype(shape.dtype)

        obs = io_callback(on_host, shape, seed, ordered=True)
        zero = jnp.zeros(self.num_worlds)
        count = jnp.zeros(self.num_worlds, jnp.int32)
        return Worlds(self._state(obs, seed), count, count, zero, key)

    def step(self, worlds: Worlds, action: Float[Array, "B a"]) -> tuple[Worlds, Step]:
        """See `BatchEnv`."""
        token = worlds.state.sim.hidden[0]
        out: Any = HostStep(*io_callback(self._step, self._shapes(), token, action, ordered=True))
        steps = worlds.steps + 1
        episode_return = worlds.episode_return + out.reward
        done = out.terminated | out.truncated
        success = out.success if self.env.has_success else None
        step = Step(
            *(out.reward, out.terminated, out.truncated, out.valid, out.next_obs),
            *(episode_return, steps, {}, success),
        )
        # Worlds other than those of the checkpoint have another token: theirs from here on.
        state = self._state(out.obs, token)._replace(success=success)
        steps = jnp.where(done, 0, steps)
        return Worlds(state, steps, steps, jnp.where(done, 0, episode_return), worlds.key), step

    def _state(self, obs: Float[Array, "B o"], token: Array) -> State:
        none = jnp.zeros((self.num_worlds, 0), obs.dtype)
        zero, no = jnp.zeros(self.num_worlds, obs.dtype), jnp.zeros(self.num_worlds, bool)
        physics = Physics(zero, none, none, none, none, {})
        sim = SimState(physics, jnp.full(self.num_worlds, token))
        return State(sim, obs, zero, no, {}, no if self.env.has_success else None)

    def _shapes(self) -> Any:
        real: Any = jax.ShapeDtypeStruct((self.num_worlds,), _dtype())
        flag: Any = jax.ShapeDtypeStruct((self.num_worlds,), jnp.dtype(bool))
        obs: Any = jax.ShapeDtypeStruct((self.num_worlds, self.env.spec.obs_size), _dtype())
        return HostStep(obs, real, flag, flag, flag, flag, obs)

    # Host side.

    def _reset(self, token: int, stagger: bool) -> np.ndarray:
        if self._worlds is None:
            self._worlds = self.env.make(self.num_worlds)
        self._worlds.token = token
        return self._worlds.reset(token, stagger)

    def _step(self, token: Any, action: Any) -> HostStep:
        # Others may have been here: a process before this one, or a batch of the same VectorEnv.
        if self._worlds is None or int(token) != self._worlds.token:
            obs, none = self._reset(int(token), True), np.zeros(self.num_worlds, bool)
            step = HostStep(obs, np.zeros(self.num_worlds), none, ~none, none, none, obs)
        else:
            step = self._worlds.step(np.asarray(action, np.float64))
        shapes = self._shapes()
        return HostStep(*(np.asarray(x, s.dtype) for x, s in zip(step, shapes, strict=True)))


def _dtype() -> Any:
    return jnp.result_type(float)
