"""dm_control's cartpole: balance and swing-up, with dense and sparse rewards.

Observations, rewards and start states are those of `dm_control.suite.cartpole` (Tassa et al. 2018,
arXiv 1801.00690) and are tested against it. One step is 0.01 s, an episode 1000 steps, so the
largest return is 1000. Episodes never terminate early.
"""

import dataclasses

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from mjxwm_envs import assets
from mjxwm_envs.core import Initial, Physics
from mjxwm_envs.task import Task
from mjxwm_envs.tasks.rewards import tolerance


@dataclasses.dataclass(frozen=True)
class Cartpole(Task):
    """Observation: cart position [m], cosine and sine of the pole, their velocities. One action."""

    swing_up: bool = True
    """Start hanging down instead of nearly upright."""
    sparse: bool = False
    """Reward 1 only near the goal (|x| <= 0.25 m, cosine >= 0.995) instead of a smooth product."""
    ctrl_dt: float = 0.01
    sim_dt: float = 0.01
    episode_length: int = 1000

    def mjcf(self) -> str:
        """See `Task`."""
        return assets.read("cartpole.xml")

    def initial(self, key: PRNGKeyArray) -> Initial:
        """See `Task`. Angle 0 is upright."""
        key_qpos, key_qvel = jax.random.split(key)
        if self.swing_up:
            qpos = jnp.array([0.0, jnp.pi]) + 0.01 * jax.random.normal(key_qpos, (2,))
        else:
            limit = jnp.array([0.1, 0.034])
            qpos = jax.random.uniform(key_qpos, (2,), minval=-limit, maxval=limit)
        return Initial(qpos, 0.01 * jax.random.normal(key_qvel, (2,)), jnp.zeros(0))

    def observe(self, physics: Physics) -> Float[Array, " 5"]:
        """See `Task`."""
        cart, angle = physics.qpos
        return jnp.concatenate([jnp.stack([cart, jnp.cos(angle), jnp.sin(angle)]), physics.qvel])

    def reward(
        self, before: Physics, action: Float[Array, " 1"], after: Physics
    ) -> tuple[Float[Array, ""], dict[str, Float[Array, ""]]]:
        """See `Task`. The dense reward is the product of its four terms, each in [0, 1]."""
        cart, cosine = after.qpos[0], jnp.cos(after.qpos[1])
        if self.sparse:
            terms = {
                "centered": tolerance(cart, (-0.25, 0.25)),
                "upright": tolerance(cosine, (0.995, 1.0)),
            }
        else:
            effort = tolerance(action[0], margin=1, value_at_margin=0, sigmoid="quadratic")
            terms = {
                "centered": (1 + tolerance(cart, margin=2)) / 2,
                "upright": (cosine + 1) / 2,
                "small_control": (4 + effort) / 5,
                "small_velocity": (1 + tolerance(after.qvel[1], margin=5)) / 2,
            }
        return jnp.stack(list(terms.values())).prod(), terms
