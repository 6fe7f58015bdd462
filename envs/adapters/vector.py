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
    """A gymnasium `VectorEnv`, which steps and resets its environments in its own way.

    Where one of them fails, all are reset: it does not say which.
    """

    def __init__(self, env: VectorEnv, protocol: Protocols) -> None:
        """Takes it over."""
        self._env, self._protocol, self.failures, self.token = env, protocol, [], 0
        self._obs = np.zeros((env.num_envs, spaces.obs_size(env.single_observation_space)))
        self._clock, self._age = np.zeros(env.num_envs, int), 0

    def reset(self, seed: int | None, stagger: bool) -> Float[np.ndarray, "B o"]:
        """See `HostWorlds`; clocks are the environments' own and cannot be staggered."""
        try:
            self._obs = self._checked(self._flat(self._env.reset(seed=seed)[0]))
            self._clock[:] = 0
        except Exception as error:
            self._fail(error)
        return self._obs.copy()

    def step(self, action: Float[np.ndarray, "B a"]) -> HostStep:
        """See `HostWorlds`."""
        self._age += 1
        self._clock += 1
        try:
            return self._step(action)
        except Exception as error:  # whatever a foreign environment may raise
            self._fail(error)
            last, count = self._obs.copy(), len(self._obs)
            none = np.zeros(count, bool)
            fresh = self.reset(None, False)
            return HostStep(last, np.zeros(count), none, ~none, none, none, fresh)

    def _step(self, action: np.ndarray) -> HostStep:
        space: Any = self._env.single_action_space
        taken = np.stack([spaces.to_action(space, a) for a in action])
        observed, reward, terminated, truncated, info = self._env.step(taken)
        obs, valid = self._flat(observed), np.ones(len(terminated), bool)
        success = self._success(info)
        done = terminated | truncated
        next_obs = obs.copy()
        if mode_of(self._env) == AutoresetMode.DISABLED:
            done = done | (self._clock >= self._protocol.episode_length)
            if done.any():
                obs = self._flat(self._env.reset(options={"reset_mask": done})[0])
        elif done.any():
            ended = self._success(info.get("final_info", {}))
            success = np.where(done, ended, success)
            for world in np.flatnonzero(done):
                last = info["final_obs"][world]
                next_obs[world] = spaces.flat_obs(self._env.single_observation_space, last)
        self._checked(np.concatenate([next_obs, obs]))
        self._checked(np.asarray(reward, np.float64))
        self._obs = obs
        self._clock[done] = 0
        cut = done & ~terminated
        return HostStep(next_obs, np.asarray(reward), terminated, cut, valid, success, obs.copy())

    def _success(self, info: Any) -> np.ndarray:
        none = np.zeros(self._env.num_envs, bool)
        return np.asarray(info.get(self._protocol.success, none), bool)

    def _checked(self, numbers: np.ndarray) -> np.ndarray:
        if not np.isfinite(numbers).all():
            raise ValueError("an observation or a reward is not finite")
        return numbers

    def _flat(self, obs: Any) -> Float[np.ndarray, "B o"]:
        space = self._env.single_observation_space
        if isinstance(obs, np.ndarray):
            return np.stack([spaces.flat_obs(space, row) for row in obs])
        rows = gymnasium.vector.utils.iterate(self._env.observation_space, obs)
        return np.stack([spaces.flat_obs(space, row) for row in rows])

    def _fail(self, error: Exception) -> None:
        self.failures.append(Failure(None, self._age, f"{type(error).__name__}: {error}"))


def mode_of(env: VectorEnv) -> AutoresetMode:
    """When it resets environments that ended."""
    # The metadata may be shared with other VectorEnvs of the same class of environments.
    said = env.metadata.get("autoreset_mode", AutoresetMode.NEXT_STEP)
    return getattr(env, "autoreset_mode", said)


def check_mode(env: VectorEnv, episode_length: int | None) -> None:
    """Raises ValueError where it resets a step late, or cannot keep to a time limit of ours."""
    mode, own = mode_of(env), getattr(env.spec, "max_episode_steps", None)
    if mode == AutoresetMode.NEXT_STEP:
        raise ValueError(
            "this VectorEnv ignores the action after an episode's end (autoreset NEXT_STEP); "
            "make it with autoreset_mode=gymnasium.vector.AutoresetMode.SAME_STEP"
        )
    if mode == AutoresetMode.SAME_STEP and own not in (None, episode_length):
        raise ValueError(
            f"episode_length={episode_length} of a VectorEnv that resets by itself, after {own} "
            "steps; make it with autoreset_mode=DISABLED, or leave its own limit"
        )
