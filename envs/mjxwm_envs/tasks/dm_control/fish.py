"""A fish in water: swim to a target, or only stay upright. 5 actions."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from mjxwm_envs.core import Initial, Marker, Physics
from mjxwm_envs.tasks.dm_control import models
from mjxwm_envs.tasks.dm_control.suite import SuiteTask, Terms
from mjxwm_envs.tasks.rewards import tolerance

_JOINTS = (
    *("tail1", "tail_twist", "tail2"),
    *("finright_roll", "finright_pitch", "finleft_roll", "finleft_pitch"),
)
_WATERS = (-0.4, -0.4, 0.1), (0.4, 0.4, 0.3)  # range of targets [m]


@dataclasses.dataclass(frozen=True)
class FishUpright(SuiteTask):
    """Observation: seven joints [rad], the cosine of the roll and pitch together, velocities."""

    ctrl_dt: float = 0.04
    sim_dt: float = 0.004

    @property
    def derived(self) -> tuple[str, ...]:
        """See `Task`."""
        return ("xmat",)

    def spec(self) -> mujoco.MjSpec:
        """See `SuiteTask`."""
        return models.spec("fish")

    def initial(self, key: PRNGKeyArray) -> Initial:
        """See `Task`: random orientation, joints within 0.2 rad."""
        key_turn, key_joints = jax.random.split(key)
        turn = jax.random.normal(key_turn, (4,))
        joints = jax.random.uniform(key_joints, (len(_JOINTS),), minval=-0.2, maxval=0.2)
        qpos = jnp.asarray(self.body.qpos0, joints.dtype)
        qpos = qpos.at[3:7].set(turn / jnp.linalg.norm(turn)).at[self._joints()].set(joints)
        return self.at_rest(qpos)

    def observe(self, physics: Physics) -> Float[Array, " o"]:
        """See `Task`."""
        return jnp.concatenate([*self._posture(physics), physics.qvel])

    def reward(
        self, before: Physics, action: Float[Array, " 5"], after: Physics
    ) -> tuple[Float[Array, ""], Terms]:
        """See `Task`."""
        upright = tolerance(self._upright(after), (1, 1), margin=1)
        return upright, {"upright": upright}

    def show(self, model: mujoco.MjModel, goal: Any) -> Sequence[Marker]:
        """See `Task`: hides the target, which this task does not use."""
        model.geom("target").rgba[3] = 0
        return ()

    def _joints(self) -> np.ndarray:
        return np.array([self.body.joint(name).qposadr[0] for name in _JOINTS])

    def _posture(self, physics: Physics) -> list[Float[Array, " n"]]:
        return [physics.qpos[self._joints()], self._upright(physics)[None]]

    def _upright(self, physics: Physics) -> Float[Array, ""]:
        return self.frame(physics, "torso")[2, 2]


@dataclasses.dataclass(frozen=True)
class FishSwim(FishUpright):
    """Observation: as `FishUpright`, with the target in the mouth's frame [m] before velocities."""

    @property
    def derived(self) -> tuple[str, ...]:
        """See `Task`."""
        return ("xmat", "geom_xpos", "geom_xmat")

    def initial(self, key: PRNGKeyArray) -> Initial:
        """See `Task`; goal: the target [m]."""
        key, key_target = jax.random.split(key)
        low, high = map(jnp.array, _WATERS)
        target = jax.random.uniform(key_target, (3,), minval=low, maxval=high)
        return super().initial(key)._replace(goal=target)

    def observe(self, physics: Physics) -> Float[Array, " 24"]:
        """See `Task`."""
        return jnp.concatenate([*self._posture(physics), self._to_target(physics), physics.qvel])

    def reward(
        self, before: Physics, action: Float[Array, " 5"], after: Physics
    ) -> tuple[Float[Array, ""], Terms]:
        """See `Task`: the mouth's distance to the target, and with a small weight uprightness."""
        radii = float(self.body.geom("mouth").size[0] + self.body.geom("target").size[0])
        distance = jnp.linalg.norm(self._to_target(after))
        terms = {
            "in_target": tolerance(distance, (0, radii), margin=2 * radii),
            "upright": (self._upright(after) + 1) / 2,
        }
        return (7 * terms["in_target"] + terms["upright"]) / 8, terms

    def show(self, model: mujoco.MjModel, goal: Any) -> Sequence[Marker]:
        """See `Task`: moves the target."""
        model.geom("target").pos[:] = goal
        return ()

    def _to_target(self, physics: Physics) -> Float[Array, " 3"]:
        mouth = self.body.geom("mouth").id
        frame = physics.derived["geom_xmat"][mouth].reshape(3, 3)
        return (physics.goal - physics.derived["geom_xpos"][mouth]) @ frame
