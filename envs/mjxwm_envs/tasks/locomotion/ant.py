"""PWM's ant: four legs of two joints each. 37 observations, 8 actions.

A sphere with four legs in the published dimensions of the Gym ant, with PWM's density, armature,
damping and torque (200 N m). Without control it sinks onto its legs and gets a reward of 1.13 per
step, 1130 in an episode: up 0.1, heading 1, and the height term.
"""

import dataclasses

from mjxwm_envs.tasks.locomotion.floating import FloatingTask


@dataclasses.dataclass(frozen=True)
class Ant(FloatingTask):
    """See `FloatingTask`. Reward: v_x + 0.1 up + heading + (height - 0.27)."""

    fall_height: float = 0.27
    asset = "ant.xml"
