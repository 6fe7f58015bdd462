"""Rewards lowered by the disagreement of an ensemble, so that policies exploit errors less."""

from typing import Any, NamedTuple, Protocol

import jax.numpy as jnp
from jaxtyping import Array, Float

from mjxwm.algos import tdmpc2
from mjxwm.models.nets import MLP


class Doubt(Protocol):
    """How far the members of an ensemble are apart: a tree of arrays that can be called."""

    def __call__(
        self, model: Any, z: Float[Array, "*s z"], action: Float[Array, "*s a"]
    ) -> Float[Array, "*s"]:
        """Standard deviation over the members, of what this action leads to in the model."""
        ...


class Pessimistic(NamedTuple):
    """A world model whose reward is lowered by the disagreement of an ensemble."""

    model: Any
    """A `LatentModel`."""
    doubt: Doubt
    weight: Float[Array, ""]
    """Reward that is subtracted per unit of the disagreement."""

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
        """See `LatentModel`: the model's reward minus the penalty."""
        return self.model.reward(z, action) - self.weight * self.doubt(self.model, z, action)

    def going_on(self, next_z: Float[Array, "*s z"]) -> Float[Array, "*s"]:
        """See `LatentModel`."""
        return self.model.going_on(next_z)

    def continue_logit(self, next_z: Float[Array, "*s z"]) -> Float[Array, "*s"]:
        """See `LatentModel`."""
        return self.model.continue_logit(next_z)


class OfQs(NamedTuple):
    """Disagreement of a multi-task model's Qs on the action's value, in units of return."""

    q: MLP
    """The ensemble of Qs, stacked on the leading axis of every leaf."""

    def __call__(
        self, model: Any, z: Float[Array, "*s z"], action: Float[Array, "*s a"]
    ) -> Float[Array, "*s"]:
        """See `Doubt`; the model is `Conditioned`."""
        values = tdmpc2.networks.ensemble_values(model, self.q, z, action)
        # 1e-6: the square root has no gradient at 0, which is where all Qs are equal.
        return jnp.sqrt(values.var(axis=0) + 1e-6)
