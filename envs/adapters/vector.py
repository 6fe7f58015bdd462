"""A `VectorEnv` of gymnasium's as B worlds."""

from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from jaxtyping import Float

from envs.adapters import spaces
from envs.adapters.foreign import HostStep, Protocols
from envs.core import Failure


class Vector:
    """A gymnasium `VectorEnv`, which steps and resets its environments in its own way."""

    def __init__(self, env: VectorEnv, protocol: Protocols) -> None:
        """Takes it over.

        Raises:
            ValueError: it resets ended worlds a step late.
        """
        self._env, self._protocol, self.failures = env, protocol, []
        # The metadata may be shared with other VectorEnvs of the same class of environments.
        said = env.metadata.get("autoreset_mode", AutoresetMode.NEXT_STEP)
        self._mode = getattr(env, "autoreset_mode", said)
        if self._mode == AutoresetMode.NEXT_STEP:
            raise ValueError(
                "this VectorEnv ignores the action after an episode's end (autoreset NEXT_STEP); "
                "make it with autoreset_mode=gymnasium.vector.AutoresetMode.SAME_STEP"
            )
        self._obs = np.zeros((env.num_envs, spaces.obs_size(env.single_observation_space)))
        self._age = 0

    def reset(self, seed: int, stagger: bool) -> Float[np.ndarray, "B o"]:
        """See `HostWorlds`; clocks are the environments' own and cannot be staggered."""
        try:
            self._obs = self._flat(self._env.reset(seed=seed)[0])
        except Exception as error:
            self._fail(error)
        return self._obs.copy()

    def step(self, action: Float[np.ndarray, "B a"]) -> HostStep:
        """See `HostWorlds`."""
        self._age += 1
        try:
            return self._step(action)
        except Exception as error:
            self._fail(error)
            none, count = np.zeros(len(self._obs), bool), len(self._obs)
            return HostStep(self._obs, np.zeros(count), none, ~none, none, none, self._obs.copy())

    def _step(self, action: np.ndarray) -> HostStep:
        space: Any = self._env.single_action_space
        taken = np.stack([spaces.to_action(space, a) for a in action])
        observed, reward, terminated, truncated, info = self._env.step(taken)
        obs, done = self._flat(observed), terminated | truncated
        next_obs = obs.copy()
        if done.any() and self._mode == AutoresetMode.SAME_STEP:
            for world in np.flatnonzero(done):
                last = info["final_obs"][world]
                next_obs[world] = spaces.flat_obs(self._env.single_observation_space, last)
        elif done.any():
            obs = self._flat(self._env.reset(options={"reset_mask": done})[0])
        reward = np.asarray(reward, np.float64)
        valid = np.isfinite(next_obs).all(axis=1) & np.isfinite(reward)
        for world in np.flatnonzero(~valid):
            self.failures.append(Failure(int(world), self._age, "not a finite number"))
        success = np.asarray(info.get(self._protocol.success, np.zeros(len(done), bool)), bool)
        self._obs = np.nan_to_num(obs)
        return HostStep(
            np.nan_to_num(next_obs),
            np.where(valid, np.nan_to_num(reward), 0),
            terminated & valid,
            (truncated & ~terminated) | ~valid,
            valid,
            success,
            self._obs.copy(),
        )

    def _flat(self, obs: Any) -> Float[np.ndarray, "B o"]:
        space = self._env.single_observation_space
        if isinstance(obs, np.ndarray):
            return np.stack([spaces.flat_obs(space, row) for row in obs])
        rows = gymnasium.vector.utils.iterate(self._env.observation_space, obs)
        return np.stack([spaces.flat_obs(space, row) for row in rows])

    def _fail(self, error: Exception) -> None:
        self.failures.append(Failure(None, self._age, f"{type(error).__name__}: {error}"))
