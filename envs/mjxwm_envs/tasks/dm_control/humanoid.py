"""The suite's humanoid: stand, walk, run. 67 observations, 21 actions."""

import dataclasses

import jax
import jax.numpy as jnp
import mujoco
from jaxtyping import Array, Float, PRNGKeyArray

from mjxwm_envs.core import Initial, Physics
from mjxwm_envs.tasks.dm_control import models, starts
from mjxwm_envs.tasks.dm_control.suite import (
    INF,
    SuiteTask,
    Terms,
    at_least,
    product,
    small_control,
)
from mjxwm_envs.tasks.rewards import tolerance

_STAND = 1.4  # height of the head [m]
_LIMBS = ("left_hand", "left_foot", "right_hand", "right_foot")


@dataclasses.dataclass(frozen=True)
class SuiteHumanoid(SuiteTask):
    """Observation: joints [rad], height of the head [m], hands and feet in the torso's frame [m],
    the vertical in the torso's frame, velocity of the centre of mass [m/s], all velocities.

    Episodes start in random postures without contacts.
    """

    ctrl_dt: float = 0.025
    sim_dt: float = 0.005
    speed: float = 0.0
    """Speed to move at, in any direction [m/s]; 0: stand."""

    @property
    def derived(self) -> tuple[str, ...]:
        """See `Task`."""
        return ("sensordata", "xpos", "xmat")

    def spec(self) -> mujoco.MjSpec:
        """See `SuiteTask`."""
        return models.spec("humanoid")

    def initial(self, key: PRNGKeyArray) -> Initial:
        """See `Task`."""
        store = jnp.asarray(starts.free_of_contact(self.body))
        return self.at_rest(store[jax.random.randint(key, (), 0, len(store))])

    def observe(self, physics: Physics) -> Float[Array, " 67"]:
        """See `Task`."""
        frame = self.frame(physics, "torso")
        limbs = (self.position(physics, *_LIMBS) - self.position(physics, "torso")) @ frame
        velocity = self.sensor(physics, "torso_subtreelinvel")
        head = self.position(physics, "head")[:, 2]
        return jnp.concatenate(
            [physics.qpos[7:], head, limbs.ravel(), frame[2], velocity, physics.qvel]
        )

    def reward(
        self, before: Physics, action: Float[Array, " 21"], after: Physics
    ) -> tuple[Float[Array, ""], Terms]:
        """See `Task`: product of the head's height, uprightness, small control, and speed."""
        head, up = self.position(after, "head")[0, 2], self.frame(after, "torso")[2, 2]
        velocity = self.sensor(after, "torso_subtreelinvel")[:2]
        terms = {
            "small_control": small_control(after.ctrl),
            "standing": at_least(head, _STAND, _STAND / 4, 0.1, "gaussian"),
            "upright": tolerance(up, (0.9, INF), 1.9, "linear", 0.0),
        }
        if self.speed:
            fast = at_least(jnp.linalg.norm(velocity), self.speed, self.speed)
            terms["move"] = (5 * fast + 1) / 6
        else:
            terms["still"] = tolerance(velocity, margin=2).mean()
        return product(terms)
