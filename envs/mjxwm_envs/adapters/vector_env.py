"""A gymnasium `VectorEnv` as B worlds on the host."""

from typing import Any

import numpy as np
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv, VectorEnv
from gymnasium.vector.utils import concatenate, create_empty_array, iterate
from jaxtyping import Bool, Float

from mjxwm_envs.adapters import spaces
from mjxwm_envs.adapters.host_worlds import HostStep, UsageProtocol
from mjxwm_envs.adapters.time_limits import TimeLimits
from mjxwm_envs.adapters.to_gymnasium import GymnasiumVectorEnv
from mjxwm_envs.core import Failure


class VectorEnvWorlds:
    """The worlds of a gymnasium `VectorEnv`, which steps and resets them in its own way.

    If one of them fails, all are reset, as it does not tell which one failed.
    """

    def __init__(self, env: VectorEnv, protocol: UsageProtocol) -> None:
        """Takes over `env`: nobody else may step it."""
        self._env, self._protocol, self.failures, self.token = env, protocol, [], 0
        self._obs = np.zeros((env.num_envs, spaces.obs_size(env.single_observation_space)))
        self._clock, self._age = np.zeros(env.num_envs, int), 0
        self._limit = protocol.episode_length if _resets_some(env) else np.inf

    def reset(self, seed: int | None, stagger: bool) -> Float[np.ndarray, "B o"]:
        """See `HostWorlds`; the clocks are in the environments, so `stagger` has no effect."""
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
            false = np.zeros(count, bool)
            obs = self.reset(None, False)
            return HostStep(last, np.zeros(count), false, ~false, false, false, obs)

    def _step(self, action: np.ndarray) -> HostStep:
        observed, reward, terminated, truncated, info = self._env.step(self._batch(action))
        reward = self._checked(self._each("reward", reward, np.float64))
        terminated = self._each("terminated", terminated, bool)
        ended = terminated | self._each("truncated", truncated, bool)
        due = ~ended & (self._clock >= self._limit)  # our time limit, if it is the shorter one
        if not isinstance(info, dict):
            raise ValueError(f"infos is a {type(info).__name__}; a VectorEnv's is a dictionary")
        obs, success = self._flat(observed), self._success(info)
        next_obs = obs.copy()
        if mode_of(self._env) == AutoresetMode.DISABLED:
            again = ended | due
        else:
            again = due
            if ended.any():
                success = np.where(ended, self._success(info.get("final_info", {})), success)
                next_obs[ended] = self._last(info, ended)
        if again.any():
            obs = self._flat(self._env.reset(options={"reset_mask": again})[0])
        self._checked(np.concatenate([next_obs, obs]))
        done = ended | due
        self._obs = obs
        self._clock[done] = 0
        valid = np.ones(len(done), bool)
        return HostStep(
            next_obs, reward, terminated, done & ~terminated, valid, success, obs.copy()
        )

    def _batch(self, action: Float[np.ndarray, "B a"]) -> Any:
        """Actions [B, a] as elements of its action space: for a `Dict`, a dictionary of arrays."""
        space: Any = self._env.single_action_space
        each = [spaces.to_action(space, one) for one in action]
        return concatenate(space, each, create_empty_array(space, len(each)))

    def _last(self, info: dict[str, Any], ended: Bool[np.ndarray, " B"]) -> np.ndarray:
        """The last observations of the episodes that ended; their worlds are already reset."""
        if "final_obs" not in info:
            raise ValueError("an episode ended, and infos has no 'final_obs'")
        now = getattr(self._env.unwrapped, "_env_obs", None)
        for world in np.flatnonzero(ended):
            if now is not None and _same(info["final_obs"][world], now[world]):
                raise ValueError(
                    f"world {world} returns one and the same array at each step, in which its "
                    "reset wrote over the last observation of the episode; return a copy"
                )
        space = self._env.single_observation_space
        return np.stack(
            [spaces.flat_obs(space, info["final_obs"][w]) for w in np.flatnonzero(ended)]
        )

    def _success(self, info: Any) -> np.ndarray:
        false = np.zeros(self._env.num_envs, bool)
        return np.asarray(info.get(self._protocol.success, false), bool)

    def _each(self, what: str, values: Any, dtype: Any) -> np.ndarray:
        """`values` as an array of one number for each world."""
        if np.shape(values) != (self._env.num_envs,):
            raise ValueError(
                f"{what} has the shape {np.shape(values)}, where ({self._env.num_envs},) belongs"
            )
        return np.array(values, dtype)

    def _checked(self, numbers: np.ndarray) -> np.ndarray:
        if not np.isfinite(numbers).all():
            raise ValueError("an observation or a reward is not finite")
        return numbers

    def _flat(self, obs: Any) -> Float[np.ndarray, "B o"]:
        rows = obs if isinstance(obs, np.ndarray) else iterate(self._env.observation_space, obs)
        flat = [spaces.flat_obs(self._env.single_observation_space, row) for row in rows]
        if len(flat) != self._env.num_envs:
            raise ValueError(f"{len(flat)} observations of {self._env.num_envs} worlds")
        return np.stack(flat)

    def _fail(self, error: Exception) -> None:
        self.failures.append(Failure(None, self._age, f"{type(error).__name__}: {error}"))


