"""Reach: bring fingertips to points. MyoSuite's HandReach and FingerReach, fixed and random."""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from mjxwm_envs.core import Initial, Marker, Physics
from mjxwm_envs.tasks.myosuite import models
from mjxwm_envs.tasks.myosuite.muscles import MuscleTask, Terms, count, norm, targets, total

_HAND_TIPS = ("THtip_r", "IFtip_r", "MFtip_r", "RFtip_r", "LFtip_r")
# Thumb to little finger [m]: the fixed targets, and how far the random ones go below and above.
_HAND_TARGETS = (
    (-0.165, -0.537, 1.495),
    (-0.151, -0.547, 1.455),
    (-0.146, -0.547, 1.447),
    (-0.148, -0.543, 1.445),
    (-0.148, -0.528, 1.434),
)
_HAND_BELOW = ((0.02, 0.04, 0.04), *4 * ((0.04, 0.02, 0.01),))
_HAND_ABOVE = ((0.04, 0.02, 0.04), *4 * ((0.04, 0.02, 0.01),))

_FINGER_TARGET = ((0.2, 0.05, 0.2),)
_FINGER_LOW, _FINGER_HIGH = (0.1, -0.1, 0.1), (0.27, 0.1, 0.3)
_POSES = 100_000

_hand = models.once(lambda: models.watch(models.hand(), _HAND_TIPS))
_finger = models.once(lambda: models.watch(models.packaged("myofinger"), ("IFtip",)))


@dataclasses.dataclass(frozen=True)
class Reach(MuscleTask):
    """Move k fingertips to the episode's goal: k target positions, [3 k] in metres.

    Observation: qpos, qvel dt, the points, the errors (target - point), activations.
    """

    random: bool = False
    tips: ClassVar[tuple[str, ...]]
    """The sites of the fingertips."""
    far: float = 0.35
    """The episode ends if the distance exceeds this times k [m], from the second step on."""

    def initial(self, key: PRNGKeyArray) -> Initial:
        """See `Task`: the model's `qpos0`, without velocity."""
        model = self.body()
        qpos, qvel = jnp.asarray(model.qpos0), jnp.zeros(model.nv)
        return Initial(qpos, qvel, jnp.zeros(model.na), self.target(key))

    def target(self, key: PRNGKeyArray) -> Float[Array, " t"]:
        """Draws the targets of an episode [m]."""
        raise NotImplementedError

    def observe(self, physics: Physics) -> Float[Array, " o"]:
        """See `Task`."""
        points, qvel = physics.derived["sensordata"], physics.qvel * self.ctrl_dt
        return jnp.concatenate([physics.qpos, qvel, points, physics.goal - points, physics.act])

    def reward(
        self, before: Physics, action: Float[Array, " a"], after: Physics
    ) -> tuple[Float[Array, ""], Terms]:
        """See `Task`: minus the distance d over all points; +4 and +8 near, -50 far away."""
        d, near = _distance(after), self._near(after)
        return total(
            {
                "reach": -d,
                "bonus": 4 * count(d < 2 * near, d < near),
                "penalty": -50 * count(self.failed(after)),
            }
        )

    def failed(self, physics: Physics) -> Bool[Array, ""]:
        """See `MuscleTask`: far away, from the second control step on."""
        late = physics.time > 1.5 * self.ctrl_dt
        return late & (_distance(physics) > self.far * (physics.goal.shape[0] // 3))

    def success(self, physics: Physics) -> Bool[Array, ""]:
        """See `Task`."""
        return _distance(physics) < self._near(physics)

    def show(self, model: mujoco.MjModel, goal: Any) -> Sequence[Marker]:
        """See `Task`: a ball at each target."""
        return targets(model, self.tips, goal.reshape(-1, 3))

    def _near(self, physics: Physics) -> float:
        return 0.0125 * (physics.goal.shape[0] // 3)


@dataclasses.dataclass(frozen=True)
class HandReach(Reach):
    """All five fingertips of MyoHand; 115 observations, 39 actions.

    Random targets are in boxes that the hand reaches with bent fingers; it starts open.
    """

    tips: ClassVar[tuple[str, ...]] = _HAND_TIPS
    far: float = 0.044

    def body(self) -> mujoco.MjModel:
        """See `MuscleTask`."""
        return _hand()

    def target(self, key: PRNGKeyArray) -> Float[Array, " 15"]:
        """See `Reach`: fixed, or uniform in a box around the fixed ones."""
        target = jnp.array(_HAND_TARGETS)
        if self.random:
            below, above = jnp.array(_HAND_BELOW), jnp.array(_HAND_ABOVE)
            target += jax.random.uniform(key, target.shape, minval=-below, maxval=above)
        return target.reshape(-1)


@dataclasses.dataclass(frozen=True)
class FingerReach(Reach):
    """The tip of MyoFinger; 19 observations, 5 actions.

    Random targets are positions of the tip at joint angles uniform in their ranges, if they are
    inside a box: each can be reached.
    """

    tips: ClassVar[tuple[str, ...]] = ("IFtip",)

    def body(self) -> mujoco.MjModel:
        """See `MuscleTask`."""
        return _finger()

    def target(self, key: PRNGKeyArray) -> Float[Array, " 3"]:
        """See `Reach`: fixed, or drawn from a table."""
        if not self.random:
            return jnp.array(_FINGER_TARGET).reshape(-1)
        table = _reachable()
        return jnp.asarray(table)[jax.random.randint(key, (), 0, len(table))]


def _distance(physics: Physics) -> Float[Array, ""]:
    return norm(physics.goal - physics.derived["sensordata"])


@functools.cache
def _reachable() -> Float[np.ndarray, "n 3"]:
    """Tip positions [m] in the box: MyoSuite's table, from the same random joint angles."""
    model, random = _finger(), np.random.default_rng(0)
    angles = np.stack([random.uniform(low, high, _POSES) for low, high in model.jnt_range], axis=1)
    data, tips = mujoco.MjData(model), np.empty((_POSES, 3))
    tip = model.site("IFtip").id
    for i, qpos in enumerate(angles):
        data.qpos[:] = qpos
        mujoco.mj_kinematics(model, data)
        tips[i] = data.site_xpos[tip]
    inside = (tips >= _FINGER_LOW) & (tips <= _FINGER_HIGH)
    return tips[inside.all(axis=1)]
