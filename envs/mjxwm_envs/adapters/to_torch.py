"""Our environments for torch: B worlds whose tensors are the arrays that XLA works on, not copies.

Actions, observations and rewards go from one library to the other by DLPack, on the CPU and on
an NVIDIA GPU. Worlds that end are reset in the same step, as in the other adapters.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import torch
from jaxtyping import Array, Float

from mjxwm_envs.batch import BatchEnv
from mjxwm_envs.core import Step, Worlds
from mjxwm_envs.env import Env


class TorchEnv:
    """B worlds of `env`, one compiled call per step, with the methods of a gymnasium vector env.

    Tensors of a step are never written to again: they may be kept without a copy.
    """

    def __init__(self, env: Env, num_envs: int, seed: int = 0) -> None:
        """See `envs.to_torch`."""
        self.env, self.num_envs = env, num_envs
        self.num_obs, self.num_actions = env.spec.obs_size, env.action_size
        self.max_episode_length = env.spec.episode_length
        self.step_dt = env.spec.ctrl_dt
        self._batch = batch = BatchEnv(env, num_envs)
        self._reset = jax.jit(lambda key: _apart(batch.reset(key)))
        self._step = jax.jit(_stepping(batch), donate_argnums=0)
        self._worlds, self._obs = self._reset(jax.random.key(seed))
        self.device = tensor(self._obs).device

    @property
    def obs(self) -> torch.Tensor:
        """The observations to act on, float32 [B, o]."""
        return tensor(self._obs)

    @property
    def episode_length_buf(self) -> torch.Tensor:
        """Steps since each episode began, as the time limit counts them: int64 [B], a copy."""
        return tensor(self._worlds.clock).to(torch.int64)

    @episode_length_buf.setter
    def episode_length_buf(self, steps: torch.Tensor) -> None:
        """Moves the worlds' time limits apart."""
        clock = array(steps.to(torch.int32), (self.num_envs,), self.device, jnp.int32)
        # A copy, for worlds are given away at each step and the tensor is the caller's.
        self._worlds = self._worlds._replace(clock=jnp.array(clock, copy=True))

    def reset(self, seed: int | None = None) -> tuple[torch.Tensor, dict[str, Any]]:
        """New episodes in all worlds.

        Args:
            seed: of these start states and all later ones; None goes on with the last seed's.

        Returns:
            The observations [B, o], and a dictionary without entries, as gymnasium's.
        """
        key = self._worlds.key if seed is None else jax.random.key(seed)
        self._worlds, self._obs = self._reset(key)
        return self.obs, {}

    def step(
        self, action: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, dict[str, Any]]:
        """One action in each world.

        Args:
            action: float32 [B, a], clipped to [-1, 1], on `device`.

        Returns:
            Observations [B, o], those of new episodes where one ended; rewards [B]; whether the
            episode terminated [B], and whether it was truncated [B]; and a dictionary:
            `final_obs` [B, o] is the observation before any reset, `valid` [B] is false where the
            physics diverged, `episode` has return `r` and length `l` [B] up to this step, which
            are those of a whole episode where `_episode` [B] is true. `terms` has the terms of the
            reward by name, and `success` is there if the task defines it.

        Raises:
            ValueError: another shape, type or device.
        """
        shape = (self.num_envs, self.num_actions)
        actions = array(action.detach(), shape, self.device, jnp.float32)
        self._worlds, self._obs, step = self._step(self._worlds, self._obs, actions)
        if self.device.type == "cpu":
            # XLA works in other threads: until they are done the action must not be written to.
            jax.block_until_ready(self._obs)
        return (
            self.obs,
            tensor(step.reward),
            tensor(step.terminated),
            tensor(step.truncated),
            _info(step),
        )

    def close(self) -> None:
        """Does nothing: there is nothing to free."""


def _apart(worlds: Worlds) -> tuple[Any, Array]:
    """Worlds without their observations, and these: they are not given away at a step."""
    return worlds._replace(state=worlds.state._replace(obs=None)), worlds.obs


def _stepping(batch: BatchEnv) -> Callable[..., tuple[Any, Array, Step]]:
    def step(worlds: Any, obs: Array, action: Float[Array, "B a"]) -> tuple[Any, Array, Step]:
        whole = worlds._replace(state=worlds.state._replace(obs=obs))
        after, result = batch.step(whole, jnp.clip(action, -1, 1))
        return *_apart(after), result

    return step


def _info(step: Step) -> dict[str, Any]:
    terminated, truncated = tensor(step.terminated), tensor(step.truncated)
    info = {
        "final_obs": tensor(step.next_obs),
        "valid": tensor(step.valid),
        "episode": {"r": tensor(step.episode_return), "l": tensor(step.episode_length)},
        "_episode": terminated | truncated,
        "terms": {name: tensor(x) for name, x in step.terms.items()},
    }
    return info if step.success is None else {**info, "success": tensor(step.success)}


def tensor(x: Array) -> torch.Tensor:
    """JAX's array as a tensor of the same memory. It must not be written to."""
    return torch.from_dlpack(x)


def array(x: torch.Tensor, shape: tuple[int, ...], device: torch.device, dtype: Any) -> Array:
    """A tensor as JAX's array, of the same memory if its rows lie one after the other.

    Raises:
        ValueError: another shape, type or device than the worlds take.
    """
    kind = str(x.dtype).removeprefix("torch.")
    if tuple(x.shape) != shape or kind != jnp.dtype(dtype).name or x.device != device:
        raise ValueError(
            f"a tensor of {kind} {list(x.shape)} on {x.device}; the worlds take "
            f"{jnp.dtype(dtype).name} {list(shape)} on {device}"
        )
    return jax.dlpack.from_dlpack(x.contiguous())
