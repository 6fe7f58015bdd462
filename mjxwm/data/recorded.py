"""Worlds that keep their latest steps: what an algorithm without a replay collects can be recorded.

Between algorithm and environment, so that any algorithm does; `mjxwm.runs.recorder` takes the
steps from its state.
"""

import dataclasses
from typing import Any, NamedTuple

import jax
from jaxtyping import Array, Float, PRNGKeyArray
from mjxwm_envs.batch import Step, Worlds
from mjxwm_envs.core import EnvSpec, Failure, Source

from mjxwm.data import replay
from mjxwm.data.replay import Replay
from mjxwm.types import Algorithm, Transition


class KeptWorlds(NamedTuple):
    """B worlds, and their latest steps."""

    worlds: Worlds
    replay: Replay

    @property
    def obs(self) -> Float[Array, "B o"]:
        """What the policies see now."""
        return self.worlds.obs


@dataclasses.dataclass(frozen=True)
class Recorded:
    """A source whose worlds keep their latest steps."""

    source: Source
    rows: int
    """Steps per world that are kept, at least one more than are taken between two looks at them."""

    @property
    def name(self) -> str:
        """The task's name."""
        return self.source.name

    @property
    def spec(self) -> EnvSpec:
        """Sizes and times."""
        return self.source.spec

    @property
    def action_size(self) -> int:
        """Numbers in an action."""
        return self.source.action_size

    def worlds(self, num_worlds: int) -> "RecordedWorlds":
        """B worlds that keep their latest steps."""
        return RecordedWorlds(self, self.source.worlds(num_worlds), num_worlds)

    def failures(self) -> list[Failure]:
        """What went wrong in foreign worlds since the last call."""
        return self.source.failures()


@dataclasses.dataclass(frozen=True)
class RecordedWorlds:
    """Behaves as the `envs.BatchEnv`, or the foreign worlds, that it has inside."""

    env: Recorded
    batch: Any
    num_worlds: int

    def reset(self, key: PRNGKeyArray, stagger: bool = False) -> KeptWorlds:
        """Fresh worlds, of which nothing is kept yet."""
        spec = self.env.spec
        none = replay.init(self.env.rows, 1, self.num_worlds, spec.obs_size, spec.action_size)
        return KeptWorlds(self.batch.reset(key, stagger), none)

    def step(self, kept: KeptWorlds, action: Float[Array, "B a"]) -> tuple[KeptWorlds, Step]:
        """One action in each world, which is kept."""
        worlds, step = self.batch.step(kept.worlds, action)
        row = Transition(
            kept.obs,
            action,
            step.reward,
            step.terminated,
            step.truncated,
            step.valid,
            step.next_obs,
        )
        # What is kept is data: a gradient through the simulator goes by it.
        row = jax.lax.stop_gradient(jax.tree.map(lambda x: x[None], row))
        return KeptWorlds(worlds, replay.insert(kept.replay, row)), step


def rows(algorithm: Algorithm, worlds: int) -> int:
    """Steps per world that have to be kept to miss none: an iteration's, or those at the start."""
    start, first = algorithm.env_steps(0), algorithm.env_steps(1)
    return max(start, first - start) // worlds + 1
