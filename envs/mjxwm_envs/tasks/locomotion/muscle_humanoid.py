"""A humanoid with 152 muscles, after PWM's SNU humanoid. 47 observations, 152 actions.

Observation, reward, termination and start noise follow PWM's SNU humanoid (Georgiev et al. 2024,
arXiv 2407.02466; after Xu et al. 2022, SHAC), with the reward of the transition, r(s, a, s'), and
activations in [0, 1] as in SHAC: muscles only pull. The body is a different one, composed from
myo-sim (see `mjxwm_envs.tasks.locomotion.muscle_body`), so returns are not comparable.
"""

import dataclasses
import functools
from collections.abc import Callable

import jax.numpy as jnp
import mujoco
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from mjxwm_envs.core import Initial, Physics
from mjxwm_envs.task import Task
from mjxwm_envs.tasks.locomotion import muscle_body, start
from mjxwm_envs.tasks.locomotion.floating import observe, progress, root
from mjxwm_envs.tasks.locomotion.muscle_body.poses import follow


@dataclasses.dataclass(frozen=True)
class MuscleHumanoid(Task):
    """Run along +x. Reward: v_x + 0.1 up + heading - 0.001 x the sum of commanded activations.

    Observation: height, orientation (w first), linear and angular velocity in the world's axes,
    joint positions, a tenth of the joint velocities, up, heading, and the activations of bodies
    with activation dynamics.
    """

    ctrl_dt: float = 1 / 60
    sim_dt: float = 1 / 240
    episode_length: int = 1000
    body: str = "direct"
    """One of `muscle_body.BODIES`."""
    fall_height: float = 0.44
    """The episode ends with the pelvis below this height [m]: 0.46 of its height in the start pose,
    as for the SNU humanoid, whose pelvis starts at 1 m."""
    effort: float = 0.001
    """Weight of the activations' sum."""
    noise: float = 1.0
    """Scale of the start noise; 0 always starts in the same pose."""

    def model(self) -> mujoco.MjModel:
        """See `Task`.

        Raises:
            ValueError: the body is unknown, or myo-sim is missing or of another version.
        """
        return muscle_body.model(self.body)

    def initial(self, key: PRNGKeyArray) -> Initial:
        """See `Task`: the start pose with PWM's noise (`start.noisy`), lifted above the floor.

        Activations are zero, and coupled joints satisfy their couplings.
        """
        model, begin = muscle_body.model(self.body), _start(self.body)
        qpos, qvel = follow(model, *start.noisy(key, begin, self.noise))
        return Initial(start.lifted(begin, qpos), qvel, jnp.zeros(model.na))

    def observe(self, physics: Physics) -> Float[Array, " o"]:
        """See `Task`."""
        return observe(physics, physics.act)

    def reward(
        self, before: Physics, action: Float[Array, " a"], after: Physics
    ) -> tuple[Float[Array, ""], dict[str, Float[Array, ""]]]:
        """See `Task`: r = v_x + 0.1 up + heading - effort x sum of activations in [0, 1]."""
        effort = -self.effort * jnp.sum((action + 1) / 2)
        terms = progress(root(after.qpos, after.qvel)) | {"effort": effort}
        return jnp.stack(list(terms.values())).sum(), terms

    def terminated(self, physics: Physics) -> Bool[Array, ""]:
        """See `Task`: the pelvis is below `fall_height`."""
        return physics.qpos[2] < self.fall_height


@functools.cache
def _start(body: str) -> start.Start:
    return start.of(muscle_body.model(body))


TASKS: dict[str, Callable[[], Task]] = {
    "muscle-humanoid": MuscleHumanoid,
    "muscle-humanoid-muscle": functools.partial(MuscleHumanoid, body="muscle"),
    "muscle-humanoid-legs": functools.partial(MuscleHumanoid, body="legs"),
    # Its small bones with little inertia need a smaller step.
    "muscle-humanoid-full": functools.partial(MuscleHumanoid, body="full", sim_dt=1 / 480),
}
