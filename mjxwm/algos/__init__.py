"""The registry of algorithms: by name the configuration class, `make -> Algorithm` and `agent`.

Algorithms do not import one another, except `multitask`, which is built on PWM and TD-MPC2.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from mjxwm.algos import baselines, pwm, reppo, shac, tdmpc2
from mjxwm.algos.multitask import extract, pretrain
from mjxwm.algos.multitask.model import Card
from mjxwm.types import Agent, Algorithm


class Entry(NamedTuple):
    """An algorithm in the registry."""

    config: Any
    """Its configuration class: a frozen dataclass with the base `budget.AlgorithmConfig`."""
    make: Callable[..., Algorithm]
    """(config, env) -> `mjxwm.types.Algorithm`; (config) if not `takes_env`; (config, env, model)
    if `takes_model`. Raises ValueError if a setting is out of range or an optional package is
    missing."""
    agent: Callable[..., Agent]
    """(config, sizes) -> how its policy acts; (config, sizes, the model's card) if `takes_model`.
    Nothing is trained with it, and no optional package needed."""
    takes_env: bool = True
    """Whether it is trained or evaluated in an environment."""
    takes_model: bool = False
    """Whether it starts from a pre-trained model, that of the run folder `config.model`."""


ALGORITHMS: dict[str, Entry] = {
    "pwm": Entry(pwm.Config, pwm.make, pwm.agent),
    "tdmpc2": Entry(tdmpc2.Config, tdmpc2.make, tdmpc2.agent),
    "shac": Entry(shac.Config, shac.make, shac.agent),  # SAPO and APG, too
    "reppo": Entry(reppo.Config, reppo.make, reppo.agent),
    "ppo": Entry(baselines.PPO, baselines.make_ppo, baselines.agent),
    "sac": Entry(baselines.SAC, baselines.make_sac, baselines.agent),
    "extract": Entry(extract.Config, extract.make, extract.agent, takes_model=True),
    "pretrain": Entry(Card, pretrain.make, pretrain.agent, takes_env=False),
}
"""Algorithms by the name in a configuration's field `algorithm`. To add one, add its line."""
