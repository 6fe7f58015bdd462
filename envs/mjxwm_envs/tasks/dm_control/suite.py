"""What the suite's tasks share: a body by name, readings by name, start states by its rules.

Observations, rewards and start states are those of `dm_control.suite` (Tassa et al. 2018, arXiv
1801.00690; Tunyasuvunakool et al. 2020, arXiv 2006.12983), and of the tasks that TD-MPC2 adds to it
(Hansen et al. 2024, arXiv 2310.16828). Nothing ends an episode early; it lasts 1000 control steps,
and its return is at most 1000.
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
    """A task of the suite. `fast` is the variant for massive collection, see `models.speed_up`."""

    episode_length: int = 1000
    fast: bool = False

    bodies_touch: ClassVar[bool] = False
    """Whether contacts of bodies with one another are part of the task."""

    def spec(self) -> mujoco.MjSpec:
        """The body, before it is compiled."""
        raise NotImplementedError

    @property
    def body(self) -> mujoco.MjModel:
        """The compiled body, shared: to be read only."""
        return _compiled(self)

    def model(self) -> mujoco.MjModel:
        """See `Task`."""
        return mujoco.MjModel.__copy__(self.body)

    def initial(self, key: PRNGKeyArray) -> Initial:
        """See `Task`: every hinge and limited slide anywhere, at rest."""
        return self.at_rest(self.anywhere(key))

    def anywhere(self, key: PRNGKeyArray) -> Float[Array, " nq"]:
        """Positions of hinges and limited slides drawn uniformly; the rest as the body has them."""
        low, high = map(jnp.array, models.joint_ranges(self.body))
        return jax.random.uniform(key, low.shape, minval=low, maxval=high)

    def at_rest(self, qpos: Float[Array, " nq"], goal: object = ()) -> Initial:
        """A start without velocity and activation."""
        return Initial(qpos, jnp.zeros(self.body.nv), jnp.zeros(self.body.na), goal)

    def sensor(self, physics: Physics, *names: str) -> Float[Array, " n"]:
        """The readings of sensors, one after another."""
        sensors = [self.body.sensor(name) for name in names]
        ids = [i for s in sensors for i in range(s.adr[0], s.adr[0] + s.dim[0])]
        return physics.derived["sensordata"][np.array(ids)]

    def place(self, physics: Physics, *bodies: str) -> Float[Array, "n 3"]:
        """Positions of bodies [m]."""
        return physics.derived["xpos"][np.array([self.body.body(b).id for b in bodies])]

    def frame(self, physics: Physics, body: str) -> Float[Array, "3 3"]:
        """The rotation of a body: its axes in world coordinates are the columns."""
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
    """1 from `target` on, falling below it; for a negative target 1 from there on downwards.

    A speed, mostly: `at_least(v, -2, 1)` asks for 2 m/s backwards.
    """
    bounds = (target, INF) if target >= 0 else (-INF, target)
    return tolerance(x, bounds, margin, sigmoid, value_at_margin)


def small_control(ctrl: Float[Array, " nu"]) -> Float[Array, ""]:
    """From 1 without control to 0.8 at full control: the suite's mild price of effort."""
    effort = tolerance(ctrl, margin=1, value_at_margin=0, sigmoid="quadratic").mean()
    return (4 + effort) / 5


def product(terms: Terms) -> tuple[Float[Array, ""], Terms]:
    """A reward that is the product of its terms."""
    return jnp.stack(list(terms.values())).prod(), terms
