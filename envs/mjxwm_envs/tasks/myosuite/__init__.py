"""MyoSuite's tasks on muscle-driven bodies, for every engine. Needs `pip install 'mjxwm[muscles]'`.

Names are MyoSuite's without "Fixed" and version: myoHandReachRandom-v0 is "myo-hand-reach-random".
TD-MPC2's ten tasks have the names of its paper: the same tasks without early termination, 100 steps
long, with "-hard" for random ("myo-reach-hard").
"""

import functools
import math
from collections.abc import Callable

from mjxwm_envs.task import Task
from mjxwm_envs.tasks.myosuite.hold import HandHold
from mjxwm_envs.tasks.myosuite.key import HandKey
from mjxwm_envs.tasks.myosuite.muscles import MuscleTask
from mjxwm_envs.tasks.myosuite.pen import HandPen
from mjxwm_envs.tasks.myosuite.pose import ElbowPose, FingerPose, HandPose
from mjxwm_envs.tasks.myosuite.reach import FingerReach, HandReach
from mjxwm_envs.tasks.myosuite.walk import LegWalk

_HAND: dict[str, tuple[Callable[..., MuscleTask], Callable[..., MuscleTask]]] = {
    # The fixed and the random version.
    "reach": (HandReach, functools.partial(HandReach, random=True, far=0.075)),
    "pose": (HandPose, functools.partial(HandPose, random=True)),
    "obj-hold": (HandHold, functools.partial(HandHold, random=True)),
    "key-turn": (HandKey, functools.partial(HandKey, random=True, angle=2 * math.pi)),
    "pen-twirl": (HandPen, functools.partial(HandPen, random=True)),
}
_TDMPC2 = {"terminates": False, "episode_length": 100}

TASKS: dict[str, Callable[[], Task]] = {
    "myo-elbow-pose": ElbowPose,
    "myo-elbow-pose-random": functools.partial(ElbowPose, random=True),
    "myo-finger-pose": FingerPose,
    "myo-finger-pose-random": functools.partial(FingerPose, random=True),
    "myo-finger-reach": FingerReach,
    "myo-finger-reach-random": functools.partial(FingerReach, random=True),
    "myo-leg-walk": LegWalk,
}
"""Factories by name."""
for _name, (_fixed, _random) in _HAND.items():
    TASKS[f"myo-hand-{_name}"] = _fixed
    TASKS[f"myo-hand-{_name}-random"] = _random
    TASKS[f"myo-{_name}"] = functools.partial(_fixed, **_TDMPC2)
    TASKS[f"myo-{_name}-hard"] = functools.partial(_random, **_TDMPC2)
