"""Humanoids with 152 muscles, composed at run time from the installed package myo-sim.

| body | description |
|---|---|
| `direct` | reduced; tension = 0.36 F0 x activation, no activation state: the SNU humanoid's law |
| `muscle` | reduced; MuJoCo's muscles: activation dynamics, force-length, force-velocity, passive |
| `legs` | lower limbs only, 76 fibres each, stiff trunk; the direct law |
| `full` | unreduced joints, couplings and wrapping surfaces; MuJoCo's muscles |

All but `legs` have 40 muscles in each leg and 72 in the trunk. Reduced means one-hinge knees, one
spine joint of three hinges and tendons through fixed points: 24 positions (21 without the spine's,
53 unreduced). Nothing of myo-sim is copied into this project or written into its folder. There are
no arms: their data were released for non-commercial use.
"""

import copy
import functools

import mujoco

from mjxwm_envs.tasks.locomotion.muscle_body import cache
from mjxwm_envs.tasks.locomotion.muscle_body.bodies import BODIES, compose
from mjxwm_envs.tasks.locomotion.muscle_body.sources import version

__all__ = ["BODIES", "model"]


def model(body: str) -> mujoco.MjModel:
    """One of the `BODIES`, compiled; its first keyframe is the start pose.

    Raises:
        ValueError: the body is unknown, or myo-sim is missing or has different muscles.
    """
    if body not in BODIES:
        raise ValueError(f"body={body!r} is unknown; choose one of {', '.join(BODIES)}")
    # A copy, as callers may change it.
    return copy.copy(_model(body, version()))


@functools.cache
def _model(body: str, installed: str) -> mujoco.MjModel:
    inputs = (*cache.sources_of(__file__), *cache.files_of("myo_sim"))
    key = cache.key(installed, mujoco.__version__, body, *inputs)
    return cache.load_or_make(f"muscle-{body}-{key}", lambda: compose(body))
