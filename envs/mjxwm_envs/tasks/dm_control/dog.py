"""The dog: stand, walk, trot, run. 223 observations, 38 actions."""

import dataclasses
import functools
import math

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from mjxwm_envs.core import Initial, Physics
from mjxwm_envs.tasks.dm_control import models
from mjxwm_envs.tasks.dm_control.suite import INF, SuiteTask, Terms, product
from mjxwm_envs.tasks.rewards import tolerance

_EPISODE = 15.0  # [s]
_UPRIGHT = math.cos(math.radians(30))
_STAND = 0.9  # of the height of the default pose
_PARTS = ("skull", "torso", "pelvis")
_WALLS = tuple(f"wall_{side}" for side in ("px", "nx", "py", "ny"))


@dataclasses.dataclass(frozen=True)
class Dog(SuiteTask):
    """Observation: joints, their velocities, heights of torso and pelvis [m], the vertical in the
    frames of skull, torso and pelvis, velocity of the centre of mass, inertial sensors, forces at
    the feet, touch [N], activations.

    Episodes start on the feet, with random heading, velocity and activations.
    """

    ctrl_dt: float = 0.015
    sim_dt: float = 0.005
    speed: float = 0.0
    """Forward speed [m/s]: the reward for moving is 1 from it to twice as much; 0: stand."""

    @property
    def derived(self) -> tuple[str, ...]:
        """See `Task`."""
        return ("sensordata", "xpos", "xmat")

    def spec(self) -> mujoco.MjSpec:
        """See `SuiteTask`: without ball, target and walls."""
        spec = models.spec("dog")
        size = _EPISODE * (self.speed or 1)
        spec.geom("floor").size = (size, size, 0.1)
        models.remove(spec, "camera", "ball", "head")
        models.remove(spec, "body", "ball")
        models.remove(spec, "geom", "target", *_WALLS)
        return spec

    def initial(self, key: PRNGKeyArray) -> Initial:
        """See `Task`."""
        keys, model = jax.random.split(key, 3), self.body
        half = jax.random.uniform(keys[0], (), maxval=jnp.pi)
        turn = jnp.stack([jnp.cos(half), 0 * half, 0 * half, jnp.sin(half)])
        low, high = jnp.asarray(model.actuator_ctrlrange.T, half.dtype)
        push = 2 * jax.random.normal(keys[1], (3,))
        return Initial(
            jnp.asarray(model.qpos0, half.dtype).at[3:7].set(turn),
            jnp.zeros(model.nv).at[jnp.array([0, 1, 5])].set(push),
            jax.random.uniform(keys[2], low.shape, minval=low, maxval=high),
        )

    def observe(self, physics: Physics) -> Float[Array, " 223"]:
        """See `Task`."""
        angles, rates = self._hinges()
        return jnp.concatenate(
            [
                *(physics.qpos[angles], physics.qvel[rates]),
                self.position(physics, "torso", "pelvis")[:, 2],
                *(self.frame(physics, part)[2] for part in _PARTS),
                self._velocity(physics),
                self.sensor(physics, "accelerometer", "velocimeter", "gyro"),
                self.sensor(physics, "foot_L", "foot_R", "hand_L", "hand_R"),
                self._touch(physics),
                physics.act,
            ]
        )

    def reward(
        self, before: Physics, action: Float[Array, " 38"], after: Physics
    ) -> tuple[Float[Array, ""], Terms]:
        """See `Task`: product of heights, uprightness, weight on the feet, and speed."""
        torso, pelvis, weight = _standing(self.body)
        height = self.position(after, "torso", "pelvis")[:, 2]
        upright = jnp.stack([self.frame(after, part)[2, 2] for part in _PARTS])
        touch = self._touch(after).sum()
        terms = {
            "torso": tolerance(height[0], (torso, INF), torso),
            "pelvis": tolerance(height[1], (pelvis, INF), pelvis),
            "upright": tolerance(upright, (_UPRIGHT, INF), _UPRIGHT + 1, "linear", 0.0).prod(),
            "touch": tolerance(touch, (weight, INF), weight, "linear", 0.9),
        }
        if self.speed:
            bounds, margin = (self.speed, 2 * self.speed), max(1.0, self.speed)
            forward = tolerance(self._velocity(after)[0], bounds, margin, "linear", 0.0)
            terms["forward"] = (4 * forward + 1) / 5
        return product(terms)

    def _velocity(self, physics: Physics) -> Float[Array, " 3"]:
        return self.sensor(physics, "torso_linvel") @ self.frame(physics, "torso")

    def _touch(self, physics: Physics) -> Float[Array, " 4"]:
        return self.sensor(physics, "palm_L", "palm_R", "sole_L", "sole_R")

    def _hinges(self) -> tuple[np.ndarray, np.ndarray]:
        hinges = self.body.jnt_type == mujoco.mjtJoint.mjJNT_HINGE
        return self.body.jnt_qposadr[hinges], self.body.jnt_dofadr[hinges]


@functools.cache
def _standing(model: mujoco.MjModel) -> tuple[float, float, float]:
    """Heights of torso and pelvis [m] that count as standing, and the weight [N]."""
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    torso, pelvis = (float(data.body(part).xpos[2]) * _STAND for part in ("torso", "pelvis"))
    mass = float(model.body("torso").subtreemass[0])
    return torso, pelvis, -float(model.opt.gravity[2]) * mass
