"""Physics and tasks; knows nothing of learning and is usable on its own.

One world and many:

    env = envs.make("hopper")
    batch = env.batch(1024)
    worlds = batch.reset(jax.random.key(0))
    worlds, step = batch.step(worlds, actions)
"""

# ruff: noqa: E402
from mjxwm_envs import headless

headless.choose()  # before anything here imports MuJoCo

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mjxwm_envs.adapters.conversions import (
        from_gymnasium,
        to_gymnasium,
        to_rsl_rl,
        to_stable_baselines3,
        to_torch,
    )
    from mjxwm_envs.batch import BatchEnv
    from mjxwm_envs.core import (
        EnvSpec,
        Failure,
        Initial,
        Marker,
        Physics,
        Scene,
        Source,
        State,
        Step,
        WorldBatch,
        Worlds,
    )
    from mjxwm_envs.env import Env, as_env
    from mjxwm_envs.randomisation import Randomisation
    from mjxwm_envs.registry import make, make_task, names, register
    from mjxwm_envs.task import Task

__all__ = [
    "BatchEnv",
    "Env",
    "EnvSpec",
    "Failure",
    "Initial",
    "Marker",
    "Physics",
    "Randomisation",
    "Scene",
    "Source",
    "State",
    "Step",
    "Task",
    "WorldBatch",
    "Worlds",
    "as_env",
    "from_gymnasium",
    "make",
    "make_task",
    "names",
    "register",
    "to_gymnasium",
    "to_rsl_rl",
    "to_stable_baselines3",
    "to_torch",
]


_MODULES = {
    "adapters.conversions": (
        *("from_gymnasium", "to_gymnasium", "to_rsl_rl", "to_stable_baselines3", "to_torch"),
    ),
    "batch": ("BatchEnv",),
    "core": (
        *("EnvSpec", "Failure", "Initial", "Marker", "Physics", "Scene", "Source", "State"),
        *("Step", "WorldBatch", "Worlds"),
    ),
    "env": ("Env", "as_env"),
    "randomisation": ("Randomisation",),
    "registry": ("make", "make_task", "names", "register"),
    "task": ("Task",),
}
"""The names that modules give this package. JAX and MuJoCo are loaded with the first of them: what
needs neither, such as the help of a command, is said at once."""


def __getattr__(name: str) -> Any:
    """A name of the package, from its module; or a module of it."""
    for module, provided in _MODULES.items():
        if name in provided:
            value = getattr(importlib.import_module(f"mjxwm_envs.{module}"), name)
            globals()[name] = value
            return value
    try:
        return importlib.import_module(f"mjxwm_envs.{name}")
    except ModuleNotFoundError as error:
        if error.name != f"mjxwm_envs.{name}":
            raise
        raise AttributeError(f"module 'mjxwm_envs' has no attribute {name!r}") from None


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
