"""What MyoSuite's tasks share: muscles for actuators, excitations from a sigmoid, an early end.

All of them are equal to MyoSuite 3.0.0's own environments on C MuJoCo (observation, reward terms,
success, end and start distribution), see docs/results/myosuite-parity.md.
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
_TARGET_RADIUS = 0.008  # [m] of a ball in a picture


@dataclasses.dataclass(frozen=True)
class MuscleTask(Task):
    """A task on one of the muscle-driven bodies.

    An action a in [-1, 1] becomes the excitation 1 / (1 + exp(-5 (a - 1/2))), so 0 means 8 % and
    1 means 92 % of a muscle's strength. Activations follow excitations with MuJoCo's muscle
    dynamics; observations end with them.
    """

    ctrl_dt: float = 0.02
    sim_dt: float = 0.002
    episode_length: int = 100
    terminates: bool = True
    """End episodes that went wrong; TD-MPC2's versions of the tasks do not."""

    @property
    def derived(self) -> tuple[str, ...]:
        """See `Task`: the positions of a few points."""
        return ("sensordata",)

    def model(self) -> mujoco.MjModel:
        """See `Task`."""
        return models.copied(self.body())

    def body(self) -> mujoco.MjModel:
        """The compiled model, shared by all of the process: not to be changed."""
        raise NotImplementedError

    def shape(self, action: Float[Array, " a"]) -> Float[Array, " a"]:
        """See `Task`: such that the mapped action is the sigmoid, within the control range."""
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
    """The 2-norm, with gradient 0 rather than NaN at 0."""
    square = jnp.sum(x**2)
    return jnp.where(square > 0, jnp.sqrt(jnp.where(square > 0, square, 1)), 0)


def count(*conditions: Bool[Array, ""]) -> Float[Array, ""]:
    """How many of `conditions` hold, as a real number."""
    return jnp.stack(conditions).sum(dtype=jnp.result_type(float))


def targets(
    model: mujoco.MjModel, tips: Sequence[str], places: Float[np.ndarray, "k 3"]
) -> list[Marker]:
    """Balls where `tips` should be [m]; some models have a site for that, which is moved."""
    markers = []
    for tip, place in zip(tips, places, strict=True):
        site = mujoco.mj_name2id(model, int(mujoco.mjtObj.mjOBJ_SITE), f"{tip}_target")
        if site < 0:
            markers.append(Marker(place, _TARGET_RADIUS))
        else:
            model.site_pos[site] = place
    return markers


def effort(act: Float[Array, " m"]) -> Float[Array, ""]:
    """MyoSuite's measure of effort: the 2-norm of the activations over their number."""
    return norm(act) / act.shape[0]


def force(
    model: mujoco.MjModel,
    length: Float[Array, " m"],
    velocity: Float[Array, " m"],
    act: Float[Array, " m"],
) -> Float[Array, " m"]:
    """Muscle forces [N], negative where they pull: MuJoCo's model without a tendon's compliance.

    MuJoCo's own `actuator_force` is that of the start of the last physics step; this is of the
    state given. Source: MuJoCo's documentation, "Modeling: Muscle actuators".

    Args:
        model: all of its actuators are muscles.
        length: of the actuators [m].
        velocity: of the actuators [m/s].
        act: activations, 0 to 1.
    """
    gain, bias = model.actuator_gainprm.T, model.actuator_biasprm.T
    low, high, peak, scale, lmin, lmax, vmax, _, fvmax = gain[:9]
    optimal = (model.actuator_lengthrange[:, 1] - model.actuator_lengthrange[:, 0]) / (high - low)
    l = low + (length - model.actuator_lengthrange[:, 0]) / optimal
    v = velocity / (optimal * vmax)
    # A negative peak force stands for one given by the acceleration that it causes.
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
