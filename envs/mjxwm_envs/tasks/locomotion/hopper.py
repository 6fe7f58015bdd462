"""PWM's hopper: hops forward with three motors. 11 observations, 3 actions.

Observation, reward, termination and start noise follow PWM's hopper (Georgiev et al. 2024, arXiv
2407.02466; after Xu et al. 2022, SHAC), on MuJoCo's physics instead of dflex's, so returns are not
comparable. The reward is of the transition, r(s, a, s'); the original's is of the state before the
step. Standing still for a whole episode gives a return of 1.3 x 1000 = 1300.
"""

import dataclasses
import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from mjxwm_envs import assets
from mjxwm_envs.core import Initial, Physics
from mjxwm_envs.tasks.locomotion.contacts import ContactTask
from mjxwm_envs.tasks.rewards import height_bonus

_UPRIGHT = math.pi / 6  # [rad] at which the pitch term is zero


@dataclasses.dataclass(frozen=True)
class Hopper(ContactTask):
    """Observation: height above standing [m], pitch, three joints [rad], and their velocities.

    The height is that of the torso relative to standing upright; the position along x is left out.
    """

    ctrl_dt: float = 1 / 60
    sim_dt: float = 1 / 240
    episode_length: int = 1000
    fall_height: float = -0.45
    """The episode ends below this height relative to standing [m]."""

    def mjcf(self) -> str:
        """See `Task`."""
        return assets.read("hopper.xml")

    def initial(self, key: PRNGKeyArray) -> Initial:
        """See `Task`: standing, with uniform noise of 0.05 on every coordinate and velocity."""
        noise = jax.random.uniform(key, (2, 6), minval=-0.05, maxval=0.05)
        return Initial(noise[0], noise[1], jnp.zeros(0))

    def observe(self, physics: Physics) -> Float[Array, " 11"]:
        """See `Task`."""
        return jnp.concatenate([physics.qpos[1:], physics.qvel])

    def reward(
        self, before: Physics, action: Float[Array, " 3"], after: Physics
    ) -> tuple[Float[Array, ""], dict[str, Float[Array, ""]]]:
        """See `Task`: r = v_x + height + 1 - (pitch / 30 deg)^2 - 0.1 |a|^2."""
        terms = {
            "forward": after.qvel[0],
            "height": height_bonus(after.qpos[1], target=-0.3, slack=0.3),
            "upright": 1 - (after.qpos[2] / _UPRIGHT) ** 2,
            "effort": -0.1 * jnp.sum(action**2),
        }
        return jnp.stack(list(terms.values())).sum(), terms

    def terminated(self, physics: Physics) -> Bool[Array, ""]:
        """See `Task`: the torso is below `fall_height`."""
        return physics.qpos[1] < self.fall_height
