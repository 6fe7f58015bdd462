"""Gymnasium's environments as a `Source`: by id, by factory, or a `VectorEnv`.

env = envs.make("gymnasium/HalfCheetah-v5")
env = envs.from_gymnasium(MyEnv, "mine", 200)
"""

import dataclasses
import functools
import inspect
import numbers
from collections.abc import Callable
from typing import Any

from mjxwm_envs.adapters.host_env import HostEnv
from mjxwm_envs.adapters.host_worlds import HostWorlds, UsageProtocol
from mjxwm_envs.core import EnvSpec
from mjxwm_envs.fields import checked, nearest
from mjxwm_envs.packages import not_imported

_ENGINE = "gymnasium"
_PROTOCOL = {
    field.name: field.default
    for field in dataclasses.fields(UsageProtocol)
    if field.name not in ("episode_length", "action_repeat")
}
"""Names and defaults of the protocol's other fields."""


def make(env_id: str, action_repeat: int = 1, **fields: Any) -> HostEnv:
    """An environment that is registered with gymnasium.

    Args:
        env_id: such as "HalfCheetah-v5".
        action_repeat: steps of the environment per action; rewards are summed.
        fields: `episode_length`, `success` and `idle_first` as in `from_gymnasium`, and arguments
            for `gymnasium.make`.

    Raises:
        ValueError: an unknown id or argument, or spaces that cannot be made vectors.
    """
    gymnasium = _import()
    length = fields.pop("episode_length", None)
    protocol = {name: fields.pop(name) for name in _PROTOCOL if name in fields}
    if length is not None:
        # Its registered limit may be shorter, and would end episodes first.
        length = checked("episode_length", length, 1)
        fields.setdefault("max_episode_steps", length)

    def factory(render_mode: str | None = fields.pop("render_mode", None)) -> Any:
        mode = {} if render_mode is None else {"render_mode": render_mode}
        # Gymnasium's checker would print its warnings once per world.
        return gymnasium.make(env_id, disable_env_checker=True, **fields, **mode)

    return from_gymnasium(factory, f"gymnasium/{env_id}", length, action_repeat, **protocol)


def from_gymnasium(
    env: Any,
    name: str = "gymnasium",
    episode_length: int | None = None,
    action_repeat: int = 1,
    **protocol: Any,
) -> HostEnv:
    """Gymnasium's environments as a `Source`.

    Args:
        env: a factory of `gymnasium.Env`, called once per world; or a `gymnasium.vector.VectorEnv`,
            whose number of worlds is then the only one possible.
        name: for `spec.name` and messages.
        episode_length: steps of the environment until truncation; by default the time limit that it
            comes with: of a `TimeLimit` wrapper, or of its `spec`.
        action_repeat: steps of the environment per action; rewards are summed.
        protocol: other fields of `mjxwm_envs.adapters.host_worlds.UsageProtocol`.

    Raises:
        ValueError: no time limit, or one that cannot be kept; spaces that cannot be made vectors;
            a factory that makes no environment; an unknown field.
    """
    vector = _import().vector
    for field in protocol.keys() - _PROTOCOL.keys():
        fields = ("episode_length", "action_repeat", *_PROTOCOL)
        near = nearest(field, fields)
        raise ValueError(f"{name} has no field {field!r}{near}. It has: {', '.join(fields)}")
    action_repeat = checked("action_repeat", action_repeat, 1)
    if episode_length is not None:
        episode_length = checked("episode_length", episode_length, 1)
    protocol = {field: checked(field, value, _PROTOCOL[field]) for field, value in protocol.items()}
    if isinstance(env, vector.VectorEnv):
        return _of_vector(env, name, episode_length, action_repeat, protocol)
    from mjxwm_envs.adapters import time_limits

    probe = _probe(env, name)
    try:
        limits = time_limits.of_env(probe)
        enforced = limits.enforced
        if episode_length is not None and enforced is not None and episode_length > enforced:
            raise ValueError(
                f"{name}: episode_length={episode_length}, but a TimeLimit wrapper ends its "
                f"episodes after {enforced} steps; leave the wrapper out, or set it to as many"
            )
        rules = _rules(name, episode_length or limits.default, action_repeat, protocol)
        spaces = probe.observation_space, probe.action_space
        source = _source(name, spaces, probe, rules, functools.partial(_list, env, rules))
        _try_out(probe, name)
        filmed = _pictured(env, probe)
        if filmed is None:
            return source
        return dataclasses.replace(source, filmed=functools.partial(_list, filmed, rules, 1))
    finally:
        probe.close()


