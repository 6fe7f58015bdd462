"""Pessimistic rewards, lowered by ensemble disagreement, so that policies exploit errors less."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from mjxwm.algos import tdmpc2
from mjxwm.models.nets import MLP
from mjxwm.models.world_model import Conditioned


class Pessimistic(NamedTuple):
    """A world model whose reward is lowered by the standard deviation of an ensemble of Qs."""

    model: Conditioned
    q: MLP
    """The ensemble of Qs, stacked on the leading axis of every leaf."""
    weight: Float[Array, ""]
    """Reward that is subtracted per unit of the ensemble's standard deviation."""

    def encode(self, obs: Float[Array, "*s o"]) -> Float[Array, "*s z"]:
        """See `LatentModel`."""
        return self.model.encode(obs)

    def predict(
        self, z: Float[Array, "*s z"], action: Float[Array, "*s a"]
    ) -> Float[Array, "*s z"]:
        """See `LatentModel`."""
        return self.model.predict(z, action)

    def reward_logits(
        self, z: Float[Array, "*s z"], action: Float[Array, "*s a"]
    ) -> Float[Array, "*s n"]:
        """See `LatentModel`; the penalty is not included."""
        return self.model.reward_logits(z, action)

    def reward(self, z: Float[Array, "*s z"], action: Float[Array, "*s a"]) -> Float[Array, "*s"]:
        """See `LatentModel`: the model's reward minus `weight` times the ensemble's deviation."""
        values = tdmpc2.networks.ensemble_values(self.model, self.q, z, action)
        # 1e-6: the square root has no gradient at 0, which is where all Qs are equal.
        deviation = jnp.sqrt(values.var(axis=0) + 1e-6)
        return self.model.reward(z, action) - self.weight * deviation

    def going_on(self, next_z: Float[Array, "*s z"]) -> Float[Array, "*s"]:
        """See `LatentModel`."""
        return self.model.going_on(next_z)

    def continue_logit(self, next_z: Float[Array, "*s z"]) -> Float[Array, "*s"]:
        """See `LatentModel`."""
        return self.model.continue_logit(next_z)
