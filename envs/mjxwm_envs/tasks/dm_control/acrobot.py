"""The acrobot: two links, a motor at the elbow; swing up and balance. 6 observations, 1 action."""

import dataclasses

import jax
import jax.numpy as jnp
import mujoco
from jaxtyping import Array, Float, PRNGKeyArray

from mjxwm_envs.core import Initial, Physics
from mjxwm_envs.tasks.dm_control import models
from mjxwm_envs.tasks.dm_control.suite import SuiteTask, Terms
from mjxwm_envs.tasks.rewards import tolerance


@dataclasses.dataclass(frozen=True)
class Acrobot(SuiteTask):
    """Observation: sines and cosines of both links' absolute angles, joint velocities."""

    ctrl_dt: float = 0.01
    sim_dt: float = 0.01
    sparse: bool = False
    """Reward 1 with the tip in the target, else 0, instead of a smooth function of distance."""

    @property
    def derived(self) -> tuple[str, ...]:
        """See `Task`."""
        return ("xmat", "site_xpos")

    def spec(self) -> mujoco.MjSpec:
        """See `SuiteTask`."""
        return models.spec("acrobot")

    def initial(self, key: PRNGKeyArray) -> Initial:
        """See `Task`: both angles uniform."""
        return self.at_rest(jax.random.uniform(key, (2,), minval=-jnp.pi, maxval=jnp.pi))

    def observe(self, physics: Physics) -> Float[Array, " 6"]:
        """See `Task`."""
        axes = [self.frame(physics, link)[:, 2] for link in ("upper_arm", "lower_arm")]
        horizontal, vertical = (jnp.stack([z[i] for z in axes]) for i in (0, 2))
        return jnp.concatenate([horizontal, vertical, physics.qvel])

    def reward(
        self, before: Physics, action: Float[Array, " 1"], after: Physics
    ) -> tuple[Float[Array, ""], Terms]:
        """See `Task`: a function of the tip's distance to the target, 4 m above the floor."""
        sites = after.derived["site_xpos"]
        target, tip = (self.body.site(name) for name in ("target", "tip"))
        distance = jnp.linalg.norm(sites[target.id] - sites[tip.id])
        near = tolerance(distance, (0, float(target.size[0])), margin=0 if self.sparse else 1)
        return near, {"near": near}
