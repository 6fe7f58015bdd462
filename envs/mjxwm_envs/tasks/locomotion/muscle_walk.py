"""Walking with 152 muscles: stand, then go forward. A task of this project.

The bodies are those of `muscle_humanoid`. What differs is that the episode starts on both feet, in
an equilibrium; that an action is a change of the activations that hold it; and that staying upright
is worth as much as the full speed.
"""

import dataclasses
import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import mujoco
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from mjxwm_envs.core import Initial, Physics
from mjxwm_envs.task import Task
from mjxwm_envs.tasks.locomotion import muscle_body, start
from mjxwm_envs.tasks.locomotion.floating import observe, root
from mjxwm_envs.tasks.locomotion.muscle_body import stance


@dataclasses.dataclass(frozen=True)
class MuscleWalk(Task):
    """Walk along +x. Reward: up + speed + 0.2 heading - the spine's bend - effort, with weights.

    Action: a change of the activations from those of the stance, in units of `reach`; activations
    stay within [0, 1]. Observation: that of `MuscleHumanoid`.
    """

    ctrl_dt: float = 1 / 60
    sim_dt: float = 1 / 240
    episode_length: int = 1000
    body: str = "direct"
    """One of `muscle_body.BODIES` but "full"."""
    stiffness: float = 23.4
    """Short-range stiffness of the muscles of the direct law, see `stance.stiffened`; 0: none."""
    reach: float = 0.5
    """Change of a muscle's activation at an action of 1, and of -1: equal ones, so that noise in
    actions does not change the muscles' mean tension where activations are not clipped."""
    up_weight: float = 1.0
    """Reward for an upright pelvis, for each step."""
    speed: float = 1.0
    """Forward velocity of the pelvis that earns the most [m/s]; more of it earns the same."""
    speed_weight: float = 1.0
    """Reward at that velocity."""
    settle: float = 2.0
    """Time from which on velocity earns fully [s]; its share grows from the start until then. Else
    a fall forward is the first thing that pays."""
    bend: float = 0.5
    """Weight of the squared angles of the spine from the stance [1/rad^2]."""
    effort: float = 4.0
    """Weight of the mean of the squared changes of activation from the stance that are commanded.
    Without it policies switch muscles on and off, and fall from that."""
    fall_height: float = 0.7
    """The episode ends with the pelvis below this height [m]: three quarters of the stance's."""
    fall_up: float = 0.7
    """It ends as well with the pelvis tilted by more than 45 degrees: cosine below this."""
    noise: float = 0.1
    """Scale of the start noise, `start.noisy`; 0 always starts in the stance."""
    start_speed: float = 0.0
    """The body starts with a forward velocity that is drawn uniformly from 0 to this [m/s], so that
    episodes show falls that a step prevents."""
    success_time: float = 5.0
    """An episode succeeds by staying up for so long [s] ..."""
    success_distance: float = 2.0
    """... and by being at least so far ahead of the origin at its end [m]."""

    def model(self) -> mujoco.MjModel:
        """See `Task`.

        Raises:
            ValueError: the body is unknown, or myo-sim is missing or of another version.
        """
        return stance.stiffened(muscle_body.standing(self.body), self.stiffness)

    def initial(self, key: PRNGKeyArray) -> Initial:
        """See `Task`: the stance with noise, its activations, and no foot deep in the floor."""
        model, begin = _standing(self.body)
        qpos, qvel = start.noisy(key, begin, self.noise)
        # Not one of the first numbers: `noisy` splits this key, which folds those in.
        ahead = self.start_speed * jax.random.uniform(jax.random.fold_in(key, 1000))
        qvel = qvel.at[0].add(ahead)
        return Initial(start.lifted(begin, qpos), qvel, jnp.asarray(model.key_act[0], float))

    def shape(self, action: Float[Array, " a"]) -> Float[Array, " a"]:
        """See `Task`: 0 is mapped to the activations of the stance."""
        held = jnp.asarray(_standing(self.body)[0].key_ctrl[0], float)
        return 2 * jnp.clip(held + self.reach * action, 0, 1) - 1

    def observe(self, physics: Physics) -> Float[Array, " o"]:
        """See `Task`."""
        return observe(physics, physics.act)

    def reward(
        self, before: Physics, action: Float[Array, " a"], after: Physics
    ) -> tuple[Float[Array, ""], dict[str, Float[Array, ""]]]:
        """See `Task`."""
        r, most = root(after.qpos, after.qvel), self.speed
        standing = _standing(self.body)[0]
        change = (self.shape(action) + 1) / 2 - standing.key_ctrl[0]
        spine = after.qpos[21:] - standing.key_qpos[0, 21:]
        weight = self.speed_weight * jnp.minimum(after.time / self.settle, 1)
        terms = {
            "up": self.up_weight * r.up,
            "speed": weight * jnp.clip(r.linear[0] / most, -1, 1),
            "heading": 0.2 * r.heading,
            "bend": -self.bend * jnp.sum(spine**2),
            "effort": -self.effort * jnp.mean(change**2),
        }
        return jnp.stack(list(terms.values())).sum(), terms

    def terminated(self, physics: Physics) -> Bool[Array, ""]:
        """See `Task`: the pelvis is below `fall_height` or tilted further than `fall_up`."""
        r = root(physics.qpos, physics.qvel)
        return (r.height < self.fall_height) | (r.up < self.fall_up)

    def success(self, physics: Physics) -> Bool[Array, ""]:
        """See `Task`: up for `success_time`, and `success_distance` ahead."""
        long = physics.time > self.success_time - self.ctrl_dt / 2
        return long & (physics.qpos[0] >= self.success_distance)

    def measure(self, physics: Physics) -> dict[str, Float[Array, ""]]:
        """See `Task`: the way along x [m], and the time upright [s]."""
        return {"distance": physics.qpos[0], "upright": physics.time}


@functools.cache
def _standing(body: str) -> tuple[mujoco.MjModel, start.Start]:
    model = muscle_body.standing(body)
    return model, start.of(model)


TASKS: dict[str, Callable[[], MuscleWalk]] = {
    "muscle-humanoid-walk": MuscleWalk,
    "muscle-humanoid-walk-muscle": functools.partial(MuscleWalk, body="muscle"),
    "muscle-humanoid-walk-legs": functools.partial(MuscleWalk, body="legs"),
}