def _pictured(make: Callable[..., Any], probe: Any) -> Callable[[], Any] | None:
    """Makes an environment that renders pictures; None if there is no way to have one."""
    if getattr(probe, "render_mode", None) == "rgb_array":
        return make
    modes = (getattr(probe, "metadata", None) or {}).get("render_modes") or ()
    try:
        takes_mode = "render_mode" in inspect.signature(make).parameters
    except (TypeError, ValueError):  # a class written in C
        takes_mode = False
    if "rgb_array" in modes and takes_mode:
        return functools.partial(make, render_mode="rgb_array")
    return None


def _of_vector(
    env: Any, name: str, episode_length: int | None, action_repeat: int, protocol: dict[str, Any]
) -> HostEnv:
    from mjxwm_envs.adapters.time_limits import of_vector
    from mjxwm_envs.adapters.vector_env import VectorEnvWorlds, check_mode

    if action_repeat != 1 or protocol.get("idle_first"):
        raise ValueError(
            f"{name}: action_repeat and idle_first of a VectorEnv are its own; make it with a "
            "wrapper of its environments"
        )
    limits = of_vector(env)
    check_mode(env, episode_length, limits)
    rules = _rules(name, episode_length or limits.default, 1, protocol)
    shared = VectorEnvWorlds(env, rules)  # by all batches: each notices that another has reset
    spaces = env.single_observation_space, env.single_action_space
    return _source(name, spaces, env, rules, lambda _: shared, env.num_envs)


def _rules(
    name: str, limit: int | None, action_repeat: int, protocol: dict[str, Any]
) -> UsageProtocol:
    if limit is None:
        raise ValueError(
            f"{name} has no time limit; give episode_length (--task.episode_length 200 on the "
            "command line), or wrap it in gymnasium.wrappers.TimeLimit"
        )
    return UsageProtocol(-(-limit // action_repeat), action_repeat, **protocol)


def _probe(env: Callable[[], Any], name: str) -> Any:
    if not callable(env):
        env_id = env if isinstance(env, str) else getattr(env, "id", None)
        hint = f"; envs.make('gymnasium/{env_id}') makes one by its id" if env_id else ""
        raise ValueError(
            f"{name}: {type(env).__name__} is neither a factory of environments nor a VectorEnv; "
            f"give a function that makes one, which is called for each world{hint}"
        )
    try:
        probe = env()
    except ModuleNotFoundError as error:
        # The module may be the user's own, so no package to install is suggested.
        raise ValueError(
            f"{name} imports the module {error.name!r}, which is neither installed nor in the "
            "current folder"
        ) from error
    except Exception as error:  # whatever a foreign environment may raise
        raise ValueError(f"{name} cannot be made: {type(error).__name__}: {error}") from error
    parts = ("observation_space", "action_space", "reset", "step")
    if hasattr(probe, "num_envs") or not all(hasattr(probe, part) for part in parts):
        raise ValueError(
            f"{name}: the factory makes a {type(probe).__name__}; it must be a gymnasium.Env, one "
            "for each world (a VectorEnv is given as it is)"
        )
    return probe


def _source(
    name: str,
    spaces: Any,
    probe: Any,
    rules: UsageProtocol,
    make: Callable[[int], HostWorlds],
    only: int | None = None,
) -> HostEnv:
    from mjxwm_envs.adapters import spaces as vector_spaces

    try:
        obs_size = vector_spaces.obs_size(spaces[0])
        action_size = len(vector_spaces.action_bounds(spaces[1])[0])
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error
    dt = getattr(getattr(probe, "unwrapped", probe), "dt", 0.0)
    dt = float(dt) if isinstance(dt, numbers.Real) else 0.0
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
        action_repeat=rules.action_repeat,
        on_host=True,
    )
    return HostEnv(spec, make, rules.success != "", only)


def _try_out(probe: Any, name: str) -> None:
    from mjxwm_envs.adapters.separate_envs import try_out

    try:
        try_out(probe)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error
    except Exception as error:  # whatever a foreign environment may raise
        raise ValueError(f"{name} fails at once: {type(error).__name__}: {error}") from error


def _list(make: Any, rules: UsageProtocol, num_worlds: int) -> HostWorlds:
    from mjxwm_envs.adapters.separate_envs import SeparateEnvs

    return SeparateEnvs(make, num_worlds, rules)


def _import() -> Any:
    try:
        import gymnasium
    except ImportError as error:
        raise not_imported("gymnasium", "mjxwm[suites]", error) from error
    return gymnasium
