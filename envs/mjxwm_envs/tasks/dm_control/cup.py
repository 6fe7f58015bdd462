"""Ball in cup: catch the ball on a string, or spin it around. 8 observations, 2 actions."""

import dataclasses
from typing import ClassVar

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from mjxwm_envs.core import Initial, Physics
from mjxwm_envs.tasks.dm_control import models, starts
from mjxwm_envs.tasks.dm_control.suite import SuiteTask, Terms, at_least

_ANYWHERE = (-0.2, 0.2), (0.2, 0.5)  # start positions of the ball, x and z [m]
_OUTSIDE = 0.1  # fraction of spinning episodes that start outside of the cup, too


@dataclasses.dataclass(frozen=True)
class Cup(SuiteTask):
    """Observation: positions of cup and ball, x and z [m], and their velocities."""

    ctrl_dt: float = 0.02
    sim_dt: float = 0.002
    spin: bool = False
    """Spin the ball around the cup, TD-MPC2's task, instead of catching it."""

    bodies_touch: ClassVar[bool] = True

    @property
    def derived(self) -> tuple[str, ...]:
        """See `Task`."""
        return ("site_xpos", "xpos")

    def spec(self) -> mujoco.MjSpec:
        """See `SuiteTask`."""
        return models.spec("ball_in_cup")

    def initial(self, key: PRNGKeyArray) -> Initial:
        """See `Task`: a random position of the ball without contacts."""
        key_kind, key_row = jax.random.split(key)
        anywhere, caught = starts.balls(self.body, *_ANYWHERE)
        store = jnp.asarray(anywhere)
        if self.spin:
            outside = jax.random.uniform(key_kind) < _OUTSIDE
            store = jnp.where(outside, store, jnp.asarray(caught))
        ball = store[jax.random.randint(key_row, (), 0, len(store))]
        return self.at_rest(jnp.concatenate([jnp.zeros(2), ball]))

    def observe(self, physics: Physics) -> Float[Array, " 8"]:
        """See `Task`."""
        return jnp.concatenate([physics.qpos, physics.qvel])

    def reward(
        self, before: Physics, action: Float[Array, " 2"], after: Physics
    ) -> tuple[Float[Array, ""], Terms]:
        """See `Task`: 1 while the ball is in the cup; to spin, its distance and speed outside."""
        offset = self._offset(after)
        caught = self._caught(offset).astype(offset.dtype)
        if not self.spin:
            return caught, {"caught": caught}
        terms = {
            "outside": 1 - caught,
            "far": at_least(jnp.linalg.norm(offset), 0.5, 0.25, 0.5),
            "fast": at_least(jnp.linalg.norm(after.qvel[2:]), 6, 3, 0.5),
        }
        return terms["outside"] * (terms["far"] + 2 * terms["fast"]) / 3, terms

    def _offset(self, physics: Physics) -> Float[Array, " 2"]:
        target = physics.derived["site_xpos"][self.body.site("target").id]
        return (target - self.position(physics, "ball")[0])[np.array([0, 2])]

    def _caught(self, offset: Float[Array, " 2"]) -> Bool[Array, ""]:
        return jnp.all(jnp.abs(offset) < starts.cup_room(self.body))
