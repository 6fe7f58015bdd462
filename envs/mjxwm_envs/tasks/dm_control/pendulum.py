"""The pendulum: a weak motor at its hinge. Swing up, or spin. 3 observations, 1 action."""

import dataclasses
import math

import jax.numpy as jnp
import mujoco
from jaxtyping import Array, Float

from mjxwm_envs.core import Physics
from mjxwm_envs.tasks.dm_control import models
from mjxwm_envs.tasks.dm_control.suite import SuiteTask, Terms, at_least
from mjxwm_envs.tasks.rewards import tolerance

_UPRIGHT = math.cos(math.radians(8))


@dataclasses.dataclass(frozen=True)
class Pendulum(SuiteTask):
    """Observation: cosine and sine of the angle, angular velocity. It starts at any angle."""

    ctrl_dt: float = 0.02
    sim_dt: float = 0.02
    spin: bool = False
    """Spin at 9 rad/s or more, TD-MPC2's task, instead of staying within 8 degrees of upright."""

    @property
    def derived(self) -> tuple[str, ...]:
        """See `Task`."""
        return ("xmat",)

    def spec(self) -> mujoco.MjSpec:
        """See `SuiteTask`."""
        return models.spec("pendulum")

    def observe(self, physics: Physics) -> Float[Array, " 3"]:
        """See `Task`."""
        axis = self.frame(physics, "pole")[:, 2]
        return jnp.stack([axis[2], axis[0], physics.qvel[0]])

    def reward(
        self, before: Physics, action: Float[Array, " 1"], after: Physics
    ) -> tuple[Float[Array, ""], Terms]:
        """See `Task`."""
        if self.spin:
            fast = at_least(jnp.abs(after.qvel[0]), 9, margin=4.5, value_at_margin=0.5)
            return fast, {"fast": fast}
        upright = tolerance(self.frame(after, "pole")[2, 2], (_UPRIGHT, 1))
        return upright, {"upright": upright}
