"""PWM's humanoid with 21 motors. 76 observations, 21 actions.

Limb lengths, radii, joint ranges and damping as published for dm_control's humanoid (Tassa et al.
2018, arXiv 1801.00690), torques as PWM scales them: 0.35 of 100 to 600 N m. Standing still would
give a reward of 2.1 per step, 2100 in an episode; without control it falls within a second, with a
return of 65.
"""

import dataclasses

from jaxtyping import Array, Float

from mjxwm_envs.tasks.locomotion.floating import FloatingTask
from mjxwm_envs.tasks.rewards import height_bonus


@dataclasses.dataclass(frozen=True)
class Humanoid(FloatingTask):
    """See `FloatingTask`. Reward: v_x + 0.1 up + heading + height term - 0.002 |a|^2."""

    fall_height: float = 0.74
    effort: float = 0.002
    asset = "humanoid.xml"

    def height_reward(self, height: Float[Array, ""]) -> Float[Array, ""]:
        """10 per metre above 0.84 m, up to 1; -200 d^2 below."""
        return height_bonus(height, target=0.84, slack=0.1, gain=10.0)
