"""A model that is worth less where it does not know: against policies that exploit its errors."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from mjxwm.algos import tdmpc2
from mjxwm.models.nets import MLP
from mjxwm.models.world_model import Conditioned


class Pessimistic(NamedTuple):
    """A model whose rewards are less where the ensemble of Qs disagrees."""

    model: Conditioned
    q: MLP
    """The ensemble."""
    weight: Float[Array, ""]
    """Of a deviation of the ensemble, in a reward."""

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
        """See `LatentModel`; without pessimism."""
        return self.model.reward_logits(z, action)

    def reward(self, z: Float[Array, "*s z"], action: Float[Array, "*s a"]) -> Float[Array, "*s"]:
        """See `LatentModel`; less the ensemble's deviation, brought down to one step's share."""
        values = tdmpc2.networks.ensemble_values(self.model, self.q, z, action)
        # The root of nothing has no slope, and Qs can be equal to the last bit.
        apart = jnp.sqrt(values.var(axis=0) + 1e-6)
        return self.model.reward(z, action) - self.weight * apart

    def going_on(self, next_z: Float[Array, "*s z"]) -> Float[Array, "*s"]:
        """See `LatentModel`."""
        return self.model.going_on(next_z)

    def continue_logit(self, next_z: Float[Array, "*s z"]) -> Float[Array, "*s"]:
        """See `LatentModel`."""
        return self.model.continue_logit(next_z)
