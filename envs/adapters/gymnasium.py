"""Gymnasium environments as sources of data: by id, by factory, or a `VectorEnv` as it is.

env = envs.make("gymnasium/HalfCheetah-v5")
env = envs.from_gymnasium(lambda: MyEnv(), name="mine", episode_length=200)
"""

import functools
from collections.abc import Callable
from typing import Any

from envs.adapters.foreign import HostWorlds, Protocols
from envs.adapters.host import HostEnv
from envs.core import EnvSpec

_MISSING = "gymnasium is not installed; run: pip install 'mjxwm[suites]'"
_ENGINE = "gymnasium"


def make(env_id: str, action_repeat: int = 1, **fields: Any) -> HostEnv:
    """The registered environment of that id.

    Args:
        env_id: such as "HalfCheetah-v5".
        action_repeat: steps of the environment per action; rewards add up.
        fields: `episode_length`, and arguments for `gymnasium.make`.

    Raises:
        ValueError: there is none of that id, it takes no such argument, or its spaces do not fit.
    """
    gymnasium = _import()
    length = fields.pop("episode_length", None)

    def factory() -> Any:
        # The warning about a checker that is not asked for here would come once per world.
        return gymnasium.make(env_id, disable_env_checker=True, **fields)

    try:
        return from_gymnasium(factory, f"gymnasium/{env_id}", length, action_repeat)
    except (gymnasium.error.Error, TypeError) as error:
        raise ValueError(f"gymnasium/{env_id}: {error}") from error
    except ModuleNotFoundError as error:
        raise ValueError(f"gymnasium/{env_id}: {error}; run: pip install {error.name}") from error


def from_gymnasium(
    env: Any,
    name: str = "gymnasium",
    episode_length: int | None = None,
    action_repeat: int = 1,
    **protocol: Any,
) -> HostEnv:
    """A source of data from gymnasium's environments.

    Args:
        env: a factory of `gymnasium.Env`, called once per world; or a `gymnasium.vector.VectorEnv`,
            whose number of worlds is then the only one possible.
        name: for the record.
        episode_length: steps of the environment until truncation; by default its own time limit.
        action_repeat: steps of the environment per action; rewards add up.
        protocol: further fields of `envs.adapters.foreign.Protocols`.

    Raises:
        ValueError: no time limit, or spaces that do not fit.
    """
    vector = _import().vector
    if isinstance(env, vector.VectorEnv):
        if action_repeat != 1:
            raise ValueError("action_repeat of a VectorEnv is its own; make it with a wrapper")
        from envs.adapters.vector import Vector, check_mode

        probe, spaces = env, (env.single_observation_space, env.single_action_space)
        own = getattr(env.spec, "max_episode_steps", None)
        check_mode(env, episode_length or own)
    else:
        probe = _probe(env, name)
        spaces = probe.observation_space, probe.action_space
    limit = episode_length or getattr(probe.spec, "max_episode_steps", None)
    if limit is None:
        raise ValueError(f"{name} has no time limit; give episode_length")
    rules = Protocols(-(-int(limit) // action_repeat), action_repeat, **protocol)
    if isinstance(env, vector.VectorEnv):
        shared = Vector(env, rules)  # one for all batches: they take turns, and notice
        return _source(name, spaces, probe, rules, lambda _: shared, env.num_envs)
    source = _source(name, spaces, probe, rules, functools.partial(_list, env, rules))
    probe.close()
    return source


def _probe(env: Callable[[], Any], name: str) -> Any:
    if not callable(env):
        raise ValueError(
            f"{name}: {type(env).__name__} is neither a factory of environments nor a VectorEnv; "
            "give a function that makes one, which is called for each world"
        )
    try:
        return env()
    except (ValueError, TypeError, _import().error.Error, ImportError):
        raise
    except Exception as error:  # whatever a foreign environment may raise
        raise ValueError(f"{name} cannot be made: {type(error).__name__}: {error}") from error


def _source(
    name: str,
    spaces: Any,
    probe: Any,
    rules: Protocols,
    make: Callable[[int], HostWorlds],
    only: int | None = None,
) -> HostEnv:
    from envs.adapters import spaces as forms

    try:
        obs_size = forms.obs_size(spaces[0])
        action_size = len(forms.action_bounds(spaces[1])[0])
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error
    dt = float(getattr(getattr(probe, "unwrapped", probe), "dt", 0.0) or 0.0)
    spec = EnvSpec(
        name=name,
        engine=_ENGINE,
        obs_size=obs_size,
        action_size=action_size,
        ctrl_dt=dt * rules.action_repeat,
        sim_dt=dt,
        n_substeps=rules.action_repeat,
        episode_length=rules.episode_length,
        differentiable=False,
        obstacle="foreign environments have no gradients; use one of this project's on engine mjx",
    )
    return HostEnv(spec, make, rules.success != "", only)


def _list(make: Any, rules: Protocols, num_worlds: int) -> HostWorlds:
    from envs.adapters.env_list import EnvList

    return EnvList(make, num_worlds, rules)


def _import() -> Any:
    try:
        import gymnasium
    except ImportError as error:
        raise ValueError(_MISSING) from error
    return gymnasium
