"""Worlds that live in Python, stepped on the host: gymnasium environments, one by one or many.

A world that raises, or that says something other than finite numbers of the shape it announced, has
failed: it is on record with its number and step, its step is not valid, and it is reset. A world
that cannot even be reset is left out from there on: its steps are never valid.
"""

import dataclasses
from typing import NamedTuple, Protocol

import numpy as np
from jaxtyping import Bool, Float

from mjxwm_envs.core import Failure


class HostStep(NamedTuple):
    """What one action did in each of B worlds; ended ones have been reset."""

    next_obs: Float[np.ndarray, "B o"]
    """Before any reset."""
    reward: Float[np.ndarray, " B"]
    terminated: Bool[np.ndarray, " B"]
    truncated: Bool[np.ndarray, " B"]
    valid: Bool[np.ndarray, " B"]
    success: Bool[np.ndarray, " B"]
    obs: Float[np.ndarray, "B o"]
    """To act on."""


class HostWorlds(Protocol):
    """B worlds on the host."""

    failures: list[Failure]
    token: int
    """Whose they are now: set by whoever resets them."""

    def reset(self, seed: int, stagger: bool) -> Float[np.ndarray, "B o"]:
        """Fresh worlds; `stagger` starts their clocks at random."""
        ...

    def step(self, action: Float[np.ndarray, "B a"]) -> HostStep:
        """One action in [-1, 1] in each world."""
        ...


@dataclasses.dataclass(frozen=True)
class Protocols:
    """How a foreign environment is used."""

    episode_length: int
    """Actions until truncation."""
    action_repeat: int = 1
    """Steps of the environment per action; rewards add up."""
    idle_first: int = 0
    """Steps without action after each reset."""
    success: str = ""
    """The entry of `info` that says whether the task is solved, if there is one."""
