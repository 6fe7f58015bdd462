"""The base class of the suite's tasks, and their common reward terms.

Observations, rewards and start states are those of `dm_control.suite` (Tassa et al. 2018, arXiv
1801.00690; Tunyasuvunakool et al. 2020, arXiv 2006.12983), and of the tasks that TD-MPC2 adds to it
(Hansen et al. 2024, arXiv 2310.16828). Episodes never terminate early: they last 1000 control
steps, with returns of at most 1000.
"""

import dataclasses
import functools
import math
from typing import ClassVar

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from mjxwm_envs.core import Initial, Physics
from mjxwm_envs.task import Task
from mjxwm_envs.tasks.dm_control import models
from mjxwm_envs.tasks.rewards import Sigmoid, tolerance

Terms = dict[str, Float[Array, ""]]
INF = math.inf


@dataclasses.dataclass(frozen=True)
class SuiteTask(Task):
    """A task of the suite."""

    episode_length: int = 1000
    fast: bool = False
    """The variant that is cheaper to simulate, see `models.speed_up`."""

    bodies_touch: ClassVar[bool] = False
    """Whether the task needs contacts between moving bodies, not only with the floor."""

    def spec(self) -> mujoco.MjSpec:
        """The model, before it is compiled."""
        raise NotImplementedError

    @property
    def body(self) -> mujoco.MjModel:
        """The compiled model, shared by all callers: it must not be changed."""
        return _compiled(self)

    def model(self) -> mujoco.MjModel:
        """See `Task`."""
        return mujoco.MjModel.__copy__(self.body)

    def initial(self, key: PRNGKeyArray) -> Initial:
        """See `Task`: `random_positions` without velocity."""
        return self.at_rest(self.random_positions(key))

    def random_positions(self, key: PRNGKeyArray) -> Float[Array, " nq"]:
        """Draws hinges and limited slides uniformly in their ranges; the rest is `qpos0`."""
        low, high = map(jnp.array, models.joint_ranges(self.body))
        return jax.random.uniform(key, low.shape, minval=low, maxval=high)

    def at_rest(self, qpos: Float[Array, " nq"], goal: object = ()) -> Initial:
        """A start state with zero velocities and activations."""
        return Initial(qpos, jnp.zeros(self.body.nv), jnp.zeros(self.body.na), goal)

    def sensor(self, physics: Physics, *names: str) -> Float[Array, " n"]:
        """The values of sensors, concatenated."""
        sensors = [self.body.sensor(name) for name in names]
        ids = [i for s in sensors for i in range(s.adr[0], s.adr[0] + s.dim[0])]
        return physics.derived["sensordata"][np.array(ids)]

    def position(self, physics: Physics, *bodies: str) -> Float[Array, "n 3"]:
        """Positions of bodies in the world's frame [m]."""
        return physics.derived["xpos"][np.array([self.body.body(b).id for b in bodies])]

    def frame(self, physics: Physics, body: str) -> Float[Array, "3 3"]:
        """The rotation matrix of a body: its columns are the body's axes in the world's frame."""
        return physics.derived["xmat"][self.body.body(body).id].reshape(3, 3)


@functools.cache
def _compiled(task: SuiteTask) -> mujoco.MjModel:
    def make() -> mujoco.MjSpec:
        spec = task.spec()
        if task.fast:
            models.speed_up(spec, task.bodies_touch)
        return spec

    return models.build(make)


def at_least(
    x: Float[Array, ""],
    target: float,
    margin: float,
    value_at_margin: float = 0.0,
    sigmoid: Sigmoid = "linear",
) -> Float[Array, ""]:
    """1 for `x` of at least `target`, less below it; reversed for a negative target.

    Mostly for speeds: `at_least(v, -2, 1)` rewards moving backwards with 2 m/s or more. See
    `rewards.tolerance` for the other arguments.
    """
    bounds = (target, INF) if target >= 0 else (-INF, target)
    return tolerance(x, bounds, margin, sigmoid, value_at_margin)


def small_control(ctrl: Float[Array, " nu"]) -> Float[Array, ""]:
    """The suite's effort term: 1 without control, 0.8 at full control."""
    effort = tolerance(ctrl, margin=1, value_at_margin=0, sigmoid="quadratic").mean()
    return (4 + effort) / 5


def product(terms: Terms) -> tuple[Float[Array, ""], Terms]:
    """The product of the terms as reward, and the terms."""
    return jnp.stack(list(terms.values())).prod(), terms
