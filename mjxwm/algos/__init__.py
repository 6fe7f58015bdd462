"""Algorithms: `make(config, env) -> mjxwm.types.Algorithm`.

They do not import one another, but for those of many tasks (`multitask`), which are built on PWM
and TD-MPC2. Here they are by name.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from mjxwm.algos import baselines, pwm, shac, tdmpc2
from mjxwm.algos.multitask import extract, pretrain
from mjxwm.algos.multitask.model import Card
from mjxwm.types import Algorithm


class Entry(NamedTuple):
    """An algorithm's settings and what makes it of them."""

    config: Any
    """A frozen dataclass, of which `env_steps`, `worlds`, `steps_per_iteration` and `updates` are
    read from outside."""
    make: Callable[..., Algorithm]
    """(config, env) -> the algorithm; (config, env, model) where it takes a model. Raises
    ValueError where a setting is out of range or an optional package is missing."""
    takes_env: bool = True
    """Whether it learns or is evaluated in an environment; else it is made of its config alone."""
    takes_model: bool = False
    """Whether it starts from a model of many tasks, whose run folder `config.model` names."""


ALGORITHMS: dict[str, Entry] = {
    "pwm": Entry(pwm.Config, pwm.make),
    "tdmpc2": Entry(tdmpc2.Config, tdmpc2.make),
    "shac": Entry(shac.Config, shac.make),  # SAPO and APG, too
    "ppo": Entry(baselines.PPO, baselines.make_ppo),
    "sac": Entry(baselines.SAC, baselines.make_sac),
    "extract": Entry(extract.Config, extract.make, takes_model=True),
    "pretrain": Entry(Card, pretrain.make, takes_env=False),
}
"""By the name that a preset gives as `algorithm`. To add one, add its line."""
