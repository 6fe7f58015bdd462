"""PWM's anymal: a quadruped robot with twelve motors. 49 observations, 12 actions.

Link lengths and masses of ANYmal B (Hutter et al. 2016, and its published robot description), with
spheres for feet and knees and a capsule for the trunk. As in PWM: springs of 85 N m/rad towards
the stance, damping 2, armature 0.006, torques of 200 N m. Without control it stands and gets a
reward of 1.25 per step, 1250 in an episode.
"""

import dataclasses

from mjxwm_envs.tasks.locomotion.floating import FloatingTask


@dataclasses.dataclass(frozen=True)
class Anymal(FloatingTask):
    """See `FloatingTask`. Reward: v_x + 0.1 up + heading + (height - 0.25) - 0.005 |a|^2."""

    fall_height: float = 0.25
    effort: float = 0.005
    asset = "anymal.xml"
