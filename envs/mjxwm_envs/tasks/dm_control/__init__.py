"""dm_control's suite under TD-MPC2's names, and TD-MPC2's own tasks. Needs `mjxwm[suites]`.

A `-fast` task is the same task on a body that is cheaper to simulate: `models.speed_up` and a
longer physics step.
"""

import functools
from collections.abc import Callable

from mjxwm_envs.task import Task
from mjxwm_envs.tasks.dm_control.acrobot import Acrobot
from mjxwm_envs.tasks.dm_control.cartpole import Cartpole
from mjxwm_envs.tasks.dm_control.cheetah import Cheetah, CheetahJump
from mjxwm_envs.tasks.dm_control.cup import Cup
from mjxwm_envs.tasks.dm_control.dog import Dog
from mjxwm_envs.tasks.dm_control.finger import Finger, FingerTurn
from mjxwm_envs.tasks.dm_control.fish import FishSwim, FishUpright
from mjxwm_envs.tasks.dm_control.hopper import SuiteHopper
from mjxwm_envs.tasks.dm_control.humanoid import SuiteHumanoid
from mjxwm_envs.tasks.dm_control.pendulum import Pendulum
from mjxwm_envs.tasks.dm_control.quadruped import Quadruped
from mjxwm_envs.tasks.dm_control.reacher import Reacher, ThreeLinkReacher
from mjxwm_envs.tasks.dm_control.suite import SuiteTask
from mjxwm_envs.tasks.dm_control.walker import Walker

_part = functools.partial

EXACT: dict[str, Callable[..., SuiteTask]] = {
    "acrobot-swingup": Acrobot,
    "acrobot-swingup-sparse": _part(Acrobot, sparse=True),
    "cheetah-jump": CheetahJump,
    "cheetah-run": Cheetah,
    "cheetah-run-back": _part(Cheetah, speed=6.0, foot="back"),
    "cheetah-run-backwards": _part(Cheetah, speed=-8.0),
    "cheetah-run-front": _part(Cheetah, speed=6.0, foot="front"),
    "cup-catch": Cup,
    "cup-spin": _part(Cup, spin=True),
    "dog-run": _part(Dog, speed=9.0),
    "dog-stand": Dog,
    "dog-trot": _part(Dog, speed=3.0),
    "dog-walk": _part(Dog, speed=1.0),
    "finger-spin": Finger,
    "finger-turn-easy": FingerTurn,
    "finger-turn-hard": _part(FingerTurn, target_size=0.03),
    "fish-swim": FishSwim,
    "fish-upright": FishUpright,
    "hopper-hop": _part(SuiteHopper, speed=2.0),
    "hopper-hop-backwards": _part(SuiteHopper, speed=-1.0),
    "hopper-stand": SuiteHopper,
    "humanoid-run": _part(SuiteHumanoid, speed=10.0),
    "humanoid-stand": SuiteHumanoid,
    "humanoid-walk": _part(SuiteHumanoid, speed=1.0),
    "pendulum-spin": _part(Pendulum, spin=True),
    "pendulum-swingup": Pendulum,
    "quadruped-run": _part(Quadruped, speed=5.0),
    "quadruped-walk": Quadruped,
    "reacher-easy": Reacher,
    "reacher-hard": _part(Reacher, target_size=0.015),
    "reacher-three-easy": ThreeLinkReacher,
    "reacher-three-hard": _part(ThreeLinkReacher, target_size=0.015),
    "walker-run": _part(Walker, speed=8.0),
    "walker-run-backwards": _part(Walker, speed=-8.0),
    "walker-stand": Walker,
    "walker-walk": _part(Walker, speed=1.0),
    "walker-walk-backwards": _part(Walker, speed=-1.0),
}
"""Factories by name, of tasks with dm_control's solver settings and time steps."""

_FAST_STEP = {
    "cup": 0.005,
    "finger": 0.02,
    "fish": 0.01,
    "hopper": 0.01,
    "humanoid": 0.025 / 3,
    "quadruped": 0.01,
    "walker": 0.00625,
}
"""Physics steps [s] of the fast variants of bodies for which they are longer."""


def _fast(name: str, task: Callable[..., SuiteTask]) -> Callable[..., SuiteTask]:
    body = name.split("-")[0]
    longer = {"sim_dt": _FAST_STEP[body]} if body in _FAST_STEP else {}
    return _part(task, fast=True, **longer)


TASKS: dict[str, Callable[[], Task]] = {
    "cartpole-balance": _part(Cartpole, swing_up=False),
    "cartpole-balance-sparse": _part(Cartpole, swing_up=False, sparse=True),
    "cartpole-swingup": Cartpole,
    "cartpole-swingup-sparse": _part(Cartpole, sparse=True),
    **EXACT,
    **{f"{name}-fast": _fast(name, task) for name, task in EXACT.items()},
}
"""Factories by name."""
