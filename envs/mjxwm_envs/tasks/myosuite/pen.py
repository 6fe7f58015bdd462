"""Pen: turn a pen on the palm to a direction. MyoSuite's HandPenTwirl, fixed and random."""

import dataclasses

import jax
import jax.numpy as jnp
import mujoco
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from mjxwm_envs.core import Initial, Physics
from mjxwm_envs.tasks.myosuite import models
from mjxwm_envs.tasks.myosuite.muscles import MuscleTask, Terms, count, effort, norm, total

_HOME = (-0.23, -0.53, 1.445)  # [m] start of the pen, where it should stay
_HALF = 0.065  # [m] half of the pen's length
_DROPPED = 0.075  # [m]
_PALM_UP = -1.5  # [rad] of the forearm

# Clip and caps do not collide but have mass. The target shows the pen's goal orientation.
_PARTS = """
  <geom type="cylinder" size=".017 .02" pos="0 0 -.0455" contype="0" conaffinity="0"/>
  <geom type="cylinder" size=".013 .002" pos="0 0 .067" contype="0" conaffinity="0"/>
  <geom type="box" size=".004 .006 .03" pos="-.015 0 -.0255" contype="0" conaffinity="0"/>
"""
_PEN = f"""
<body name="pen" pos="{_HOME[0]} {_HOME[1]} {_HOME[2]}" euler="0 1.27 0">
  <joint name="pen_x" type="slide" axis="1 0 0"/>
  <joint name="pen_y" type="slide" axis="0 1 0"/>
  <joint name="pen_z" type="slide" axis="0 0 1"/>
  <joint name="pen_rx" axis="1 0 0"/>
  <joint name="pen_ry" axis="0 1 0"/>
  <joint name="pen_rz" axis="0 0 1"/>
  <geom type="cylinder" size=".015 {_HALF}" condim="4" density="1500" rgba=".6 .6 .6 .6"/>
  {_PARTS}
  <site name="pen_top" pos="0 0 {_HALF}"/>
  <site name="pen_bottom" pos="0 0 -{_HALF}"/>
</body>
<body name="target" pos="0 -.54 1.382">
  <geom type="cylinder" size=".015 {_HALF}" condim="4" rgba=".6 .6 .6 .3"/>
  {_PARTS}
</body>
"""


@models.once
def _body() -> mujoco.MjSpec:
    return models.watch(models.hand_with(_PEN), ("pen_top", "pen_bottom"), ("pen",))


@dataclasses.dataclass(frozen=True)
class HandPen(MuscleTask):
    """Turn the pen to the episode's goal, a unit vector [3]; 83 observations, 39 actions.

    Observation: the hand's qpos, the pen's position, velocity dt and direction, the goal, the
    errors of position and direction (pen - goal), activations. If random, each episode has another
    goal.
    """

    random: bool = False
    ctrl_dt: float = 0.01
    episode_length: int = 50

    def body(self) -> mujoco.MjModel:
        """See `MuscleTask`."""
        return _body()

    def initial(self, key: PRNGKeyArray) -> Initial:
        """See `Task`: an open hand, palm up, under the pen; the goal's Euler angles in +-1 rad."""
        model, goal, fields = self.body(), jnp.array([0.0, 0.0, 1.0]), {}
        if self.random:
            x, y = jax.random.uniform(key, (2,), minval=-1.0, maxval=1.0)
            goal, quat = direction(x, y)
            target = model.body("target").id
            fields = {"body_quat": jnp.asarray(model.body_quat).at[target].set(quat)}
        qpos = jnp.zeros(model.nq).at[0].set(_PALM_UP)
        return Initial(qpos, jnp.zeros(model.nv), jnp.zeros(model.na), goal, fields)

    def observe(self, physics: Physics) -> Float[Array, " 83"]:
        """See `Task`."""
        place, axis = _pen(physics)
        velocity, goal = physics.qvel[-6:] * self.ctrl_dt, physics.goal
        errors = [place - jnp.array(_HOME), axis - goal]
        return jnp.concatenate(
            [physics.qpos[:-6], place, velocity, axis, goal, *errors, physics.act]
        )

    def reward(
        self, before: Physics, action: Float[Array, " 39"], after: Physics
    ) -> tuple[Float[Array, ""], Terms]:
        """See `Task`: cosine - distance - 5 effort; +10 and +60 if aligned, -5 if dropped."""
        cosine, held = _cosine(after), ~self.failed(after)
        bonus = count((cosine > 0.9) & held) + 5 * count((cosine > 0.95) & held)
        return total(
            {
                "pos_align": -_distance(after),
                "rot_align": cosine,
                "act_reg": -5 * effort(after.act),
                "drop": -5 * count(~held),
                "bonus": 10 * bonus,
            }
        )

    def failed(self, physics: Physics) -> Bool[Array, ""]:
        """See `MuscleTask`: the pen is dropped."""
        return _distance(physics) > _DROPPED

    def success(self, physics: Physics) -> Bool[Array, ""]:
        """See `Task`."""
        return (_cosine(physics) > 0.95) & ~self.failed(physics)


def direction(
    x: Float[Array, ""], y: Float[Array, ""]
) -> tuple[Float[Array, " 3"], Float[Array, " 4"]]:
    """The z axis after a rotation by x [rad] about the x axis, then by y about the new y axis.

    Returns:
        The rotated axis, and the rotation as a quaternion.
    """
    (sx, cx), (sy, cy) = (jnp.sin(x), jnp.cos(x)), (jnp.sin(y), jnp.cos(y))
    (hsx, hcx), (hsy, hcy) = (jnp.sin(x / 2), jnp.cos(x / 2)), (jnp.sin(y / 2), jnp.cos(y / 2))
    quat = jnp.stack([hcx * hcy, hsx * hcy, hcx * hsy, hsx * hsy])
    return jnp.stack([sy, -sx * cy, cx * cy]), quat


def _pen(physics: Physics) -> tuple[Float[Array, " 3"], Float[Array, " 3"]]:
    top, bottom, place = physics.derived["sensordata"].reshape(3, 3)
    return place, (top - bottom) / (2 * _HALF)


def _distance(physics: Physics) -> Float[Array, ""]:
    return norm(_pen(physics)[0] - jnp.array(_HOME))


def _cosine(physics: Physics) -> Float[Array, ""]:
    _, axis = _pen(physics)
    return axis @ physics.goal / (norm(axis) * norm(physics.goal))
