"""Algorithms: `make(config, env) -> mjxwm.types.Algorithm`. They never import one another.

Here they are by name.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from envs.core import Source
from mjxwm.algos import brax_baselines, pwm, shac, tdmpc2
from mjxwm.types import Algorithm


class Entry(NamedTuple):
    """An algorithm's settings and what makes it of them."""

    config: Any
    """A frozen dataclass, of which `env_steps`, `worlds`, `steps_per_iteration` and `updates` are
    read from outside."""
    make: Callable[[Any, Source], Algorithm]
    """Raises ValueError on a setting out of range, and where an optional package is missing."""


ALGORITHMS: dict[str, Entry] = {
    "pwm": Entry(pwm.Config, pwm.make),
    "tdmpc2": Entry(tdmpc2.Config, tdmpc2.make),
    "shac": Entry(shac.Config, shac.make),  # SAPO and APG, too
    "ppo": Entry(brax_baselines.PPO, brax_baselines.make_ppo),
    "sac": Entry(brax_baselines.SAC, brax_baselines.make_sac),
}
"""By the name that a preset gives as `algorithm`. To add one, add its line."""
