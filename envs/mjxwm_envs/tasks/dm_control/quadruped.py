"""The suite's quadruped: walk and run. 78 observations, 12 actions."""

import dataclasses

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from mjxwm_envs.core import Initial, Physics
from mjxwm_envs.tasks.dm_control import models, starts
from mjxwm_envs.tasks.dm_control.suite import INF, SuiteTask, Terms, at_least, product
from mjxwm_envs.tasks.rewards import tolerance

_EPISODE = 20.0  # [s]
_TOES = ("front_left", "front_right", "back_right", "back_left")
_FORCES = tuple(f"{kind}_toe_{toe}" for kind in ("force", "torque") for toe in _TOES)


@dataclasses.dataclass(frozen=True)
class Quadruped(SuiteTask):
    """Observation: joints, their velocities, activations; velocity and uprightness of the torso,
    accelerometer and gyro; asinh of force [N] and torque [N m] at the toes.

    Episodes start with a random orientation, just above the floor.
    """

    ctrl_dt: float = 0.02
    sim_dt: float = 0.005
    speed: float = 0.5
    """Forward speed [m/s] from which on the reward for moving is 1."""

    @property
    def derived(self) -> tuple[str, ...]:
        """See `Task`."""
        return ("sensordata", "xmat")

    def spec(self) -> mujoco.MjSpec:
        """See `SuiteTask`: without walls, ball, terrain and rangefinders."""
        spec = models.spec("quadruped")
        size = _EPISODE * self.speed
        spec.geom("floor").size = (size, size, 0.5)
        models.remove(
            spec, "geom", "terrain", *(f"wall_{side}" for side in ("px", "py", "nx", "ny"))
        )
        models.remove(spec, "body", "ball")
        models.remove(spec, "site", "target")
        for sensor in list(spec.sensors):
            if sensor.type == mujoco.mjtSensor.mjSENS_RANGEFINDER:
                spec.delete(sensor)
        return spec

    def initial(self, key: PRNGKeyArray) -> Initial:
        """See `Task`."""
        turn = jax.random.normal(key, (4,))
        turn = turn / jnp.linalg.norm(turn)
        height = starts.clear_height(self.body, turn)
        qpos = jnp.asarray(self.body.qpos0, turn.dtype).at[3:7].set(turn)
        return self.at_rest(qpos.at[:3].set(jnp.array([0.0, 0.0, 1.0]) * height))

    def observe(self, physics: Physics) -> Float[Array, " 78"]:
        """See `Task`."""
        angles, rates = self._hinges()
        imu = self.sensor(physics, "imu_accel", "imu_gyro")
        forces = jnp.arcsinh(self.sensor(physics, *_FORCES))
        return jnp.concatenate(
            [
                *(physics.qpos[angles], physics.qvel[rates], physics.act),
                self.sensor(physics, "velocimeter"),
                self.frame(physics, "torso")[2, 2][None],
                *(imu, forces),
            ]
        )

    def reward(
        self, before: Physics, action: Float[Array, " 12"], after: Physics
    ) -> tuple[Float[Array, ""], Terms]:
        """See `Task`: product of uprightness and forward speed."""
        forward, up = self.sensor(after, "velocimeter")[0], self.frame(after, "torso")[2, 2]
        return product(
            {
                "upright": tolerance(up, (1, INF), 2, "linear", 0.0),
                "move": at_least(forward, self.speed, self.speed, 0.5),
            }
        )

    def _hinges(self) -> tuple[np.ndarray, np.ndarray]:
        hinges = self.body.jnt_type == mujoco.mjtJoint.mjJNT_HINGE
        return self.body.jnt_qposadr[hinges], self.body.jnt_dofadr[hinges]
