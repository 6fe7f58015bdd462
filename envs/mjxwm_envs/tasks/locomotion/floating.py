"""The base class of tasks on a free root: orientation, start noise, observation and reward.

Observation, reward and start noise follow PWM's ant, anymal and humanoid (Georgiev et al. 2024,
arXiv 2407.02466; after Xu et al. 2022, SHAC), with z up and a reward of the transition, r(s, a,
s'). Physics and models are MuJoCo's, so returns are not comparable with dflex's.
"""

import dataclasses
from typing import NamedTuple

import jax.numpy as jnp
import mujoco
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from mjxwm_envs import assets
from mjxwm_envs.core import Initial, Physics
from mjxwm_envs.tasks.locomotion import start
from mjxwm_envs.tasks.locomotion.contacts import ContactTask


class Root(NamedTuple):
    """The state of a free root body, which is upright and faces +x at the identity quaternion."""

    height: Float[Array, ""]
    """Height of the root's origin above the floor [m]."""
    quat: Float[Array, " 4"]
    """Orientation, w first, with w >= 0: q and -q are the same orientation."""
    linear: Float[Array, " 3"]
    """Velocity of the root's origin in the world's axes [m/s]."""
    angular: Float[Array, " 3"]
    """Angular velocity in the world's axes [rad/s]."""
    up: Float[Array, ""]
    """Cosine between the body's z axis and the vertical."""
    heading: Float[Array, ""]
    """x component of the body's x axis: 1 if it faces +x, the direction of travel."""


def root(qpos: Float[Array, " nq"], qvel: Float[Array, " nv"]) -> Root:
    """The root of a model whose first joint is free."""
    w, x, y, z = quat = qpos[3:7] / jnp.linalg.norm(qpos[3:7])
    return Root(
        height=qpos[2],
        quat=jnp.where(w < 0, -quat, quat),
        linear=qvel[:3],
        angular=rotate(quat, qvel[3:6]),  # a free joint's qvel has it in the body's axes
        up=1 - 2 * (x * x + y * y),
        heading=1 - 2 * (y * y + z * z),
    )


def rotate(quat: Float[Array, " 4"], vector: Float[Array, " 3"]) -> Float[Array, " 3"]:
    """`vector` rotated by the unit quaternion `quat` (w first)."""
    w, axis = quat[0], quat[1:]
    twice = 2 * jnp.cross(axis, vector)
    return vector + w * twice + jnp.cross(axis, twice)


def observe(physics: Physics, last: Float[Array, " l"]) -> Float[Array, " o"]:
    """The observation of a body on a free root.

    Height, orientation (w first), linear and angular velocity in the world's axes, joint positions,
    a tenth of the joint velocities, up, heading, and `last`.
    """
    r, joints, rates = root(physics.qpos, physics.qvel), physics.qpos[7:], physics.qvel[6:]
    ends = jnp.stack([r.up, r.heading])
    parts = [r.height[None], r.quat, r.linear, r.angular, joints, 0.1 * rates, ends]
    return jnp.concatenate([*parts, last])


def progress(r: Root) -> dict[str, Float[Array, ""]]:
    """Reward terms common to all bodies on a free root."""
    return {"forward": r.linear[0], "up": 0.1 * r.up, "heading": r.heading}


@dataclasses.dataclass(frozen=True)
class FloatingTask(ContactTask):
    """Run along +x on a free root. Subclasses define the body, and the height of a fall.

    Observation: height, orientation (w first), linear and angular velocity in the world's axes,
    joint angles, a tenth of the joint velocities, up, heading, last action.
    """

    ctrl_dt: float = 1 / 60
    sim_dt: float = 1 / 240
    episode_length: int = 1000
    fall_height: float = 0.0
    """The episode ends with the root below this height [m]."""
    effort: float = 0.0
    """Weight of the squared actions."""
    noise: float = 1.0
    """Scale of the start noise; 0 always starts in the same pose."""

    asset = ""
    """File of the model; its first keyframe is the start pose."""

    def mjcf(self) -> str:
        """See `Task`."""
        return assets.read(self.asset)

    def initial(self, key: PRNGKeyArray) -> Initial:
        """See `Task`: the start pose with PWM's noise (`start.noisy`), lifted above the floor."""
        qpos, qvel = start.noisy(key, self._start(), self.noise)
        return Initial(start.lifted(self._start(), qpos), qvel, jnp.zeros(0))

    def observe(self, physics: Physics) -> Float[Array, " o"]:
        """See `Task`."""
        return observe(physics, physics.ctrl)

    def height_reward(self, height: Float[Array, ""]) -> Float[Array, ""]:
        """Reward term of the root's height [m]: metres above `fall_height`."""
        return height - self.fall_height

    def reward(
        self, before: Physics, action: Float[Array, " a"], after: Physics
    ) -> tuple[Float[Array, ""], dict[str, Float[Array, ""]]]:
        """See `Task`: r = v_x + 0.1 up + heading + height term - effort |a|^2."""
        r = root(after.qpos, after.qvel)
        terms = progress(r) | {
            "height": self.height_reward(r.height),
            "effort": -self.effort * jnp.sum(action**2),
        }
        return jnp.stack(list(terms.values())).sum(), terms

    def terminated(self, physics: Physics) -> Bool[Array, ""]:
        """See `Task`: the root is below `fall_height`."""
        return physics.qpos[2] < self.fall_height

    def _start(self) -> start.Start:
        # Called for every trace; the model is compiled once for each configuration.
        if self not in _STARTS:
            _STARTS[self] = start.of(mujoco.MjModel.from_xml_string(self.mjcf()))
        return _STARTS[self]


_STARTS: dict[FloatingTask, start.Start] = {}
