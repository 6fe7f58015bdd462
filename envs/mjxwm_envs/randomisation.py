"""Domain randomisation: another body in every episode of every world, on all three engines.

The body's numbers are drawn at each reset and constant until the next one. Constants that MuJoCo
derives from masses follow (`mjxwm_envs.engines.derived_constants`).
"""

import dataclasses

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from mjxwm_envs.core import Initial
from mjxwm_envs.engines.derived_constants import derived_constants

Range = tuple[float, float]
_NOMINAL: Range = (1.0, 1.0)


@dataclasses.dataclass(frozen=True)
class Randomisation:
    """Ranges of the factors that a body's numbers are multiplied by, drawn uniformly."""

    mass: Range = _NOMINAL
    """Mass and inertia: one factor for each body."""
    friction: Range = _NOMINAL
    """Sliding friction: one factor for all geoms."""
    gain: Range = _NOMINAL
    """Strength: one factor for the gain and bias of each actuator."""
    gravity: Range = _NOMINAL
    """Gravity: one factor."""
    latency: int = 0
    """Largest delay of a world's actions [control steps]; each world draws its own, from 0 up. The
    last `latency` actions, newest first, are then part of the observation."""

    def __post_init__(self) -> None:
        """Checks the ranges.

        Raises:
            ValueError: bounds that are negative or not in order, or a negative latency.
        """
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.name == "latency":
                if value < 0:
                    raise ValueError(f"latency={value} is out of range; it must be at least 0")
            elif not (len(value) == 2 and 0 <= value[0] <= value[1] < np.inf):
                raise ValueError(
                    f"{field.name}={value} is no range; give two factors, the lower one first"
                )
        if not self.mass[0] > 0:
            raise ValueError(f"mass={self.mass} is out of range; no body weighs nothing")

    def apply(self, model: mujoco.MjModel, key: PRNGKeyArray, initial: Initial) -> Initial:
        """`initial` with drawn fields of the model, and a drawn delay.

        Raises:
            ValueError: the task itself sets one of these fields for each world.
        """
        key_model, key_lag = jax.random.split(key)
        drawn = self._draw(model, key_model)
        for name in drawn:
            if name in initial.fields:
                raise ValueError(
                    f"{name} cannot be randomised here: the task gives each world its own; take "
                    "what changes it out of `randomise`"
                )
        initial = initial._replace(fields={**initial.fields, **drawn})
        if not self.latency:
            return initial
        return initial._replace(lag=jax.random.randint(key_lag, (), 0, self.latency + 1))

    def fields(self, model: mujoco.MjModel, key: PRNGKeyArray) -> dict[str, Array]:
        """Drawn `MjModel` fields and the constants that follow from them, whole arrays by name.

        Args:
            model: the nominal body.
            key: random key.
        """
        drawn = self._draw(model, key)
        return drawn | derived_constants(model, drawn)

    def _draw(self, model: mujoco.MjModel, key: PRNGKeyArray) -> dict[str, Array]:
        keys, drawn = jax.random.split(key, 4), {}
        if self.mass != _NOMINAL:
            factor = _draw(keys[0], self.mass, (model.nbody,))
            drawn["body_mass"] = jnp.asarray(model.body_mass) * factor
            drawn["body_inertia"] = jnp.asarray(model.body_inertia) * factor[:, None]
        if self.friction != _NOMINAL:
            factor = _draw(keys[1], self.friction, ())
            drawn["geom_friction"] = jnp.asarray(model.geom_friction).at[:, 0].multiply(factor)
            if model.npair:
                pairs = jnp.asarray(model.pair_friction)
                drawn["pair_friction"] = pairs.at[:, :2].multiply(factor)
        if self.gain != _NOMINAL:
            factor = _draw(keys[2], self.gain, (model.nu, 1))
            for name in ("actuator_gainprm", "actuator_biasprm"):
                strength = jnp.asarray(_strengths(model, getattr(model, name)))
                drawn[name] = jnp.asarray(getattr(model, name)) * jnp.where(strength, factor, 1)
        if self.gravity != _NOMINAL:
            factor = _draw(keys[3], self.gravity, ())
            drawn["opt.gravity"] = jnp.asarray(model.opt.gravity) * factor
        return drawn


def _strengths(model: mujoco.MjModel, numbers: np.ndarray) -> np.ndarray:
    """A mask of the parameters [nu, n] that scale force: all; of muscles the peak force only."""
    forces = np.ones(numbers.shape, bool)
    muscles = model.actuator_gaintype == mujoco.mjtGain.mjGAIN_MUSCLE
    forces[muscles] = False
    # The third number is the peak force, or -1: then the fourth scales it.
    has_peak = numbers[:, 2] >= 0
    forces[muscles & has_peak, 2] = True
    forces[muscles & ~has_peak, 3] = True
    return forces


def _draw(key: PRNGKeyArray, span: Range, shape: tuple[int, ...]) -> Float[Array, "*s"]:
    return jax.random.uniform(key, shape, minval=span[0], maxval=span[1])
