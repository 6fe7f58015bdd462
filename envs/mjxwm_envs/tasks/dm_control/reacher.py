"""The planar reacher with two links, or three as in TD-MPC2: move the finger to a target."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import mujoco
from jaxtyping import Array, Float, PRNGKeyArray

from mjxwm_envs import assets
from mjxwm_envs.core import Initial, Marker, Physics
from mjxwm_envs.tasks.dm_control import models
from mjxwm_envs.tasks.dm_control.suite import SuiteTask, Terms
from mjxwm_envs.tasks.rewards import tolerance


@dataclasses.dataclass(frozen=True)
class Reacher(SuiteTask):
    """Observation: joints [rad], target relative to finger [m], velocities. Goal: target [m]."""

    ctrl_dt: float = 0.02
    sim_dt: float = 0.02
    target_size: float = 0.05
    """Radius of the target [m]."""

    @property
    def derived(self) -> tuple[str, ...]:
        """See `Task`."""
        return ("geom_xpos",)

    def spec(self) -> mujoco.MjSpec:
        """See `SuiteTask`."""
        return models.spec("reacher")

    def initial(self, key: PRNGKeyArray) -> Initial:
        """See `Task`: random joint positions, and a target 5 to 20 cm from the shoulder."""
        key_joints, key_target = jax.random.split(key)
        low, high = jnp.array([0.0, 0.05]), jnp.array([2 * jnp.pi, 0.2])
        angle, radius = jax.random.uniform(key_target, (2,), minval=low, maxval=high)
        target = radius * jnp.stack([jnp.sin(angle), jnp.cos(angle)])
        return self.at_rest(self.random_positions(key_joints), target)

    def observe(self, physics: Physics) -> Float[Array, " o"]:
        """See `Task`."""
        return jnp.concatenate([physics.qpos, self.to_target(physics), physics.qvel])

    def reward(
        self, before: Physics, action: Float[Array, " a"], after: Physics
    ) -> tuple[Float[Array, ""], Terms]:
        """See `Task`: 1 while finger and target touch."""
        reach = self.target_size + float(self.body.geom("finger").size[0])
        near = tolerance(jnp.linalg.norm(self.to_target(after)), (0, reach))
        return near, {"near": near}

    def show(self, model: mujoco.MjModel, goal: Any) -> Sequence[Marker]:
        """See `Task`: moves and resizes the target."""
        target = model.geom("target")
        target.pos[:2], target.size[0] = goal, self.target_size
        return ()

    def to_target(self, physics: Physics) -> Float[Array, " 2"]:
        """Target relative to finger, in the plane [m]."""
        return physics.goal - physics.derived["geom_xpos"][self.body.geom("finger").id, :2]


@dataclasses.dataclass(frozen=True)
class ThreeLinkReacher(Reacher):
    """TD-MPC2's task, on a body of this project: the suite's length in three links of 8 cm."""

    def spec(self) -> mujoco.MjSpec:
        """See `SuiteTask`."""
        return mujoco.MjSpec.from_string(assets.read("reacher_three.xml"))
