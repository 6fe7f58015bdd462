"""A walking body of 152 muscles, after PWM's SNU humanoid. 47 observations, 152 actions.

Observation, reward, termination and start noise follow PWM's SNU humanoid (Georgiev et al. 2024,
arXiv 2407.02466; after Xu et al. 2022, SHAC), with the reward of the transition, r(s, a, s'), and
activations in [0, 1] as in SHAC: muscles pull only. The body is another one, composed from myo-sim
(see `envs.locomotion.muscle_body`), so returns do not compare.
"""

import dataclasses
import functools
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import mujoco
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from envs.core import Initial, Physics, Task
from envs.locomotion import muscle_body
from envs.locomotion.floating import root, tilt
from envs.locomotion.muscle_body.poses import follow


@dataclasses.dataclass(frozen=True)
class MuscleHumanoid(Task):
    """Run along +x. Reward: v_x + 0.1 up + heading - 0.001 x the sum of the activations asked for.

    Observation: height, orientation (w first), linear and angular velocity in the world's axes,
    joint positions, a tenth of the joint velocities, up, heading, and the activations where they
    are a state of their own.
    """

    ctrl_dt: float = 1 / 60
    sim_dt: float = 1 / 240
    episode_length: int = 1000
    body: str = "direct"
    """One of `muscle_body.BODIES`."""
    fall_height: float = 0.44
    """The episode ends with the pelvis below this height [m]: 0.46 of its height in the start pose,
    as with the SNU humanoid, whose pelvis starts at 1 m."""
    effort: float = 0.001
    """Weight of the activations' sum."""
    noise: float = 1.0
    """Scale of the start noise; 0 always starts in the same pose."""

    def model(self) -> mujoco.MjModel:
        """See `Task`.

        Raises:
            ValueError: the body is unknown or myo-sim does not provide it.
        """
        return muscle_body.model(self.body)

    def initial(self, key: PRNGKeyArray) -> Initial:
        """See `Task`: the start pose with PWM's noise, within the joints' ranges, never lowered.

        Uniform: 0.1 m along x and y, 0 to 0.1 m upwards, a tilt of up to 7.5 degrees, 0.2 rad on
        each joint, 0.25 on every velocity. Muscles start at rest.
        """
        model = muscle_body.model(self.body)
        pose, (low, high) = jnp.asarray(model.key_qpos[0]), jnp.asarray(model.jnt_range[1:].T)
        key_at, key_tilt, key_joints, key_qvel = jax.random.split(key, 4)
        at = jax.random.uniform(key_at, (3,), minval=jnp.array([-0.1, -0.1, 0]), maxval=0.1)
        turn = tilt(key_tilt, self.noise * math.pi / 24)
        joints = jax.random.uniform(key_joints, low.shape, minval=-0.2, maxval=0.2)
        joints = jnp.clip(pose[7:] + self.noise * joints, low, high)
        qvel = jax.random.uniform(key_qvel, (model.nv,), minval=-0.25, maxval=0.25)
        qpos = jnp.concatenate([pose[:3] + self.noise * at, turn, joints])
        return Initial(*follow(model, qpos, self.noise * qvel), jnp.zeros(model.na))

    def observe(self, physics: Physics) -> Float[Array, " o"]:
        """See `Task`."""
        r, joints, rates = root(physics.qpos, physics.qvel), physics.qpos[7:], physics.qvel[6:]
        ends = jnp.stack([r.up, r.heading])
        parts = [r.height[None], r.quat, r.linear, r.angular, joints, 0.1 * rates, ends]
        return jnp.concatenate([*parts, physics.act])

    def reward(
        self, before: Physics, action: Float[Array, " a"], after: Physics
    ) -> tuple[Float[Array, ""], dict[str, Float[Array, ""]]]:
        """See `Task`: r = v_x + 0.1 up + heading - effort x sum of activations in [0, 1]."""
        r = root(after.qpos, after.qvel)
        terms = {
            "forward": r.linear[0],
            "up": 0.1 * r.up,
            "heading": r.heading,
            "effort": -self.effort * jnp.sum((action + 1) / 2),
        }
        return jnp.stack(list(terms.values())).sum(), terms

    def terminated(self, physics: Physics) -> Bool[Array, ""]:
        """See `Task`: the pelvis has sunk."""
        return physics.qpos[2] < self.fall_height


TASKS: dict[str, Callable[[], Task]] = {
    "muscle-humanoid": MuscleHumanoid,
    "muscle-humanoid-muscle": functools.partial(MuscleHumanoid, body="muscle"),
    "muscle-humanoid-legs": functools.partial(MuscleHumanoid, body="legs"),
    # Its small bones of little inertia need the smaller step.
    "muscle-humanoid-full": functools.partial(MuscleHumanoid, body="full", sim_dt=1 / 480),
}
