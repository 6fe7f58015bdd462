"""dm_control's own environments, set to the states of ours; TD-MPC2's rewards written on them."""

import functools
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from dm_control import suite
from dm_control.utils import rewards
from mjxwm_envs.core import Initial

INF = float("inf")
_LINEAR = {"sigmoid": "linear"}


class Outcome(NamedTuple):
    """What an environment says after a step."""

    obs: np.ndarray
    reward: float


def _backwards(speed: float, margin: float, value: float) -> Callable[[Any], float]:
    return functools.partial(
        rewards.tolerance, bounds=(-INF, -speed), margin=margin, value_at_margin=value, **_LINEAR
    )


def _walker(physics: Any, speed: float) -> float:
    up = rewards.tolerance(physics.torso_height(), (1.2, INF), 0.6)
    stand = (3 * up + (1 + physics.torso_upright()) / 2) / 4
    move = _backwards(speed, speed / 2, 0.5)(physics.horizontal_velocity())
    return stand * (5 * move + 1) / 6


def _high(z: float) -> float:
    return rewards.tolerance(z, (1.2, INF), 0.6)


def _one_foot(physics: Any, lifted: str) -> float:
    torso, foot = physics.named.data.xpos[["torso", lifted], "z"]
    speed = rewards.tolerance(physics.speed(), (6, INF), 6, value_at_margin=0, **_LINEAR)
    return (3 * _high(foot) + 2 * _high(torso)) / 5 * (5 * speed + 1) / 6


def _jump(physics: Any) -> float:
    z = physics.named.data.xpos[["torso", "bfoot", "ffoot"], "z"]
    still = rewards.tolerance(physics.speed(), (-0.5, 0.5), 0.5, value_at_margin=0, **_LINEAR)
    each = [(5 * _high((z[0] + foot) / 2) + still) / 6 for foot in z[1:]]
    return sum(each) / 2


def _hop_back(physics: Any) -> float:
    standing = rewards.tolerance(physics.height(), (0.6, 2))
    return standing * _backwards(1, 0.5, 0.5)(physics.speed())


def _whirl(physics: Any) -> float:
    distance = np.linalg.norm(physics.ball_to_target())
    speed = np.linalg.norm(physics.named.data.qvel[["ball_x", "ball_z"]])
    far = rewards.tolerance(distance, (0.5, INF), 0.25, value_at_margin=0.5, **_LINEAR)
    fast = rewards.tolerance(speed, (6, INF), 3, value_at_margin=0.5, **_LINEAR)
    return (1 - physics.in_target()) * (far + 2 * fast) / 3


def _spin(physics: Any) -> float:
    speed = abs(float(physics.angular_velocity().item()))
    return rewards.tolerance(speed, (9, INF), 4.5, value_at_margin=0.5, **_LINEAR)


OWN: dict[str, tuple[str, str, Callable[[Any], float]]] = {
    "cheetah-jump": ("cheetah", "run", _jump),
    "cheetah-run-back": ("cheetah", "run", functools.partial(_one_foot, lifted="ffoot")),
    "cheetah-run-backwards": ("cheetah", "run", lambda p: _backwards(8, 8, 0)(p.speed())),
    "cheetah-run-front": ("cheetah", "run", functools.partial(_one_foot, lifted="bfoot")),
    "cup-spin": ("ball_in_cup", "catch", _whirl),
    "hopper-hop-backwards": ("hopper", "hop", _hop_back),
    "pendulum-spin": ("pendulum", "swingup", _spin),
    "walker-run-backwards": ("walker", "run", functools.partial(_walker, speed=8)),
    "walker-walk-backwards": ("walker", "walk", functools.partial(_walker, speed=1)),
}
"""TD-MPC2's tasks: domain, a task of it with the same observation, the reward."""
NO_PEER = ("reacher-three-easy", "reacher-three-hard")


class Peer:
    """dm_control's environment for our task `name`."""

    def __init__(self, name: str, seed: int = 0):
        domain, task, self._reward = OWN.get(name, (*_split(name), None))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.env = suite.load(domain, task, task_kwargs={"random": seed})
        self.domain, self.physics = domain, self.env.physics

    def reset(self) -> None:
        self.env.reset()

    def act(self, rng: np.random.Generator) -> np.ndarray:
        spec = self.env.action_spec()
        return rng.uniform(spec.minimum, spec.maximum).astype(np.float32)

    def state(self) -> Initial:
        """Where it is, in float32, as a start state of ours."""
        data = self.physics.data
        return Initial(*(np.float32(x) for x in (data.qpos, data.qvel, data.act)), self.goal())

    def goal(self) -> Any:
        named = self.physics.named
        if self.domain == "reacher":
            return np.float32(named.model.geom_pos["target", :2])
        if self.domain == "fish" and "swim" in type(self.env.task).__name__.lower():
            return np.float32(named.model.geom_pos["target"])
        if type(self.env.task).__name__ == "Turn":
            hinge = named.data.xanchor["hinge", ["x", "z"]]
            return np.float32(np.arctan2(*(named.model.site_pos["target", ["x", "z"]] - hinge)))
        return ()

    def put(self, state: Initial) -> Outcome:
        """Sets it to a state of ours, in this episode."""
        with self.physics.reset_context():
            for field in ("qpos", "qvel", "act"):
                getattr(self.physics.data, field)[:] = getattr(state, field)
        if self.domain in ("reacher", "fish") and np.size(state.goal):
            n = np.size(state.goal)
            self.physics.named.model.geom_pos["target"][:n] = state.goal
        # A reset of theirs leaves out the actuators, whose lengths are then missing in its first
        # step; within an episode they are there.
        self.physics.forward()
        self.physics.data.qacc_warmstart[:] = 0  # as in a fresh world of ours
        return self._outcome(0.0)

    def step(self, ctrl: np.ndarray) -> Outcome:
        return self._outcome(self.env.step(ctrl).reward)

    def _outcome(self, reward: float) -> Outcome:
        observation = self.env.task.get_observation(self.physics)
        if self._reward is not None:
            reward = self._reward(self.physics)
        return Outcome(np.concatenate([np.ravel(x) for x in observation.values()]), float(reward))


def _split(name: str) -> tuple[str, str]:
    domain, task = name.split("-", 1)
    return {"cup": "ball_in_cup"}.get(domain, domain), task.replace("-", "_")
