"""The planar walker: stand, walk, run, and both backwards. 24 observations, 6 actions."""

import dataclasses

import jax.numpy as jnp
import mujoco
from jaxtyping import Array, Float

from mjxwm_envs.core import Physics
from mjxwm_envs.tasks.dm_control import models
from mjxwm_envs.tasks.dm_control.suite import SuiteTask, Terms, at_least

_STAND = 1.2  # [m]


@dataclasses.dataclass(frozen=True)
class Walker(SuiteTask):
    """Observation: cosine and sine of each body's pitch, height of the torso, velocities."""

    ctrl_dt: float = 0.025
    sim_dt: float = 0.0025
    speed: float = 0.0
    """Speed to move at [m/s]; negative: backwards; 0: stand."""

    @property
    def derived(self) -> tuple[str, ...]:
        """See `Task`."""
        return ("sensordata", "xpos", "xmat")

    def spec(self) -> mujoco.MjSpec:
        """See `SuiteTask`."""
        return models.spec("walker")

    def observe(self, physics: Physics) -> Float[Array, " 24"]:
        """See `Task`."""
        axes = physics.derived["xmat"].reshape(-1, 9)[1:]
        height = self.position(physics, "torso")[:, 2]
        return jnp.concatenate([axes[:, jnp.array([0, 2])].ravel(), height, physics.qvel])

    def reward(
        self, before: Physics, action: Float[Array, " 6"], after: Physics
    ) -> tuple[Float[Array, ""], Terms]:
        """See `Task`: height and uprightness of the torso, times its speed."""
        height = self.position(after, "torso")[0, 2]
        standing = at_least(height, _STAND, _STAND / 2, 0.1, "gaussian")
        upright = (1 + self.frame(after, "torso")[2, 2]) / 2
        terms = {"stand": (3 * standing + upright) / 4}
        if not self.speed:
            return terms["stand"], terms
        velocity = self.sensor(after, "torso_subtreelinvel")[0]
        terms["move"] = at_least(velocity, self.speed, abs(self.speed) / 2, 0.5)
        return terms["stand"] * (5 * terms["move"] + 1) / 6, terms
