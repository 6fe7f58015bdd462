"""Worlds that live in Python, stepped on the host: gymnasium environments, one by one or many.

A world that raises, or that says something other than finite numbers of the shape it announced, has
failed: it is on record with its number and step, its step is not valid, and it is reset. A world
that cannot even be reset is left out from there on: its steps are never valid.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from jaxtyping import Bool, Float

from envs.adapters import spaces
from envs.core import Failure


class HostStep(NamedTuple):
    """What one action did in each of B worlds; ended ones have been reset."""

    next_obs: Float[np.ndarray, "B o"]
    """Before any reset."""
    reward: Float[np.ndarray, " B"]
    terminated: Bool[np.ndarray, " B"]
    truncated: Bool[np.ndarray, " B"]
    valid: Bool[np.ndarray, " B"]
    success: Bool[np.ndarray, " B"]
    obs: Float[np.ndarray, "B o"]
    """To act on."""


class HostWorlds(Protocol):
    """B worlds on the host."""

    failures: list[Failure]

    def reset(self, seed: int, stagger: bool) -> Float[np.ndarray, "B o"]:
        """Fresh worlds; `stagger` starts their clocks at random."""
        ...

    def step(self, action: Float[np.ndarray, "B a"]) -> HostStep:
        """One action in [-1, 1] in each world."""
        ...


@dataclasses.dataclass(frozen=True)
class Protocols:
    """How a foreign environment is used."""

    episode_length: int
    """Actions until truncation."""
    action_repeat: int = 1
    """Steps of the environment per action; rewards add up."""
    idle_first: int = 0
    """Steps without action after each reset."""
    success: str = ""
    """The entry of `info` that says whether the task is solved, if there is one."""


class EnvList:
    """B environments of one factory, one after the other in this process."""

    def __init__(
        self, make: Callable[[], gymnasium.Env], num_worlds: int, protocol: Protocols
    ) -> None:
        """Makes them."""
        self._envs: list[gymnasium.Env | None] = [make() for _ in range(num_worlds)]
        self._protocol, self.failures = protocol, []
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
                reward[world], flags[:, world] = 0, (False, True, False, False)
            if flags[:2, world].any():
                self._reset(world)
            else:
                self._obs[world] = next_obs[world]
        terminated, truncated, valid, success = flags
        return HostStep(next_obs, reward, terminated, truncated, valid, success, self._obs.copy())

    def _act(self, world: int, action: np.ndarray) -> tuple[np.ndarray, float, tuple[bool, ...]]:
        env, total, info = self._envs[world], 0.0, {}
        if env is None:
            raise _GoneError
        terminated = truncated = False
        observed: Any = None
        for _ in range(self._protocol.action_repeat):
            taken = spaces.to_action(self._action_space, action)
            observed, reward, terminated, truncated, info = env.step(taken)
            total += float(reward)
            if terminated or truncated:
                break
        obs = _checked(self._obs_space, observed, total)
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
            self._obs[world] = _checked(self._obs_space, obs, 0.0)
        except Exception as error:
            self._fail(world, error, "; its reset failed, it is left out")
            self._envs[world], self._obs[world] = None, 0

    def _fail(self, world: int, error: Exception, more: str = "") -> None:
        if not isinstance(error, _GoneError):
            what = f"{type(error).__name__}: {error}{more}"
            self.failures.append(Failure(world, int(self._age[world]), what))


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


class _GoneError(Exception):
    """A world that was left out before."""


def _checked(space: gymnasium.Space, obs: Any, reward: float) -> Float[np.ndarray, " o"]:
    flat = spaces.flat_obs(space, obs)
    if not np.isfinite(flat).all():
        raise ValueError(f"the observation {obs} is not finite")
    if not np.isfinite(reward):
        raise ValueError(f"the reward {reward} is not finite")
    return flat
