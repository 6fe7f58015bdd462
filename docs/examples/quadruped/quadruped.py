"""A four-legged robot of your own XML learns to walk: a task in 50 lines."""

import dataclasses
from pathlib import Path

import jax
import jax.numpy as jnp
import mjxwm_envs as envs

STANCE = jnp.array([0.0, 0.7, -1.4] * 4)  # hip, thigh, knee of each leg [rad]


@dataclasses.dataclass(frozen=True)
class Quadruped(envs.Task):
    """Walk along +x at `speed`."""

    ctrl_dt: float = 0.02  # time between two actions [s]
    sim_dt: float = 0.005  # physics step [s]
    episode_length: int = 500  # 10 s
    speed: float = 0.8  # [m/s]
    effort: float = 0.01  # weight of the squared actions

    def mjcf(self):
        return Path(__file__).with_name("quadruped.xml").read_text(encoding="utf-8")

    def initial(self, key):
        joints, velocities = jax.random.split(key)
        bend = jax.random.uniform(joints, (12,), minval=-0.1, maxval=0.1)
        root = jnp.array([0, 0, 0.35, 1, 0, 0, 0])  # place [m], orientation (w first)
        qvel = 0.1 * jax.random.normal(velocities, (18,))
        return envs.Initial(jnp.concatenate([root, STANCE + bend]), qvel, jnp.zeros(0))

    def observe(self, physics):
        q, v = physics.qpos, physics.qvel
        joints = [q[7:] - STANCE, 0.1 * v[6:], physics.ctrl - STANCE]
        return jnp.concatenate([q[2:3], rotation(q[3:7]).ravel(), v[:6], *joints])

    def reward(self, before, action, after):
        turned = rotation(after.qpos[3:7])  # columns: the trunk's axes in the world
        terms = {
            "forward": 2 * jnp.minimum(after.qvel[0], self.speed) / self.speed,
            "upright": 0.5 * turned[2, 2],
            "straight": 0.5 * turned[0, 0] - jnp.abs(after.qvel[1]),
            "effort": -self.effort * jnp.sum(action**2),
        }
        return sum(terms.values()), terms

    def terminated(self, physics):
        return (physics.qpos[2] < 0.18) | (rotation(physics.qpos[3:7])[2, 2] < 0.5)


def rotation(quat):
    """The rotation matrix [3, 3] of a quaternion, w first."""
    w, x, y, z = quat / jnp.linalg.norm(quat)
    first = [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)]
    second = [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)]
    third = [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)]
    return jnp.array([first, second, third])
