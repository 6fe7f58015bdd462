"""B gymnasium environments of one factory as B worlds on the host."""

from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
from jaxtyping import Float, UInt8

from mjxwm_envs.adapters import spaces
from mjxwm_envs.adapters.host_worlds import HostStep, UsageProtocol
from mjxwm_envs.core import Failure


class SeparateEnvs:
    """B environments of one factory, stepped one after the other in this process."""

    def __init__(
        self, make: Callable[[], gymnasium.Env], num_worlds: int, protocol: UsageProtocol
    ) -> None:
        """Calls `make` for each world."""
        self._envs: list[gymnasium.Env | None] = [make() for _ in range(num_worlds)]
        if len({id(env) for env in self._envs}) < num_worlds:
            raise ValueError("the factory returns one and the same environment for every world")
        self._protocol, self.failures, self.token = protocol, [], 0
        first: Any = self._envs[0]
        self._obs_space, self._action_space = first.observation_space, first.action_space
        self._obs = np.zeros((num_worlds, spaces.obs_size(self._obs_space)))
        self._clock, self._age = np.zeros(num_worlds, int), np.zeros(num_worlds, int)

    def reset(self, seed: int, stagger: bool) -> Float[np.ndarray, "B o"]:
        """See `HostWorlds`."""
        for world in range(len(self._envs)):
            self._reset(world, seed + world)
        if stagger:
            limit = self._protocol.episode_length
            self._clock = np.random.default_rng(seed).integers(0, limit, len(self._envs))
        return self._obs.copy()

    def step(self, action: Float[np.ndarray, "B a"]) -> HostStep:
        """See `HostWorlds`."""
        count = len(self._envs)
        next_obs, reward = self._obs.copy(), np.zeros(count)
        flags = np.zeros((4, count), bool)  # terminated, truncated, valid, success
        for world in range(count):
            self._clock[world] += 1
            self._age[world] += 1
            try:
                next_obs[world], reward[world], flags[:, world] = self._act(world, action[world])
            except Exception as error:  # whatever a foreign environment may raise
                self._fail(world, error)
                # A world that is left out ends no more episodes.
                truncated = self._envs[world] is not None
                reward[world], flags[:, world] = 0, (False, truncated, False, False)
            if flags[:2, world].any():
                self._reset(world)
            else:
                self._obs[world] = next_obs[world]
        terminated, truncated, valid, success = flags
        return HostStep(next_obs, reward, terminated, truncated, valid, success, self._obs.copy())

    def picture(self) -> UInt8[np.ndarray, "h w 3"]:
        """See `PicturedWorlds`."""
        rendered = None if self._envs[0] is None else self._envs[0].render()
        image = np.asarray(rendered)
        if rendered is None or image.ndim != 3 or image.shape[-1] != 3:
            raise ValueError("its render gives no picture (rgb_array)")
        return image.astype(np.uint8)

    def frames_per_second(self) -> float:
        """See `PicturedWorlds`."""
        rate = getattr(self._envs[0], "metadata", {}).get("render_fps") or 30
        return float(rate) / self._protocol.action_repeat

    def close(self) -> None:
        """See `PicturedWorlds`."""
        for env in self._envs:
            if env is not None:
                env.close()

    def _act(self, world: int, action: np.ndarray) -> tuple[np.ndarray, float, tuple[bool, ...]]:
        env, total, info = self._envs[world], 0.0, {}
        if env is None:
            raise _LeftOutError
        terminated = truncated = False
        observed: Any = None
        for _ in range(self._protocol.action_repeat):
            env_action = spaces.to_action(self._action_space, action)
            observed, reward, terminated, truncated, info = env.step(env_action)
            total += number(reward)
            if terminated or truncated:
                break
        obs = checked(self._obs_space, observed)
        truncated = truncated or self._clock[world] >= self._protocol.episode_length
        success = bool(info.get(self._protocol.success, False))
        return obs, total, (bool(terminated), bool(truncated and not terminated), True, success)

    def _reset(self, world: int, seed: int | None = None) -> None:
        env = self._envs[world]
        self._clock[world] = 0
        if env is None:
            return
        try:
            obs, _ = env.reset(seed=seed)
            low, high = spaces.action_bounds(self._action_space)
            idle = np.where(high > low, -(high + low) / np.maximum(high - low, 1e-9), 0)
            for _ in range(self._protocol.idle_first):
                obs = env.step(spaces.to_action(self._action_space, idle))[0]
            self._obs[world] = checked(self._obs_space, obs)
        except Exception as error:
            self._fail(world, error, "; its reset failed, it is left out")
            self._envs[world] = None
            if not any(self._envs):
                self.failures.append(Failure(None, int(self._age[world]), "no world is left"))

    def _fail(self, world: int, error: Exception, more: str = "") -> None:
        if not isinstance(error, _LeftOutError):
            what = f"{type(error).__name__}: {error}{more}"
            self.failures.append(Failure(world, int(self._age[world]), what))


class _LeftOutError(Exception):
    """A world that was left out before."""


def checked(space: gymnasium.Space, obs: Any) -> Float[np.ndarray, " o"]:
    """An observation as a vector.

    Raises:
        ValueError: it does not have the space's shape, or is not finite.
    """
    flat = spaces.flat_obs(space, obs)
    if not np.isfinite(flat).all():
        raise ValueError(f"the observation {obs} is not finite")
    return flat


def number(reward: Any) -> float:
    """A reward: a number, or an array of one.

    Raises:
        ValueError: it is something else, or not finite.
    """
    if np.size(reward) != 1 or not np.isfinite(np.asarray(reward, np.float64)).all():
        raise ValueError(f"the reward {reward!r} is not a finite number")
    return float(np.ravel(reward)[0])


def try_out(env: gymnasium.Env) -> None:
    """Resets an environment and steps it once.

    Raises:
        ValueError: its outputs do not conform to gymnasium's interface or to its own spaces.
    """
    try:
        started = env.reset(seed=0)
    except TypeError as error:
        raise ValueError(
            f"its reset fails: {error}; gymnasium's is reset(seed, options)"
        ) from error
    if not isinstance(started, tuple) or len(started) != 2:
        raise ValueError("its reset returns no pair of an observation and a dictionary of infos")
    checked(env.observation_space, started[0])
    low, _ = spaces.action_bounds(env.action_space)
    stepped = env.step(spaces.to_action(env.action_space, np.zeros(len(low))))
    if not isinstance(stepped, tuple) or len(stepped) != 5:
        raise ValueError(
            "its step does not return five things: observation, reward, terminated, truncated, "
            "infos"
        )
    checked(env.observation_space, stepped[0])
    number(stepped[1])
