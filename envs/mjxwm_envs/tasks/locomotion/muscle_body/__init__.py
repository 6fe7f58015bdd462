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
from mjxwm_envs.tasks.locomotion.muscle_body.stance import with_stance

__all__ = ["BODIES", "model", "standing"]


def model(body: str) -> mujoco.MjModel:
    """One of the `BODIES`, compiled; its first keyframe is the start pose.

    Raises:
        ValueError: the body is unknown, or myo-sim is missing or has different muscles.
    """
    _check(body, list(BODIES))
    # A copy, as callers may change it.
    return copy.copy(_model(body, version()))


def standing(body: str) -> mujoco.MjModel:
    """One of the reduced bodies, compiled; its first keyframe is a stance in equilibrium.

    The keyframe has the activations that hold the stance, see `with_stance`.

    Raises:
        ValueError: the body is unknown or not reduced, or myo-sim is missing or has different
            muscles.
    """
    _check(body, [name for name in BODIES if name != "full"])
    return copy.copy(_standing(body, version()))


def _check(body: str, bodies: list[str]) -> None:
    if body not in bodies:
        raise ValueError(f"body={body!r} is unknown; choose one of {', '.join(bodies)}")


@functools.cache
def _model(body: str, installed: str) -> mujoco.MjModel:
    return cache.load_or_make(f"muscle-{body}-{_key(body, installed)}", lambda: compose(body))


@functools.cache
def _standing(body: str, installed: str) -> mujoco.MjModel:
    name = f"muscle-{body}-standing-{_key(body, installed)}"
    return cache.load_or_make(name, lambda: with_stance(_model(body, installed)))


def _key(body: str, installed: str) -> str:
    inputs = (*cache.sources_of(__file__), *cache.files_of("myo_sim"))
    return cache.key(installed, mujoco.__version__, body, *inputs)
