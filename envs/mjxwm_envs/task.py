"""Task: a model, and pure functions for start states, observations, rewards and terminations."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import mujoco
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from mjxwm_envs.core import Initial, Marker, Physics


@dataclasses.dataclass(frozen=True)
class Task:
    """A model and the functions that make it a task. Subclasses are one task or one family each.

    The fields are the task's physical parameters; `envs.make(name, field=value)` changes them.
    Every function is for one world and pure: `jax.vmap` makes it many.
    """

    ctrl_dt: float
    """Time between two actions [s]."""
    sim_dt: float
    """Physics step [s]; `ctrl_dt` is a whole multiple of it."""
    episode_length: int
    """Control steps until an episode is truncated."""

    @property
    def derived(self) -> tuple[str, ...]:
        """Names of the `MjData` fields that the task reads in `Physics.derived`."""
        return ()

    def mjcf(self) -> str:
        """The model as an MJCF string. The physics step is set from `sim_dt`."""
        raise NotImplementedError

    def model(self) -> mujoco.MjModel:
        """The compiled model; override it instead of `mjcf` to build the model in Python."""
        return mujoco.MjModel.from_xml_string(self.mjcf())

    def initial(self, key: PRNGKeyArray) -> Initial:
        """Draws a start state."""
        raise NotImplementedError

    def observe(self, physics: Physics) -> Float[Array, " o"]:
        """The observation of a state."""
        raise NotImplementedError

    def reward(
        self, before: Physics, action: Float[Array, " a"], after: Physics
    ) -> tuple[Float[Array, ""], dict[str, Float[Array, ""]]]:
        """The reward r(s, a, s') of a control step.

        Args:
            before: the state s.
            action: a, in [-1, 1].
            after: the state s'.

        Returns:
            The reward, and its terms by name for the metrics.
        """
        raise NotImplementedError

    def terminated(self, physics: Physics) -> Bool[Array, ""]:
        """Whether the episode ends in this state with nothing to follow, as after a fall.

        The time limit is not part of it: see `episode_length`.
        """
        return jnp.zeros((), bool)

    @property
    def terminates(self) -> bool:
        """Whether `terminated` can be true at all: it is by default where a task defines it."""
        return type(self).terminated is not Task.terminated

    def shape(self, action: Float[Array, " a"]) -> Float[Array, " a"]:
        """Transforms an action in [-1, 1], to [-1, 1], before it is scaled to control ranges."""
        return action

    def success(self, physics: Physics) -> Bool[Array, ""] | None:
        """Whether the task is solved in this state; None if the task does not define success."""
        return None

    def measure(self, physics: Physics) -> dict[str, Float[Array, ""]]:
        """Numbers about an episode by name, read in its last state: a distance, a height.

        Evaluations report their means over episodes as `eval/NAME`; nothing learns from them.
        """
        return {}

    def show(self, model: mujoco.MjModel, goal: Any) -> Sequence[Marker]:
        """Adds an episode's goal to its pictures.

        Args:
            model: a copy of this world's model that is only drawn: move, resize or hide here what
                stands for the goal (`model.site("target").pos = goal`).
            goal: `Physics.goal`, as numpy arrays.

        Returns:
            Balls to draw beside the model, for a model that has nothing to stand for the goal.
        """
        return ()
