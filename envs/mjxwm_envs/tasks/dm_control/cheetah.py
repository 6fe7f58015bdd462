"""The planar cheetah: run forward, backwards, on one foot; jump. 17 observations, 6 actions."""

import dataclasses
from typing import Literal

import jax
import jax.numpy as jnp
import mujoco
from jaxtyping import Array, Float, PRNGKeyArray

from mjxwm_envs.core import Initial, Physics
from mjxwm_envs.tasks.dm_control import models, starts
from mjxwm_envs.tasks.dm_control.suite import SuiteTask, Terms, at_least
from mjxwm_envs.tasks.rewards import tolerance

_UP = 1.2  # [m]
_SETTLING = 200  # physics steps
_JUMP_SPEED = 0.5  # [m/s] up to which jumping on the spot counts as such


@dataclasses.dataclass(frozen=True)
class Cheetah(SuiteTask):
    """Run. Observation: height [m], pitch, six joints [rad], and all velocities; x is left out.

    Episodes start on the floor: random joint positions, then two seconds without control.
    """

    ctrl_dt: float = 0.01
    sim_dt: float = 0.01
    speed: float = 10.0
    """Speed [m/s] from which on the reward for running is 1; negative: backwards."""
    foot: Literal["", "front", "back"] = ""
    """Run on this foot, with the other one and the torso raised; "" for any gait."""

    def __post_init__(self):
        """Checks the foot."""
        if self.foot not in ("", "front", "back"):
            raise ValueError(f"foot={self.foot!r} is unknown; choose front or back, or '' for both")

    @property
    def derived(self) -> tuple[str, ...]:
        """See `Task`."""
        return ("sensordata", "xpos") if self.foot else ("sensordata",)

    def spec(self) -> mujoco.MjSpec:
        """See `SuiteTask`."""
        return models.spec("cheetah")

    def initial(self, key: PRNGKeyArray) -> Initial:
        """See `Task`: one of the settled start states."""
        qpos, qvel = starts.settled(self.body, self.sim_dt, _SETTLING)
        row = jax.random.randint(key, (), 0, len(qpos))
        return Initial(jnp.asarray(qpos)[row], jnp.asarray(qvel)[row], jnp.zeros(0))

    def observe(self, physics: Physics) -> Float[Array, " 17"]:
        """See `Task`."""
        return jnp.concatenate([physics.qpos[1:], physics.qvel])

    def reward(
        self, before: Physics, action: Float[Array, " 6"], after: Physics
    ) -> tuple[Float[Array, ""], Terms]:
        """See `Task`."""
        fast = at_least(self.velocity(after), self.speed, margin=abs(self.speed))
        if not self.foot:
            return fast, {"fast": fast}
        torso, lifted = self.heights(after, "bfoot" if self.foot == "front" else "ffoot")
        up = (3 * _raised(lifted) + 2 * _raised(torso)) / 5
        return up * (5 * fast + 1) / 6, {"fast": fast, "up": up}

    def velocity(self, physics: Physics) -> Float[Array, ""]:
        """Velocity of the centre of mass along x [m/s]."""
        return self.sensor(physics, "torso_subtreelinvel")[0]

    def heights(self, physics: Physics, foot: str) -> Float[Array, " 2"]:
        """Heights of the torso and a foot [m]."""
        return self.position(physics, "torso", foot)[:, 2]


@dataclasses.dataclass(frozen=True)
class CheetahJump(Cheetah):
    """Raise torso and feet without moving along x. Observation: see `Cheetah`."""

    foot: Literal["", "front", "back"] = "front"
    speed: float = _JUMP_SPEED
    """Speed [m/s] up to which the reward for standing still is 1."""

    def reward(
        self, before: Physics, action: Float[Array, " 6"], after: Physics
    ) -> tuple[Float[Array, ""], Terms]:
        """See `Task`: heights of torso and feet, averaged over both feet, and standing still."""
        still = tolerance(
            self.velocity(after), (-self.speed, self.speed), self.speed, "linear", 0.0
        )
        feet = [self.heights(after, foot).mean() for foot in ("bfoot", "ffoot")]
        up = jnp.stack([_raised(height) for height in feet]).mean()
        return (5 * up + still) / 6, {"up": up, "still": still}


def _raised(height: Float[Array, ""]) -> Float[Array, ""]:
    return at_least(height, _UP, _UP / 2, 0.1, "gaussian")
