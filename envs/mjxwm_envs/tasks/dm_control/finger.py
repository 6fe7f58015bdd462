"""A finger with two motors and a free spinner: spin it, or turn it to an angle. 2 actions."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from mjxwm_envs.core import Initial, Marker, Physics
from mjxwm_envs.tasks.dm_control import models, starts
from mjxwm_envs.tasks.dm_control.suite import SuiteTask, Terms

_XZ = np.array([0, 2])
_SPIN_SPEED = 15.0  # [rad/s]


@dataclasses.dataclass(frozen=True)
class Finger(SuiteTask):
    """Spin. Observation: two joints [rad], the spinner's tip [m], velocities, log(1 + touch) [N].

    Episodes start at random positions in which finger and spinner do not touch.
    """

    ctrl_dt: float = 0.02
    sim_dt: float = 0.01
    hinge_damping: float = 0.03
    """Damping of the spinner's hinge [N m s/rad]."""

    bodies_touch: ClassVar[bool] = True

    @property
    def derived(self) -> tuple[str, ...]:
        """See `Task`."""
        return ("sensordata",)

    def spec(self) -> mujoco.MjSpec:
        """See `SuiteTask`."""
        spec = models.spec("finger")
        spec.joint("hinge").damping[0] = self.hinge_damping
        if self.fast:  # pyramids have gradients, and the axles' decoration touches nothing
            spec.option.cone = mujoco.mjtCone.mjCONE_PYRAMIDAL
            for name in ("proximal_decoration", "spinner_decoration"):
                spec.geom(name).contype = spec.geom(name).conaffinity = 0
        return spec

    def initial(self, key: PRNGKeyArray) -> Initial:
        """See `Task`."""
        store = jnp.asarray(starts.free_of_contact(self.body))
        return self.at_rest(store[jax.random.randint(key, (), 0, len(store))])

    def observe(self, physics: Physics) -> Float[Array, " o"]:
        """See `Task`."""
        angles = self.sensor(physics, "proximal", "distal")
        velocities = ("proximal_velocity", "distal_velocity", "hinge_velocity")
        touch = jnp.log1p(self.sensor(physics, "touchtop", "touchbottom"))
        return jnp.concatenate(
            [angles, self.tip(physics), self.sensor(physics, *velocities), touch]
        )

    def reward(
        self, before: Physics, action: Float[Array, " 2"], after: Physics
    ) -> tuple[Float[Array, ""], Terms]:
        """See `Task`: 1 while the spinner turns at 15 rad/s or more."""
        velocity = self.sensor(after, "hinge_velocity")[0]
        fast = (velocity <= -_SPIN_SPEED).astype(velocity.dtype)
        return fast, {"fast": fast}

    def show(self, model: mujoco.MjModel, goal: Any) -> Sequence[Marker]:
        """See `Task`: hides the target and the tip, which this task does not use."""
        for site in ("target", "tip"):
            model.site(site).rgba[3] = 0
        return ()

    def tip(self, physics: Physics) -> Float[Array, " 2"]:
        """Position of the spinner's tip relative to its hinge, x and z [m]."""
        return self.sensor(physics, "tip")[_XZ] - self.sensor(physics, "spinner")[_XZ]


@dataclasses.dataclass(frozen=True)
class FingerTurn(Finger):
    """Turn to an angle. Observation: as `Finger`, then target relative to hinge, distance [m].

    Goal: the angle of the target [rad].
    """

    hinge_damping: float = 0.5
    target_size: float = 0.07
    """Radius of the target [m]."""

    def initial(self, key: PRNGKeyArray) -> Initial:
        """See `Task`: with a target at a random angle."""
        key_angle, key_joints = jax.random.split(key)
        angle = jax.random.uniform(key_angle, (), minval=-math.pi, maxval=math.pi)
        return super().initial(key_joints)._replace(goal=angle)

    def observe(self, physics: Physics) -> Float[Array, " 12"]:
        """See `Task`."""
        extra = [self.target(physics), self.distance(physics)[None]]
        return jnp.concatenate([super().observe(physics), *extra])

    def reward(
        self, before: Physics, action: Float[Array, " 2"], after: Physics
    ) -> tuple[Float[Array, ""], Terms]:
        """See `Task`: 1 with the tip in the target."""
        distance = self.distance(after)
        near = (distance <= 0).astype(distance.dtype)
        return near, {"near": near}

    def target(self, physics: Physics) -> Float[Array, " 2"]:
        """Position of the target relative to the hinge, x and z [m]."""
        return self._reach() * jnp.stack([jnp.sin(physics.goal), jnp.cos(physics.goal)])

    def show(self, model: mujoco.MjModel, goal: Any) -> Sequence[Marker]:
        """See `Task`: moves and resizes the target."""
        data, target = mujoco.MjData(model), model.site("target")
        mujoco.mj_kinematics(model, data)
        ahead = self._reach() * np.array([math.sin(goal), math.cos(goal)])
        target.pos[_XZ] = data.joint("hinge").xanchor[_XZ] + ahead
        target.size[0] = self.target_size
        return ()

    def distance(self, physics: Physics) -> Float[Array, ""]:
        """Distance of the tip to the target's surface, negative inside [m]."""
        return jnp.linalg.norm(self.target(physics) - self.tip(physics)) - self.target_size

    def _reach(self) -> float:
        return float(self.body.geom("cap1").size.sum())
