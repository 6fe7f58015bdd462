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
    """Observation: height, pitch, six joints [rad], and all velocities; x is left out.

    Episodes start on the floor: joints anywhere, then two seconds without control.
    """

    ctrl_dt: float = 0.01
    sim_dt: float = 0.01
    speed: float = 10.0
    """From this speed on running is worth 1 [m/s]; negative: backwards."""
    foot: Literal["", "front", "back"] = ""
    """Run on this foot with the other one and the torso up; "": as it likes."""

    def __post_init__(self):
        """Refuses a foot that it does not have."""
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
        """See `Task`: one of a store of settled starts."""
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
        """The centre of mass along x [m/s]."""
        return self.sensor(physics, "torso_subtreelinvel")[0]

    def heights(self, physics: Physics, foot: str) -> Float[Array, " 2"]:
        """Of the torso and a foot [m]."""
        return self.place(physics, "torso", foot)[:, 2]


@dataclasses.dataclass(frozen=True)
class CheetahJump(Cheetah):
    """Torso and feet up without moving on."""

    foot: Literal["", "front", "back"] = "front"
    speed: float = _JUMP_SPEED
    """Up to this speed it stays on the spot [m/s]."""

    def reward(
        self, before: Physics, action: Float[Array, " 6"], after: Physics
    ) -> tuple[Float[Array, ""], Terms]:
        """See `Task`: the mean over both feet of how high torso and foot are."""
        still = tolerance(
            self.velocity(after), (-self.speed, self.speed), self.speed, "linear", 0.0
        )
        feet = [self.heights(after, foot).mean() for foot in ("bfoot", "ffoot")]
        up = jnp.stack([_raised(height) for height in feet]).mean()
        return (5 * up + still) / 6, {"up": up, "still": still}


def _raised(height: Float[Array, ""]) -> Float[Array, ""]:
    return at_least(height, _UP, _UP / 2, 0.1, "gaussian")
