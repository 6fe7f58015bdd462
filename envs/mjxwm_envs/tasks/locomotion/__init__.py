"""Locomotion tasks, one per file.

A `-stiff` task is the same body on contacts sixteen times as stiff, with half the physics step.
"""

import functools
from collections.abc import Callable

from mjxwm_envs.task import Task
from mjxwm_envs.tasks.locomotion.ant import Ant
from mjxwm_envs.tasks.locomotion.anymal import Anymal
from mjxwm_envs.tasks.locomotion.hopper import Hopper
from mjxwm_envs.tasks.locomotion.humanoid import Humanoid
from mjxwm_envs.tasks.locomotion.muscle_humanoid import TASKS as MUSCLE_HUMANOID
from mjxwm_envs.tasks.locomotion.muscle_walk import TASKS as MUSCLE_WALK

_STIFF = {"contact_time": 0.005, "sim_dt": 1 / 480}

_BODIES = (Hopper, Ant, Anymal, Humanoid)

TASKS: dict[str, Callable[[], Task]] = {
    **{body.__name__.lower(): body for body in _BODIES},
    **{f"{body.__name__.lower()}-stiff": functools.partial(body, **_STIFF) for body in _BODIES},
    **MUSCLE_HUMANOID,
    **MUSCLE_WALK,
}
