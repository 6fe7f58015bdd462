"""Our environments behind `VecEnv`, the interface of rsl_rl (5.x)."""

from typing import Any

import torch
from rsl_rl.env import VecEnv  # pyright: ignore[reportMissingImports]
from tensordict import TensorDict  # pyright: ignore[reportMissingImports]

from mjxwm_envs.adapters.to_torch import TorchEnv
from mjxwm_envs.env import Env


class RslRlVecEnv(VecEnv):
    """B worlds of `env`, with one group of observations, `policy`."""

    def __init__(self, env: Env, num_envs: int, seed: int = 0) -> None:
        """See `envs.to_rsl_rl`."""
        self._worlds = TorchEnv(env, num_envs, seed)
        self.num_envs, self.num_actions = num_envs, self._worlds.num_actions
        self.max_episode_length = self._worlds.max_episode_length
        self.device = self._worlds.device
        # rsl_rl's own name for what it writes beside its logs.
        setattr(self, "cfg", {"task": env.name, "num_envs": num_envs, "seed": seed})  # noqa: B010
        self.step_dt = self._worlds.step_dt

    @property
    def episode_length_buf(self) -> torch.Tensor:
        """Steps since each episode began, int64 [B]; may be set."""
        return self._worlds.episode_length_buf

    @episode_length_buf.setter
    def episode_length_buf(self, steps: torch.Tensor) -> None:
        """Moves the worlds' time limits apart."""
        self._worlds.episode_length_buf = steps

    def get_observations(self) -> TensorDict:
        """The observations to act on, under `policy`."""
        return self._grouped(self._worlds.obs)

    def step(self, actions: torch.Tensor) -> tuple[TensorDict, torch.Tensor, torch.Tensor, dict]:
        """One action in each world; `extras` has `time_outs`, and means of reward terms to log."""
        obs, reward, terminated, truncated, info = self._worlds.step(actions)
        log = {f"/reward/{name}": term.mean() for name, term in info["terms"].items()}
        done = (terminated | truncated).to(torch.long)
        return self._grouped(obs), reward, done, {"time_outs": truncated, "log": log}

    def _grouped(self, obs: torch.Tensor) -> TensorDict:
        return TensorDict({"policy": obs}, batch_size=[self.num_envs], device=self.device)

    def close(self) -> Any:
        """Does nothing: there is nothing to free."""
