"""Pose: bring joints to angles. MyoSuite's HandPose, ElbowPose and FingerPose, fixed and random."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from mjxwm_envs.core import Initial, Marker, Physics
from mjxwm_envs.tasks.myosuite import models
from mjxwm_envs.tasks.myosuite.muscles import MuscleTask, Terms, count, effort, norm, targets, total

_FAR = 2 * math.pi  # [rad] 2-norm over all joints

# Joint by joint [rad], wrist, thumb, then four fingers: MyoSuite's fixed target, and the ranges
# over its ten poses of American Sign Language digits, from which random targets are drawn.
_HAND_TARGET = (
    *(0, 0, 0),
    *(0.0824475, -0.0904, -0.681555, -0.514888),
    *(0, -0.013964, -0.0458132, 0),
    *(0.67553, -0.020944, 0.76979, 0.65982),
    *(0, 0, 0, 0),
    *(0.479155, -0.099484, 0.95831, 0),
)
_HAND_LOW = (
    *(0, 0, 0),
    *(-0.147495, 0.0248, -0.7854, -1.309),
    *(0.366605, -0.006982, 0.128305, 0.111722),
    *(0.39275, 0, 0.18852, 0.117825),
    *(0.306345, -0.204204, 0, 0.06284),
    *(0.21994, -0.2618, 0.18852, 0.01571),
)
_HAND_HIGH = (
    *(0, 0, 0),
    *(0.28272, 0.6392, 0.01569, -0.0262045),
    *(1.30045, 0.010473, 1.45492, 0.998897),
    *(1.48459, 0, 1.45318, 1.44532),
    *(1.571, -0.010472, 1.52387, 1.45318),
    *(1.48459, -0.068068, 1.571, 1.571),
)
_ELBOW_TARGET, _ELBOW_LOW, _ELBOW_HIGH = (2.0,), (0.0,), (2.27,)
_FINGER_TARGET, _FINGER_LOW, _FINGER_HIGH = (
    (0.0, 0.0, 0.75, 0.75),
    (-0.2, -0.4, 0.1, 0.1),
    (0.2, 1.0, 1.0, 1.0),
)

_hand = models.once(lambda: models.watch(models.hand()))
_elbow = models.once(lambda: models.watch(models.packaged("myoelbow")))
_finger = models.once(lambda: models.watch(models.packaged("myofinger")))


@dataclasses.dataclass(frozen=True)
class Pose(MuscleTask):
    """Move the joints to the episode's goal, target angles [nq].

    Observation: qpos, qvel dt, the errors (target - angle), activations.
    """

    random: bool = False
    tips: ClassVar[tuple[str, ...]]
    """Sites that show the target pose in pictures."""
    near: float = 0.35
    """Distance from the target [rad], 2-norm over all joints, below which the task is solved."""

    @property
    def derived(self) -> tuple[str, ...]:
        """See `Task`: no fields."""
        return ()

    def bounds(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Lowest and highest target angles [rad]."""
        raise NotImplementedError

    def starts_anywhere(self) -> bool:
        """Whether episodes start at angles uniform in the joints' ranges, instead of at rest."""
        return False

    def initial(self, key: PRNGKeyArray) -> Initial:
        """See `Task`: without velocity; see `starts_anywhere`."""
        model, (key_target, key_qpos) = self.body(), jax.random.split(key)
        low, high = map(jnp.array, self.bounds())
        target = low + (high - low) * jax.random.uniform(key_target, low.shape)
        qpos = jnp.asarray(model.qpos0)
        if self.starts_anywhere():
            low, high = jnp.asarray(model.jnt_range.T)
            qpos = jax.random.uniform(key_qpos, low.shape, minval=low, maxval=high)
        return Initial(qpos, jnp.zeros(model.nv), jnp.zeros(model.na), target)

    def observe(self, physics: Physics) -> Float[Array, " o"]:
        """See `Task`."""
        qpos, qvel = physics.qpos, physics.qvel * self.ctrl_dt
        return jnp.concatenate([qpos, qvel, physics.goal - qpos, physics.act])

    def reward(
        self, before: Physics, action: Float[Array, " a"], after: Physics
    ) -> tuple[Float[Array, ""], Terms]:
        """See `Task`: minus the distance d over all joints and the effort; +4 and +8 near."""
        d = _distance(after)
        return total(
            {
                "pose": -d,
                "bonus": 4 * count(d < self.near, d < 1.5 * self.near),
                "act_reg": -effort(after.act),
                "penalty": -50 * count(self.failed(after)),
            }
        )

    def show(self, model: mujoco.MjModel, goal: Any) -> Sequence[Marker]:
        """See `Task`: balls at the positions of the tips in the target pose."""
        data = mujoco.MjData(model)
        data.qpos[:] = goal
        mujoco.mj_kinematics(model, data)
        return targets(model, self.tips, np.array([data.site(tip).xpos for tip in self.tips]))

    def failed(self, physics: Physics) -> Bool[Array, ""]:
        """See `MuscleTask`: more than 2 pi from the target."""
        return _distance(physics) > _FAR

    def success(self, physics: Physics) -> Bool[Array, ""]:
        """See `Task`."""
        return _distance(physics) < self.near


@dataclasses.dataclass(frozen=True)
class HandPose(Pose):
    """The 23 joints of MyoHand; 108 observations, 39 actions.

    Fixed: from the open hand to one pose. Random: from any pose to targets among the digits of
    American Sign Language.
    """

    tips: ClassVar[tuple[str, ...]] = ("THtip_r", "IFtip_r", "MFtip_r", "RFtip_r", "LFtip_r")
    near: float = 0.7

    def body(self) -> mujoco.MjModel:
        """See `MuscleTask`."""
        return _hand()

    def bounds(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """See `Pose`."""
        return (_HAND_LOW, _HAND_HIGH) if self.random else (_HAND_TARGET, _HAND_TARGET)

    def starts_anywhere(self) -> bool:
        """See `Pose`."""
        return self.random


@dataclasses.dataclass(frozen=True)
class ElbowPose(Pose):
    """MyoElbow with one joint; 9 observations, 6 actions. Both versions start at any angle."""

    tips: ClassVar[tuple[str, ...]] = ("wrist",)
    near: float = 0.175

    def body(self) -> mujoco.MjModel:
        """See `MuscleTask`."""
        return _elbow()

    def bounds(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """See `Pose`."""
        return (_ELBOW_LOW, _ELBOW_HIGH) if self.random else (_ELBOW_TARGET, _ELBOW_TARGET)

    def starts_anywhere(self) -> bool:
        """See `Pose`."""
        return True


@dataclasses.dataclass(frozen=True)
class FingerPose(Pose):
    """MyoFinger with four joints, from its straight pose; 17 observations, 5 actions."""

    tips: ClassVar[tuple[str, ...]] = ("IFtip",)

    def body(self) -> mujoco.MjModel:
        """See `MuscleTask`."""
        return _finger()

    def bounds(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """See `Pose`."""
        return (_FINGER_LOW, _FINGER_HIGH) if self.random else (_FINGER_TARGET, _FINGER_TARGET)


def _distance(physics: Physics) -> Float[Array, ""]:
    return norm(physics.goal - physics.qpos)
