"""Hold: keep an egg on the palm at a point. MyoSuite's HandObjHold, fixed and random."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from mjxwm_envs.core import Initial, Marker, Physics
from mjxwm_envs.tasks.myosuite import models
from mjxwm_envs.tasks.myosuite.muscles import MuscleTask, Terms, count, norm, total

_START = (-0.235, -0.51, 1.45)  # [m] where the object starts
_GOAL = (-0.24, -0.52, 1.47)  # [m]
_GOAL_RANGE = 0.03  # [m] around the start, in each direction
_SIZE = (0.025, 0.036, 0.03)  # [m] half-axes
_SIZE_RANGE = (0.02, 0.03)  # [m]
_DROPPED = 0.3  # [m]
_NEAR = 0.01  # [m]
_PALM_UP = -1.5  # [rad] of the forearm

_OBJECT = f"""
<body name="object" pos="{_START[0]} {_START[1]} {_START[2]}">
  <freejoint name="object"/>
  <geom name="object" type="ellipsoid" size="{_SIZE[0]} {_SIZE[1]} {_SIZE[2]}" condim="1"
        rgba=".4 .6 1 1"/>
  <site name="object" size=".005"/>
</body>
"""


@models.once
def _body() -> mujoco.MjSpec:
    return models.watch(models.hand_with(_OBJECT), ("object",))


@dataclasses.dataclass(frozen=True)
class HandHold(MuscleTask):
    """Hold the object at the episode's goal, a position [3] in metres; 91 observations, 39 actions.

    Observation: the hand's qpos, its qvel dt, the object's position, the error (goal - object),
    activations. If random, each episode has another goal and another size of the object.
    """

    random: bool = False
    episode_length: int = 75

    def body(self) -> mujoco.MjModel:
        """See `MuscleTask`."""
        return _body()

    def model(self) -> mujoco.MjModel:
        """See `Task`: with a bounding volume that contains objects of all sizes."""
        model = super().model()
        if self.random:
            _widen(model, max(*_SIZE, _SIZE_RANGE[1]))
        return model

    def initial(self, key: PRNGKeyArray) -> Initial:
        """See `Task`: an open hand, palm up, under the object."""
        model = self.body()
        qpos = jnp.concatenate([jnp.zeros(model.nq - 7), jnp.asarray(model.qpos0[-7:])])
        qpos = qpos.at[0].set(_PALM_UP)
        goal, fields = jnp.array(_GOAL), {}
        if self.random:
            key_goal, key_size = jax.random.split(key)
            noise = jax.random.uniform(key_goal, (3,), minval=-_GOAL_RANGE, maxval=_GOAL_RANGE)
            goal = jnp.array(_START) + noise
            low, high = _SIZE_RANGE
            fields = sized(model, jax.random.uniform(key_size, (3,), minval=low, maxval=high))
        return Initial(qpos, jnp.zeros(model.nv), jnp.zeros(model.na), goal, fields)

    def observe(self, physics: Physics) -> Float[Array, " 91"]:
        """See `Task`."""
        place, qvel = physics.derived["sensordata"], physics.qvel[:-6] * self.ctrl_dt
        error = physics.goal - place
        return jnp.concatenate([physics.qpos[:-7], qvel, place, error, physics.act])

    def reward(
        self, before: Physics, action: Float[Array, " 39"], after: Physics
    ) -> tuple[Float[Array, ""], Terms]:
        """See `Task`: -100 times the distance; +4 below 2 cm, +8 below 1 cm; -10 if dropped."""
        d = _distance(after)
        return total(
            {
                "goal_dist": -100 * d,
                "bonus": 4 * count(d < 2 * _NEAR, d < _NEAR),
                "penalty": -10 * count(self.failed(after)),
            }
        )

    def show(self, model: mujoco.MjModel, goal: Any) -> Sequence[Marker]:
        """See `Task`: the object's shape at the goal."""
        return [Marker(goal, model.geom("object").size)]

    def failed(self, physics: Physics) -> Bool[Array, ""]:
        """See `MuscleTask`: the object is dropped."""
        return _distance(physics) > _DROPPED

    def success(self, physics: Physics) -> Bool[Array, ""]:
        """See `Task`."""
        return _distance(physics) < _NEAR


def sized(model: mujoco.MjModel, size: Float[Array, " 3"]) -> dict[str, Array]:
    """Fields of the model for an object with the half-axes `size` [m].

    Its mass is unchanged, as in MyoSuite; its inertia is the minimum of the hand's model at any
    size.
    """
    geom = model.geom("object").id
    box = jnp.concatenate([jnp.zeros(3), size])
    return {
        "geom_size": jnp.asarray(model.geom_size).at[geom].set(size),
        "geom_rbound": jnp.asarray(model.geom_rbound).at[geom].set(size.max()),
        "geom_aabb": jnp.asarray(model.geom_aabb).reshape(-1, 6).at[geom].set(box),
    }


def _distance(physics: Physics) -> Float[Array, ""]:
    return norm(physics.goal - physics.derived["sensordata"])


def _widen(model: mujoco.MjModel, radius: float) -> None:
    # Only used to cull collisions; unlike geom_aabb, not every engine can vary it between worlds.
    body = model.body("object").id
    first = model.body_bvhadr[body]
    boxes = model.bvh_aabb[first : first + model.body_bvhnum[body]]
    boxes[:, 3:] = np.maximum(boxes[:, 3:], radius)
