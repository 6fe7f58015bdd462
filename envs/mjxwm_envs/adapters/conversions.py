"""Our environments as others', and others' as ours."""

import importlib
from typing import Any

from mjxwm_envs.core import Source
from mjxwm_envs.env import Env
from mjxwm_envs.fields import checked
from mjxwm_envs.registry import make


def from_gymnasium(
    env: Any,
    name: str = "gymnasium",
    episode_length: int | None = None,
    action_repeat: int = 1,
    **protocol: Any,
) -> Source:
    """Gymnasium's environments as a `Source`. Needs `pip install 'mjxwm[suites]'`.

    See `mjxwm_envs.adapters.gymnasium.from_gymnasium` for arguments and errors.
    """
    from mjxwm_envs.adapters import gymnasium

    return gymnasium.from_gymnasium(env, name, episode_length, action_repeat, **protocol)


def to_gymnasium(env: str | Source, num_envs: int | None = None, **options: Any) -> Any:
    """One of our environments as a gymnasium one. Needs `pip install 'mjxwm[suites]'`.

    Args:
        env: a name for `make`, or what `make` returned.
        num_envs: B for a `gymnasium.vector.VectorEnv` of B worlds, None for a `gymnasium.Env`.
        options: arguments for `make`; `render_mode="rgb_array"` for a `gymnasium.Env`.

    Raises:
        ValueError: as `make`; a foreign environment; gymnasium is not installed.
    """
    render_mode = options.pop("render_mode", None)
    if render_mode not in (None, "rgb_array") or (render_mode and num_envs is not None):
        raise ValueError(f"render_mode={render_mode!r}: an Env of one world has 'rgb_array' alone")
    if num_envs is not None:
        num_envs = checked("num_envs", num_envs, 1)
    env = _env_to_adapt(env, options)
    adapter = _adapter("to_gymnasium", "gymnasium", "mjxwm[suites]")
    if num_envs is None:
        return adapter.GymnasiumEnv(env, render_mode)
    return adapter.GymnasiumVectorEnv(env, num_envs)


def to_stable_baselines3(env: str | Source, num_envs: int, **options: Any) -> Any:
    """One of our environments as a `VecEnv` of Stable-Baselines3, which must be installed.

    Args:
        env: a name for `make`, or what `make` returned.
        num_envs: number of worlds.
        options: arguments for `make`.

    Raises:
        ValueError: as `to_gymnasium`.
    """
    num_envs = checked("num_envs", num_envs, 1)
    env = _env_to_adapt(env, options)
    adapter = _adapter("stable_baselines", "stable_baselines3", "stable-baselines3")
    return adapter.StableBaselinesVecEnv(env, num_envs)


def to_torch(env: str | Source, num_envs: int, seed: int = 0, **options: Any) -> Any:
    """One of our environments for torch, without copies: `TorchEnv`, on the worlds' device.

    Args:
        env: a name for `make`, or what `make` returned.
        num_envs: number of worlds.
        seed: of the start states.
        options: arguments for `make`.

    Raises:
        ValueError: as `to_gymnasium`.
    """
    num_envs = checked("num_envs", num_envs, 1)
    env = _env_to_adapt(env, options)
    return _adapter("to_torch", "torch", "torch").TorchEnv(env, num_envs, seed)


def to_rsl_rl(env: str | Source, num_envs: int, seed: int = 0, **options: Any) -> Any:
    """One of our environments as a `VecEnv` of rsl_rl 5, which must be installed.

    Arguments and errors are those of `to_torch`.
    """
    num_envs = checked("num_envs", num_envs, 1)
    env = _env_to_adapt(env, options)
    return _adapter("rsl_rl", "rsl_rl", "rsl-rl-lib").RslRlVecEnv(env, num_envs, seed)


def _env_to_adapt(env: str | Source, options: dict[str, Any]) -> Env:
    if isinstance(env, str):
        env = make(env, **options)
    elif options:
        raise ValueError(f"{', '.join(options)}: options are for a name; this one is made already")
    if not isinstance(env, Env):
        raise ValueError(f"{env.name} is a foreign environment; use it as its package makes it")
    return env


def _adapter(module: str, package: str, requirement: str) -> Any:
    try:
        return importlib.import_module(f"mjxwm_envs.adapters.{module}")
    except ModuleNotFoundError as error:
        if error.name != package:
            raise
        raise ValueError(f"{package} is not installed; run: pip install '{requirement}'") from error
