"""Environments that remember their latest steps, so that SHAC's, PPO's and SAC's can be recorded.

`RecordingEnv` wraps an environment, so the algorithm needs no change; `mjxwm.runs.recorder` reads
the remembered steps out of the algorithm's state and writes them to a data set.
"""

import dataclasses
from typing import Any, NamedTuple

import jax
from jaxtyping import Array, Float, PRNGKeyArray
from mjxwm_envs.core import EnvSpec, Failure, Scene, Source, Step, WorldBatch, Worlds

from mjxwm.data import replay
from mjxwm.data.replay import Replay
from mjxwm.types import Algorithm, Transition


class RecordedState(NamedTuple):
    """The state of B worlds, and a replay buffer with their latest steps."""

    worlds: Worlds
    replay: Replay

    @property
    def obs(self) -> Float[Array, "B o"]:
        """The current observations."""
        return self.worlds.obs


@dataclasses.dataclass(frozen=True)
class RecordingEnv:
    """An environment whose worlds remember their latest steps; it has the interface of `Source`."""

    source: Source
    rows: int
    """Steps remembered per world, at least one more than are taken between two reads."""

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
        """Size of an action."""
        return self.source.action_size

    def batch(self, num_worlds: int) -> "RecordingBatch":
        """B worlds that remember their latest steps."""
        return RecordingBatch(self, self.source.batch(num_worlds), num_worlds)

    def failures(self) -> list[Failure]:
        """Errors in foreign worlds since the last call."""
        return self.source.failures()

    def check_devices(self, num_devices: int) -> None:
        """Raises ValueError if worlds cannot be split over this many devices (all processes)."""
        self.source.check_devices(num_devices)

    def scene(self, fields: dict[str, Array], goal: Any) -> Scene | None:
        """What to draw of one world's episode; None if there is no MuJoCo model of it."""
        return self.source.scene(fields, goal)


@dataclasses.dataclass(frozen=True)
class RecordingBatch:
    """A batch of B worlds that remember their steps; it has the interface of `WorldBatch`."""

    env: RecordingEnv
    batch: WorldBatch
    """The wrapped batch of worlds."""
    num_worlds: int

    def reset(self, key: PRNGKeyArray, stagger: bool = False) -> RecordedState:
        """Fresh worlds with an empty buffer."""
        spec = self.env.spec
        empty = replay.init(self.env.rows, 1, self.num_worlds, spec.obs_size, spec.action_size)
        return RecordedState(self.batch.reset(key, stagger), empty)

    def step(self, state: RecordedState, action: Float[Array, "B a"]) -> tuple[RecordedState, Step]:
        """Takes one action in each world and appends the transition to the buffer."""
        worlds, step = self.batch.step(state.worlds, action)
        transition = Transition(
            state.obs,
            action,
            step.reward,
            step.terminated,
            step.truncated,
            step.valid,
            step.next_obs,
        )
        # The buffer is data: SHAC's gradient through the simulator must not flow into it.
        row = jax.lax.stop_gradient(jax.tree.map(lambda x: x[None], transition))
        return RecordedState(worlds, replay.insert(state.replay, row)), step


def rows_needed(algorithm: Algorithm, worlds: int) -> int:
    """Steps per world to remember: as many as an iteration, or the initial collection, takes."""
    start, first = algorithm.env_steps(0), algorithm.env_steps(1)
    return max(start, first - start) // worlds + 1