def mode_of(env: VectorEnv) -> AutoresetMode | None:
    """When `env` resets worlds that ended; None if it does not tell."""
    # The metadata may be shared with other VectorEnvs of the same class of environments.
    mode = getattr(env.unwrapped, "autoreset_mode", env.metadata.get("autoreset_mode"))
    return None if mode is None else AutoresetMode(mode)


def check_mode(env: VectorEnv, episode_length: int | None, limits: TimeLimits) -> None:
    """Checks that `env` resets in the step of an episode's end, and can keep `episode_length`.

    Args:
        env: the user's `VectorEnv`.
        episode_length: the user's time limit, if any.
        limits: the time limits of its environments.

    Raises:
        ValueError: it does not, or cannot.
    """
    mode, option = mode_of(env), f"episode_length={episode_length}"
    remedy = "make it with autoreset_mode=gymnasium.vector.AutoresetMode.SAME_STEP"
    if mode is None:
        raise ValueError(
            "this VectorEnv does not say when it resets: its metadata has no 'autoreset_mode'; "
            f"{remedy}"
        )
    if mode == AutoresetMode.NEXT_STEP:
        raise ValueError(
            "this VectorEnv ignores the action after an episode's end (autoreset NEXT_STEP); "
            f"{remedy}"
        )
    if episode_length is None or episode_length == limits.default:
        return
    if limits.enforced is not None and episode_length > limits.enforced:
        raise ValueError(
            f"{option} of a VectorEnv whose environments end after {limits.enforced} steps by a "
            "TimeLimit wrapper; leave the wrapper out, or set it to as many"
        )
    if not _resets_some(env):
        raise ValueError(
            f"{option} of a VectorEnv that resets by itself, after "
            f"{limits.default or 'no number of'} steps that it says; make it with "
            "autoreset_mode=DISABLED, or leave its own limit"
        )


def _resets_some(env: VectorEnv) -> bool:
    """Whether `reset(options={"reset_mask": ...})` resets only the worlds of the mask.

    With autoreset DISABLED it must; of those that reset by themselves, these classes do.
    """
    has_mask = isinstance(env.unwrapped, SyncVectorEnv | AsyncVectorEnv | GymnasiumVectorEnv)
    return has_mask or mode_of(env) == AutoresetMode.DISABLED


def _same(a: Any, b: Any) -> bool:
    """Whether two observations are, or contain, the same array object."""
    if isinstance(a, dict) and isinstance(b, dict):
        return any(_same(a[key], b.get(key)) for key in a)
    if isinstance(a, tuple | list) and isinstance(b, tuple | list):
        return any(map(_same, a, b))
    return isinstance(a, np.ndarray) and a is b
