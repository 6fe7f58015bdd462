"""PWM's ant: four legs of two joints each. 37 observations, 8 actions.

A sphere with four legs in the published dimensions of the Gym ant, of the density, armature, damping
and torque (200 N m) that PWM gives it. Standing still in the start pose returns some 1.6 per step:
up 0.1, heading 1 and the height above 0.27 m, so 1600 in an episode at most.
"""

import dataclasses

from envs.locomotion.floating import FloatingTask


@dataclasses.dataclass(frozen=True)
class Ant(FloatingTask):
    """See `FloatingTask`. Reward: v_x + 0.1 up + heading + (height - 0.27)."""

    fall_height: float = 0.27
    asset = "ant.xml"
