"""PPO and SAC with the networks, losses, normaliser and replay of `brax.training`: the baselines.

Schulman et al. 2017, arXiv 1707.06347; Haarnoja et al. 2018, arXiv 1812.05905. Brax's own `train`
functions are loops that nothing can look into and that need calls which jax 0.10 no longer has; so
the loops here are this project's, made of brax's parts, and a test holds them to brax's, number for
number. Brax is an optional package: this module and the settings do without it.
"""

import importlib
from typing import Any

from mjxwm_envs.core import Source

from mjxwm.algos.baselines.config import PPO, SAC, validate
from mjxwm.types import Algorithm

__all__ = ["PPO", "SAC", "make_ppo", "make_sac", "validate"]


def make_ppo(config: PPO, env: Source) -> Algorithm:
    """PPO on `env`.

    Raises:
        ValueError: a setting out of range, or brax is not installed.
    """
    validate(config)
    return _module("ppo").make(config, env)


def make_sac(config: SAC, env: Source) -> Algorithm:
    """SAC on `env`.

    Raises:
        ValueError: a setting out of range, or brax is not installed.
    """
    validate(config)
    return _module("sac").make(config, env)


def _module(name: str) -> Any:
    try:
        return importlib.import_module(f"{__name__}.{name}")
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith("brax"):
            raise
        raise ValueError(
            f"{name} is made of brax's parts, and brax is not installed: "
            "pip install 'mjxwm[baselines]'"
        ) from error
