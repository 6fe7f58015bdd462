"""Walk: MyoSuite's LegWalk, two legs with 80 muscles under a rigid torso, on level ground."""

import dataclasses
import math

import jax.numpy as jnp
import mujoco
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from mjxwm_envs.core import Initial, Physics
from mjxwm_envs.tasks.myosuite import models, muscles
from mjxwm_envs.tasks.myosuite.muscles import MuscleTask, Terms, count, norm, total

_OBJ, _SENS = mujoco.mjtObj, mujoco.mjtSensor
_KEYFRAME = 2  # one leg ahead, moving
_SPEED = 1.2  # [m/s] along -y, where the body faces
_STRIDE = 100  # control steps
_SWING = 0.8  # [rad] of the hips
_FALL, _TURN = 0.8, 0.8  # [m] height of the centre of mass; how far x may turn into the body's x
_SOLVED = 0.5  # [m/s] error of the velocity
_SWINGING = ("hip_flexion_l", "hip_flexion_r")
_STILL = ("hip_adduction_l", "hip_adduction_r", "hip_rotation_l", "hip_rotation_r")


@models.once
def _body() -> mujoco.MjSpec:
    spec = models.watch(models.legs(), bodies=("talus_l", "talus_r", "pelvis"))
    for kind, name in ((_SENS.mjSENS_SUBTREECOM, "root"), (_SENS.mjSENS_FRAMEQUAT, "torso")):
        object_ = _OBJ.mjOBJ_BODY if kind == _SENS.mjSENS_SUBTREECOM else _OBJ.mjOBJ_XBODY
        spec.add_sensor(type=kind, objtype=object_, objname=name)
    return spec


@dataclasses.dataclass(frozen=True)
class LegWalk(MuscleTask):
    """Walk at 1.2 m/s; 403 observations, 80 actions, scaled linearly to excitations 0 to 1.

    Observation: qpos without x and y, qvel dt, velocity of the centre of mass (x, y), orientation
    of the torso, heights of both feet, height of the centre of mass, feet relative to the pelvis,
    phase of the stride, muscle lengths [m], velocities [m/s] and forces [kN], activations.
    """

    ctrl_dt: float = 0.01
    sim_dt: float = 0.001
    episode_length: int = 1000

    @property
    def derived(self) -> tuple[str, ...]:
        """See `Task`."""
        return ("sensordata", "cvel", "actuator_length", "actuator_velocity")

    def body(self) -> mujoco.MjModel:
        """See `MuscleTask`."""
        return _body()

    def shape(self, action: Float[Array, " 80"]) -> Float[Array, " 80"]:
        """See `Task`: unchanged."""
        return action

    def initial(self, key: PRNGKeyArray) -> Initial:
        """See `Task`: always the same keyframe, in mid-stride."""
        model = self.body()
        qpos, qvel = model.key_qpos[_KEYFRAME], model.key_qvel[_KEYFRAME]
        return Initial(jnp.asarray(qpos), jnp.asarray(qvel), jnp.zeros(model.na))

    def observe(self, physics: Physics) -> Float[Array, " 403"]:
        """See `Task`."""
        feet, com, torso = _sensors(physics)
        length = physics.derived["actuator_length"]
        velocity = physics.derived["actuator_velocity"]
        force = muscles.force(self.body(), length, velocity, physics.act) / 1000
        return jnp.concatenate(
            [
                physics.qpos[2:],
                physics.qvel * self.ctrl_dt,
                self._velocity(physics),
                torso,
                feet[:2, 2],
                com[2:],
                (feet[:2] - feet[2]).reshape(-1),
                self._phase(physics)[None],
                length,
                jnp.clip(velocity, -100, 100),
                jnp.clip(force, -100, 100),
                physics.act,
            ]
        )

    def reward(
        self, before: Physics, action: Float[Array, " 80"], after: Physics
    ) -> tuple[Float[Array, ""], Terms]:
        """See `Task`: velocity, rhythm of the hips, heading, straight hips; -100 for a fall."""
        error = self._velocity(after) - jnp.array([0, _SPEED])
        phase = 2 * math.pi * self._phase(after)
        reference = _SWING * jnp.stack([-jnp.cos(phase), jnp.cos(phase)])
        # MyoSuite compares the root with the first keyframe, not with the start keyframe.
        turned = after.qpos[3:7] - jnp.asarray(self.body().key_qpos[0, 3:7])
        return total(
            {
                "vel_reward": 5 * jnp.exp(-(error**2)).sum(),
                "done": -100 * count(self.failed(after)),
                "cyclic_hip": -10 * norm(reference - self._angles(after, _SWINGING)),
                "ref_rot": 10 * jnp.exp(-5 * norm(turned)),
                "joint_angle_rew": 5 * jnp.exp(-5 * jnp.abs(self._angles(after, _STILL)).mean()),
            }
        )

    def failed(self, physics: Physics) -> Bool[Array, ""]:
        """See `MuscleTask`: fallen, or turned away by more than 37 degrees."""
        w, x, y, z = physics.qpos[3:7]
        turn = (w**2 + x**2 - y**2 - z**2) / (w**2 + x**2 + y**2 + z**2)
        _, com, _ = _sensors(physics)
        return (com[2] < _FALL) | (jnp.abs(turn) > _TURN)

    def success(self, physics: Physics) -> Bool[Array, ""]:
        """See `Task`: not fallen, and near the target velocity."""
        error = self._velocity(physics) - jnp.array([0, _SPEED])
        return (norm(error) < _SOLVED) & ~self.failed(physics)

    def _velocity(self, physics: Physics) -> Float[Array, " 2"]:
        # MyoSuite's definition: mean over bodies, weighted by mass, of `cvel`'s velocity at the
        # common centre of mass; with reversed sign, as the body walks along -y.
        mass = jnp.asarray(self.body().body_mass)
        return -(mass @ physics.derived["cvel"])[3:5] / mass.sum()

    def _phase(self, physics: Physics) -> Float[Array, ""]:
        return (jnp.round(physics.time / self.ctrl_dt) % _STRIDE) / _STRIDE

    def _angles(self, physics: Physics, names: tuple[str, ...]) -> Float[Array, " n"]:
        model = self.body()
        return physics.qpos[jnp.array([model.joint(name).qposadr[0] for name in names])]


def _sensors(physics: Physics) -> tuple[Array, Array, Array]:
    feet, com, torso = jnp.split(physics.derived["sensordata"], (9, 12))
    return feet.reshape(3, 3), com, torso
