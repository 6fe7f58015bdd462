"""Key: turn a key between index finger and thumb. MyoSuite's HandKeyTurn, fixed and random."""

import dataclasses
import math

import jax
import jax.numpy as jnp
import mujoco
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from mjxwm_envs.core import Initial, Physics
from mjxwm_envs.tasks.myosuite import models
from mjxwm_envs.tasks.myosuite.muscles import MuscleTask, Terms, count, effort, norm, total

_KEY = """
<body name="key" pos="-.15 -.55 1.425" euler="0 0 2.2">
  <joint name="key" axis="1 0 0" frictionloss=".02" damping=".1"/>
  <geom name="keyhead" type="ellipsoid" size=".03 .03 .004" rgba=".6 .6 .5 1"/>
  <geom type="capsule" size=".005 .07" pos="-.045 0 0" euler="0 1.57 0" rgba=".6 .6 .5 1"/>
  <geom type="box" size=".015 .01 .004" pos="-.1 .008 0" rgba=".6 .6 .5 1"/>
  <site name="keyhead" size=".005"/>
</body>
"""
_REST = 0.03  # [m] distance of a fingertip from the centre of the key's head when they touch
_FAR = 0.1  # [m]
_ANGLE_RANGE = math.pi / 2  # [rad]
_PLACE_RANGE = 0.01  # [m]


@models.once
def _body() -> mujoco.MjSpec:
    spec = models.watch(models.hand_with(_KEY), ("keyhead", "IFtip", "THtip"))
    # Hand and key never reach the ground: no collision tests with it.
    for geom in spec.worldbody.geoms:
        geom.contype = geom.conaffinity = 0
    return spec


@dataclasses.dataclass(frozen=True)
class HandKey(MuscleTask):
    """Turn the key as far as possible; 93 observations, 39 actions.

    Observation: the hand's qpos, its qvel dt, angle and velocity dt of the key, the key's head
    relative to index fingertip and thumb, activations. If random, each episode has another angle
    and position of the key.
    """

    random: bool = False
    angle: float = 3.14
    """Angle of the key [rad] beyond which the task is solved."""
    episode_length: int = 200

    def body(self) -> mujoco.MjModel:
        """See `MuscleTask`."""
        return _body()

    def initial(self, key: PRNGKeyArray) -> Initial:
        """See `Task`: an open hand at rest."""
        model, fields = self.body(), {}
        qpos = jnp.zeros(model.nq)
        if self.random:
            key_angle, key_place = jax.random.split(key)
            angle = jax.random.uniform(key_angle, minval=-_ANGLE_RANGE, maxval=_ANGLE_RANGE)
            shift = jax.random.uniform(key_place, (3,), minval=-_PLACE_RANGE, maxval=_PLACE_RANGE)
            qpos = qpos.at[-1].set(angle)
            fields = {"body_pos": jnp.asarray(model.body_pos).at[-1].add(shift)}
        return Initial(qpos, jnp.zeros(model.nv), jnp.zeros(model.na), (), fields)

    def observe(self, physics: Physics) -> Float[Array, " 93"]:
        """See `Task`."""
        qpos, qvel = physics.qpos, physics.qvel * self.ctrl_dt
        angle = [qpos[-1:], qvel[-1:]]
        return jnp.concatenate([qpos[:-1], qvel[:-1], *angle, *_to_head(physics), physics.act])

    def reward(
        self, before: Physics, action: Float[Array, " 39"], after: Physics
    ) -> tuple[Float[Array, ""], Terms]:
        """See `Task`: the angle; +4 beyond pi/2, +8 beyond pi; minus distances and effort."""
        angle, (index, thumb) = after.qpos[-1], _gaps(after)
        return total(
            {
                "key_turn": angle,
                "IFtip_approach": -10 * index,
                "THtip_approach": -10 * thumb,
                "act_reg": -effort(after.act),
                "bonus": 4 * count(angle > math.pi / 2, angle > math.pi),
                "penalty": -25 * count(index > _FAR / 2, thumb > _FAR / 2),
            }
        )

    def failed(self, physics: Physics) -> Bool[Array, ""]:
        """See `MuscleTask`: index finger or thumb is away from the key."""
        index, thumb = _gaps(physics)
        return (index > _FAR) | (thumb > _FAR)

    def success(self, physics: Physics) -> Bool[Array, ""]:
        """See `Task`."""
        return physics.qpos[-1] > self.angle


def _to_head(physics: Physics) -> tuple[Float[Array, " 3"], Float[Array, " 3"]]:
    head, index, thumb = physics.derived["sensordata"].reshape(3, 3)
    return head - index, head - thumb


def _gaps(physics: Physics) -> tuple[Float[Array, ""], Float[Array, ""]]:
    index, thumb = _to_head(physics)
    return jnp.abs(norm(index) - _REST), jnp.abs(norm(thumb) - _REST)
