"""The time limits that gymnasium's environments come with, searched for in all their wrappers."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import gymnasium
from gymnasium.vector import AsyncVectorEnv, SyncVectorEnv


class TimeLimits(NamedTuple):
    """Time limits of an environment [its own steps]; None if unknown."""

    enforced: int | None
    """The limit of a `TimeLimit` wrapper: no episode lasts longer."""
    declared: int | None
    """The limit that its `spec` names, whether or not a wrapper enforces it."""

    @property
    def default(self) -> int | None:
        """The limit to use if the user gives none."""
        return self.enforced if self.enforced is not None else self.declared


def of_env(env: gymnasium.Env) -> TimeLimits:
    """The limits of one environment: its `spec`'s, and the shortest of its wrappers'."""
    limits, inner = [], env
    while isinstance(inner, gymnasium.Wrapper):
        # Suites have limiting wrappers of their own, such as ManiSkill's TimeLimitWrapper.
        if "TimeLimit" in type(inner).__name__ or isinstance(inner, gymnasium.wrappers.TimeLimit):
            limits.append(getattr(inner, "_max_episode_steps", None))
        inner = inner.env
    enforced = [int(limit) for limit in limits if limit is not None]
    return TimeLimits(min(enforced, default=None), _declared(env))


def of_vector(env: Any) -> TimeLimits:
    """The limits of the environments in a `VectorEnv`: if they differ, the longest."""
    inner = env.unwrapped
    if isinstance(inner, SyncVectorEnv):
        each = [of_env(one) for one in inner.envs]
    elif isinstance(inner, AsyncVectorEnv) and isinstance(inner.env_fns, Sequence):
        each = [_of_factory(inner.env_fns[0])]  # its environments are in other processes
    else:
        each = []
    return TimeLimits(
        _longest([limits.enforced for limits in each]),
        _declared(env) or _longest([limits.declared for limits in each]),
    )


def _longest(limits: list[int | None]) -> int | None:
    if None in limits:
        return None
    return max((limit for limit in limits if limit), default=None)


def _of_factory(make: Callable[[], gymnasium.Env]) -> TimeLimits:
    try:
        env = make()
    except Exception:  # a foreign environment may refuse to exist twice
        return TimeLimits(None, None)
    limits = of_env(env)
    env.close()
    return limits


def _declared(env: Any) -> int | None:
    limit = getattr(getattr(env, "spec", None), "max_episode_steps", None)
    return int(limit) if limit is not None and limit > 0 else None  # -1 is gymnasium's "none"
