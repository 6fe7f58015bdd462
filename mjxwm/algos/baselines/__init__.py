"""The baselines PPO and SAC, made of the networks, losses, normaliser and replay of Brax.

PPO: Schulman et al. 2017, arXiv 1707.06347; SAC: Haarnoja et al. 2018, arXiv 1812.05905. The
training loops are this project's: Brax's `train` functions give no access to single iterations, and
use functions that jax 0.10 removed. A test checks that they compute the same numbers as Brax's.
Brax is an optional package; this module and the configurations can be imported without it.
"""

import importlib
from typing import Any

from mjxwm_envs.core import Source

from mjxwm.algos.baselines.config import PPO, SAC, validate
from mjxwm.algos.baselines.tanh_gaussian import agent
from mjxwm.types import Algorithm

__all__ = ["PPO", "SAC", "agent", "make_ppo", "make_sac", "validate"]


def make_ppo(config: PPO, env: Source) -> Algorithm:
    """PPO on `env`.

    Raises:
        ValueError: a setting is out of range, or brax is not installed.
    """
    validate(config)
    return _module("ppo").make(config, env)


def make_sac(config: SAC, env: Source) -> Algorithm:
    """SAC on `env`.

    Raises:
        ValueError: a setting is out of range, or brax is not installed.
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
