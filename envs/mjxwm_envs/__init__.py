"""Physics and tasks; knows nothing of learning and is usable on its own.

One world and many:

    env = envs.make("hopper")
    worlds = envs.BatchEnv(env, num_worlds=1024)
"""

# ruff: noqa: E402
from mjxwm_envs import headless

headless.choose()  # before anything here imports MuJoCo

from typing import Any

from mjxwm_envs.batch import BatchEnv, Step, Worlds
from mjxwm_envs.core import EnvSpec, Failure, Initial, Marker, Physics, Source, State, Task
from mjxwm_envs.env import Env
from mjxwm_envs.fields import checked
from mjxwm_envs.randomisation import Randomisation
from mjxwm_envs.registry import make, names, register

__all__ = [
    "BatchEnv",
    "Env",
    "EnvSpec",
    "Failure",
    "Initial",
    "Marker",
    "Physics",
    "Randomisation",
    "Source",
    "State",
    "Step",
    "Task",
    "Worlds",
    "from_gymnasium",
    "make",
    "names",
    "register",
    "to_gymnasium",
    "to_stable_baselines3",
]


def from_gymnasium(
    env: Any,
    name: str = "gymnasium",
    episode_length: int | None = None,
    action_repeat: int = 1,
    **protocol: Any,
) -> Source:
    """A source of data from gymnasium's: see `mjxwm_envs.adapters.gymnasium.from_gymnasium`."""
    from mjxwm_envs.adapters import gymnasium

    return gymnasium.from_gymnasium(env, name, episode_length, action_repeat, **protocol)


def to_gymnasium(env: str | Env, num_envs: int | None = None, **options: Any) -> Any:
    """Our worlds as gymnasium's. Needs `pip install 'mjxwm[suites]'`.

    Args:
        env: a name for `make`, or what it returned.
        num_envs: B for a `gymnasium.vector.VectorEnv` of B worlds, None for a `gymnasium.Env`.
        options: for `make`; `render_mode="rgb_array"` for an `Env`.

    Raises:
        ValueError: as `make`; a foreign environment; gymnasium is not installed.
    """
    render_mode = options.pop("render_mode", None)
    if render_mode not in (None, "rgb_array") or (render_mode and num_envs is not None):
        raise ValueError(f"render_mode={render_mode!r}: an Env of one world has 'rgb_array' alone")
    if num_envs is not None:
        num_envs = checked("num_envs", num_envs, 1)
    env = _own(env, options)
    adapter = _adapter("to_gymnasium", "gymnasium", "mjxwm[suites]")
    if num_envs is None:
        return adapter.GymnasiumWorld(env, render_mode)
    return adapter.GymnasiumWorlds(env, num_envs)


def to_stable_baselines3(env: str | Env, num_envs: int, **options: Any) -> Any:
    """Our worlds as a `VecEnv` of Stable-Baselines3, which must be installed.

    Raises:
        ValueError: as `to_gymnasium`.
    """
    num_envs = checked("num_envs", num_envs, 1)
    env = _own(env, options)
    adapter = _adapter("stable_baselines", "stable_baselines3", "stable-baselines3")
    return adapter.BaselinesWorlds(env, num_envs)


def _own(env: str | Env, options: dict[str, Any]) -> Env:
    if not isinstance(env, str) and options:
        raise ValueError(f"{', '.join(options)}: options are for a name; this one is made already")
    env = make(env, **options) if isinstance(env, str) else env
    if not isinstance(env, Env):
        raise ValueError(f"{env.name} is a foreign environment; use it as its package makes it")
    return env


def _adapter(module: str, package: str, requirement: str) -> Any:
    import importlib

    try:
        return importlib.import_module(f"mjxwm_envs.adapters.{module}")
    except ModuleNotFoundError as error:
        if error.name != package:
            raise
        raise ValueError(f"{package} is not installed; run: pip install '{requirement}'") from error
