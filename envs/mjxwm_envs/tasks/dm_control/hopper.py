"""The suite's planar hopper: stand, hop, hop backwards. 15 observations, 4 actions."""

import dataclasses

import jax.numpy as jnp
import mujoco
from jaxtyping import Array, Float

from mjxwm_envs.core import Physics
from mjxwm_envs.tasks.dm_control import models
from mjxwm_envs.tasks.dm_control.suite import SuiteTask, Terms, at_least, product, small_control
from mjxwm_envs.tasks.rewards import tolerance


@dataclasses.dataclass(frozen=True)
class SuiteHopper(SuiteTask):
    """Observation: height, pitch, four joints, velocities, log(1 + force) at toe and heel [N]."""

    ctrl_dt: float = 0.02
    sim_dt: float = 0.005
    speed: float = 0.0
    """Speed to hop at [m/s]; negative: backwards; 0: stand."""

    @property
    def derived(self) -> tuple[str, ...]:
        """See `Task`."""
        return ("sensordata", "xipos")

    def spec(self) -> mujoco.MjSpec:
        """See `SuiteTask`."""
        return models.spec("hopper")

    def observe(self, physics: Physics) -> Float[Array, " 15"]:
        """See `Task`."""
        touch = jnp.log1p(self.sensor(physics, "touch_toe", "touch_heel"))
        return jnp.concatenate([physics.qpos[1:], physics.qvel, touch])

    def reward(
        self, before: Physics, action: Float[Array, " 4"], after: Physics
    ) -> tuple[Float[Array, ""], Terms]:
        """See `Task`: the torso 0.6 m above the foot, times speed or small control."""
        height = after.derived["xipos"][:, 2]
        above = height[self.body.body("torso").id] - height[self.body.body("foot").id]
        terms = {"standing": tolerance(above, (0.6, 2))}
        if self.speed:
            velocity = self.sensor(after, "torso_subtreelinvel")[0]
            terms["hopping"] = at_least(velocity, self.speed, abs(self.speed) / 2, 0.5)
        else:
            terms["small_control"] = small_control(after.ctrl)
        return product(terms)
