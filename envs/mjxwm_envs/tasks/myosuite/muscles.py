"""The base class of MyoSuite's tasks: excitations from a sigmoid, early termination; muscle forces.

All tasks equal MyoSuite 3.0.0's own environments on C MuJoCo (observations, reward terms, success,
terminations and start distributions), see docs/results/myosuite-parity.md.
"""

import dataclasses
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
from jaxtyping import Array, Bool, Float

from mjxwm_envs.core import Marker, Physics
from mjxwm_envs.task import Task
from mjxwm_envs.tasks.myosuite import models

Terms = dict[str, Float[Array, ""]]
_TARGET_RADIUS = 0.008  # [m] of balls in pictures


@dataclasses.dataclass(frozen=True)
class MuscleTask(Task):
    """A task on one of the muscle-driven bodies.

    An action a in [-1, 1] becomes the excitation 1 / (1 + exp(-5 (a - 1/2))): 0 is 8 % and 1 is
    92 % of a muscle's strength. Activations follow excitations by MuJoCo's muscle dynamics, and are
    the last part of observations.
    """

    ctrl_dt: float = 0.02
    sim_dt: float = 0.002
    episode_length: int = 100
    terminates: bool = True
    """Whether failed episodes end; in TD-MPC2's versions of the tasks they do not."""

    @property
    def derived(self) -> tuple[str, ...]:
        """See `Task`: the positions of some points, as sensors."""
        return ("sensordata",)

    def model(self) -> mujoco.MjModel:
        """See `Task`."""
        return models.copied(self.body())

    def body(self) -> mujoco.MjModel:
        """The compiled model, shared by all callers: it must not be changed."""
        raise NotImplementedError

    def shape(self, action: Float[Array, " a"]) -> Float[Array, " a"]:
        """See `Task`: the sigmoid; scaled so that controls are the excitations."""
        low, high = jnp.asarray(self.body().actuator_ctrlrange.T, action.dtype)
        excitation = jax.nn.sigmoid(5 * (action - 0.5))
        return jnp.clip(2 * (excitation - low) / (high - low) - 1, -1, 1)

    def failed(self, physics: Physics) -> Bool[Array, ""]:
        """Whether MyoSuite ends the episode in this state."""
        raise NotImplementedError

    def terminated(self, physics: Physics) -> Bool[Array, ""]:
        """See `Task`."""
        return self.failed(physics) if self.terminates else jnp.zeros((), bool)


def total(terms: Terms) -> tuple[Float[Array, ""], Terms]:
    """The sum of weighted terms, and the terms."""
    return jnp.stack(list(terms.values())).sum(), terms


def norm(x: Float[Array, " n"]) -> Float[Array, ""]:
    """The 2-norm, with gradient 0 instead of NaN at 0."""
    square = jnp.sum(x**2)
    return jnp.where(square > 0, jnp.sqrt(jnp.where(square > 0, square, 1)), 0)


def count(*conditions: Bool[Array, ""]) -> Float[Array, ""]:
    """The number of conditions that hold, as a float."""
    return jnp.stack(conditions).sum(dtype=jnp.result_type(float))


def targets(
    model: mujoco.MjModel, tips: Sequence[str], places: Float[np.ndarray, "k 3"]
) -> list[Marker]:
    """Balls at the positions `places` [m] that `tips` should reach; or moves the model's sites."""
    markers = []
    for tip, place in zip(tips, places, strict=True):
        site = mujoco.mj_name2id(model, int(mujoco.mjtObj.mjOBJ_SITE), f"{tip}_target")
        if site < 0:
            markers.append(Marker(place, _TARGET_RADIUS))
        else:
            model.site_pos[site] = place
    return markers


def effort(act: Float[Array, " m"]) -> Float[Array, ""]:
    """MyoSuite's measure of effort: the 2-norm of the activations divided by their number."""
    return norm(act) / act.shape[0]


def force(
    model: mujoco.MjModel,
    length: Float[Array, " m"],
    velocity: Float[Array, " m"],
    act: Float[Array, " m"],
) -> Float[Array, " m"]:
    """Muscle forces [N], negative for tension: MuJoCo's model, with rigid tendons.

    MuJoCo's `actuator_force` is computed at the start of the last physics step; this is for the
    given state. Source: MuJoCo's documentation, "Modeling: Muscle actuators".

    Args:
        model: a model whose actuators are all muscles.
        length: lengths of the actuators [m].
        velocity: velocities of the actuators [m/s].
        act: activations, 0 to 1.
    """
    gain, bias = model.actuator_gainprm.T, model.actuator_biasprm.T
    low, high, peak, scale, lmin, lmax, vmax, _, fvmax = gain[:9]
    optimal = (model.actuator_lengthrange[:, 1] - model.actuator_lengthrange[:, 0]) / (high - low)
    l = low + (length - model.actuator_lengthrange[:, 0]) / optimal
    v = velocity / (optimal * vmax)
    # A negative peak force means that it follows from `scale` and the acceleration at rest.
    strength = jnp.where(peak < 0, scale / model.actuator_acc0, peak)
    passive_strength = jnp.where(bias[2] < 0, bias[3] / model.actuator_acc0, bias[2])
    passive = _passive(l, bias[5], bias[7])
    return -strength * _length_gain(l, lmin, lmax) * _velocity_gain(v, fvmax) * act - (
        passive_strength * passive
    )


def _length_gain(l: Array, lmin: Array, lmax: Array) -> Array:
    left, right = (lmin + 1) / 2, (1 + lmax) / 2
    return jnp.select(
        [(l < lmin) | (l > lmax), l <= left, l <= 1, l <= right],
        [
            jnp.zeros_like(l),
            ((l - lmin) / (left - lmin)) ** 2 / 2,
            1 - ((1 - l) / (1 - left)) ** 2 / 2,
            1 - ((l - 1) / (right - 1)) ** 2 / 2,
        ],
        ((lmax - l) / (lmax - right)) ** 2 / 2,
    )


def _velocity_gain(v: Array, fvmax: Array) -> Array:
    y = fvmax - 1
    return jnp.select(
        [v <= -1, v <= 0, v <= y],
        [jnp.zeros_like(v), (v + 1) ** 2, fvmax - (y - v) ** 2 / y],
        jnp.broadcast_to(fvmax, v.shape),
    )


def _passive(l: Array, lmax: Array, fpmax: Array) -> Array:
    right = (1 + lmax) / 2
    x = (l - 1) / (right - 1)
    return jnp.select(
        [l <= 1, l <= right], [jnp.zeros_like(l), fpmax * x**2 / 2], fpmax * (x - 0.5)
    )
