"""The interface of B worlds that live in Python and are stepped on the host.

A world has failed if it raises an exception or returns something other than finite numbers of the
shape of its spaces: the `Failure` is recorded, the step is not valid, and the world is reset. A
world whose reset fails, too, is left out from then on: its steps are never valid.
"""

import dataclasses
from typing import NamedTuple, Protocol

import numpy as np
from jaxtyping import Bool, Float, UInt8

from mjxwm_envs.core import Failure


class HostStep(NamedTuple):
    """The outcome of one action in each of B worlds; those that ended have been reset."""

    next_obs: Float[np.ndarray, "B o"]
    """The observation after the step and before any reset."""
    reward: Float[np.ndarray, " B"]
    terminated: Bool[np.ndarray, " B"]
    truncated: Bool[np.ndarray, " B"]
    valid: Bool[np.ndarray, " B"]
    success: Bool[np.ndarray, " B"]
    obs: Float[np.ndarray, "B o"]
    """The observation to act on, after any reset."""


class HostWorlds(Protocol):
    """B worlds on the host."""

    failures: list[Failure]
    token: int
    """Identifies the last reset: whoever resets the worlds sets another token."""

    def reset(self, seed: int, stagger: bool) -> Float[np.ndarray, "B o"]:
        """New episodes in all worlds; `stagger` starts their clocks at random times."""
        ...

    def step(self, action: Float[np.ndarray, "B a"]) -> HostStep:
        """One action in [-1, 1] in each world."""
        ...


class PicturedWorlds(HostWorlds, Protocol):
    """Worlds of which the first can be looked at."""

    def picture(self) -> UInt8[np.ndarray, "h w 3"]:
        """The first world as it is now.

        Raises:
            ValueError: the environment renders no picture.
        """
        ...

    def frames_per_second(self) -> float:
        """Actions per second, for a film in real time; 30 if the environment does not say."""
        ...

    def close(self) -> None:
        """Frees what renders."""
        ...


@dataclasses.dataclass(frozen=True)
class UsageProtocol:
    """How a foreign environment is used, as benchmarks define it."""

    episode_length: int
    """Actions until truncation."""
    action_repeat: int = 1
    """Steps of the environment per action; rewards are summed."""
    idle_first: int = 0
    """Steps with a zero action after each reset."""
    success: str = ""
    """Name of the entry of `info` that tells whether the task is solved; empty if there is none."""
