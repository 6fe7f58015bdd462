"""Foreign worlds as a `Source`: one ordered host callback per step.

Their state is in Python objects, so a checkpoint does not hold it. A run that is resumed from one
meets new worlds: its first step there is marked as truncated and not valid.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import io_callback
from jaxtyping import Array, Float, PRNGKeyArray

from mjxwm_envs.adapters.host_worlds import HostStep, HostWorlds, PicturedWorlds
from mjxwm_envs.core import EnvSpec, Failure, Physics, SimState, State, Step, Worlds


@dataclasses.dataclass(frozen=True)
class HostEnv:
    """A foreign environment on the host. Not differentiable."""

    spec: EnvSpec
    """Sizes and times; times are 0 if the environment does not tell them."""
    make: Callable[[int], HostWorlds]
    """Makes a number of worlds; raises ValueError if there cannot be so many."""
    has_success: bool = False
    """Whether the environment tells if its task is solved."""
    only: int | None = None
    """The number of worlds of a `VectorEnv`, which cannot have another; else None."""
    filmed: Callable[[], PicturedWorlds] | None = None
    """Makes one world that renders pictures; None if the environment is not known to."""
    batches: "list[HostBatch]" = dataclasses.field(default_factory=list, compare=False)
    """All batches that were made of it, for their failures."""

    @property
    def name(self) -> str:
        """The name that `make` was called with."""
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
    """B worlds on the host, as a `WorldBatch`; `vmap` of its functions is not possible."""

    def __init__(self, env: HostEnv, num_worlds: int) -> None:
        """`num_worlds` worlds of `env`, made at the first reset."""
        self.env, self.num_worlds = env, num_worlds
        self._worlds: HostWorlds | None = None

    def failures(self) -> list[Failure]:
        """Errors since the last call."""
        if self._worlds is None:
            return []
        failures, self._worlds.failures = self._worlds.failures, []
        return failures

    def reset(self, key: PRNGKeyArray, stagger: bool = False) -> Worlds:
        """See `WorldBatch`."""
        key, seed = reset_seed(key)
        shape = jax.ShapeDtypeStruct((self.num_worlds, self.env.spec.obs_size), _dtype())

        def on_host(seed: Any) -> np.ndarray:
            return self._reset(int(seed), stagger).astype(shape.dtype)

        obs = io_callback(on_host, shape, seed, ordered=True)
        zero = jnp.zeros(self.num_worlds)
        count = jnp.zeros(self.num_worlds, jnp.int32)
        return Worlds(self._state(obs, seed), count, count, zero, key)

    def step(self, worlds: Worlds, action: Float[Array, "B a"]) -> tuple[Worlds, Step]:
        """See `WorldBatch`."""
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
        # After a resumed checkpoint the worlds are reset with this token, see `_step`.
        state = self._state(out.obs, token)._replace(success=success)
        steps = jnp.where(done, 0, steps)
        return Worlds(state, steps, steps, jnp.where(done, 0, episode_return), worlds.key), step

    def _state(self, obs: Float[Array, "B o"], token: Array) -> State:
        empty = jnp.zeros((self.num_worlds, 0), obs.dtype)
        zero, false = jnp.zeros(self.num_worlds, obs.dtype), jnp.zeros(self.num_worlds, bool)
        physics = Physics(zero, empty, empty, empty, empty, {})
        sim = SimState(physics, jnp.full(self.num_worlds, token))
        return State(sim, obs, zero, false, {}, false if self.env.has_success else None)

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
        # The token differs after a resume in a new process, and if another batch of the same
        # VectorEnv has reset the worlds: start anew, and mark the step as cut and not valid.
        if self._worlds is None or int(token) != self._worlds.token:
            obs, false = self._reset(int(token), True), np.zeros(self.num_worlds, bool)
            step = HostStep(obs, np.zeros(self.num_worlds), false, ~false, false, false, obs)
        else:
            step = self._worlds.step(np.asarray(action, np.float64))
        shapes = self._shapes()
        return HostStep(*(np.asarray(x, s.dtype) for x, s in zip(step, shapes, strict=True)))


def reset_seed(key: PRNGKeyArray) -> tuple[PRNGKeyArray, Array]:
    """The key that worlds carry on, and the seed of the first world of a reset with `key`."""
    key, key_seed = jax.random.split(key)
    return key, jax.random.randint(key_seed, (), 1, np.iinfo(np.int32).max)


def _dtype() -> Any:
    return jnp.result_type(float)
