"""Time limits that gymnasium's environments come with, wherever in their wrappers they are."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import gymnasium
from gymnasium.vector import AsyncVectorEnv, SyncVectorEnv


class Own(NamedTuple):
    """What an environment says of its own episodes, in its steps; None where it says nothing."""

    kept: int | None
    """The limit that a `TimeLimit` wrapper keeps: no episode lasts longer."""
    said: int | None
    """The limit that its `spec` names, whether or not anything keeps it."""

    @property
    def either(self) -> int | None:
        """The limit to go by where the user gives none."""
        return self.kept if self.kept is not None else self.said


def of_env(env: gymnasium.Env) -> Own:
    """The limits of one environment: its `spec`'s, and the shortest of its wrappers'."""
    limits, inner = [], env
    while isinstance(inner, gymnasium.Wrapper):
        # Suites have limiting wrappers of their own, such as ManiSkill's TimeLimitWrapper.
        if "TimeLimit" in type(inner).__name__ or isinstance(inner, gymnasium.wrappers.TimeLimit):
            limits.append(getattr(inner, "_max_episode_steps", None))
        inner = inner.env
    kept = [int(limit) for limit in limits if limit is not None]
    return Own(min(kept, default=None), _said(env))


def of_vector(env: Any) -> Own:
    """The limits of the environments in a `VectorEnv`: the longest, where they differ."""
    inner, whole = env.unwrapped, _said(env)
    if isinstance(inner, SyncVectorEnv):
        each = [of_env(one) for one in inner.envs]
    elif isinstance(inner, AsyncVectorEnv) and isinstance(inner.env_fns, Sequence):
        each = [_of_factory(inner.env_fns[0])]  # its own ones are in other processes
    else:
        each = []
    kept = [own.kept for own in each]
    said = [own.said for own in each]
    return Own(
        None if None in kept else max((limit for limit in kept if limit), default=None),
        whole or (None if None in said else max((limit for limit in said if limit), default=None)),
    )


def _of_factory(make: Callable[[], gymnasium.Env]) -> Own:
    try:
        env = make()
    except Exception:  # whatever a foreign environment may raise where there are two of it
        return Own(None, None)
    own = of_env(env)
    env.close()
    return own


def _said(env: Any) -> int | None:
    limit = getattr(getattr(env, "spec", None), "max_episode_steps", None)
    return int(limit) if limit is not None and limit > 0 else None  # -1 is gymnasium's "none"
