"""REPPO's networks: a tanh-squashed Gaussian policy, and a critic that also predicts.

Layers are those of `mjxwm.models.nets`: linear, layer normalisation, Mish. The authors have RMS
normalisation and Swish in their places.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from mjxwm.algos.reppo.config import NetworkConfig
from mjxwm.models.activations import mish
from mjxwm.models.nets import MLP, network, static


class Gaussian(NamedTuple):
    """The Gaussian of actions before tanh, per action."""

    mean: Float[Array, "*s a"]
    std: Float[Array, "*s a"]

    def sample(self, noise: Float[Array, "*s a"]) -> tuple[Array, Array]:
        """The squashed action under standard-normal `noise` and the logarithm of its density."""
        u = self.mean + self.std * noise
        # log(1 - tanh(u)^2), written so that it neither overflows nor loses its gradient.
        log_slope = 2 * (math.log(2) - u - jax.nn.softplus(-2 * u))
        log_normal = -0.5 * noise**2 - jnp.log(self.std) - 0.5 * math.log(2 * math.pi)
        return jnp.tanh(u), (log_normal - log_slope).sum(axis=-1)

    def divergence(self, other: "Gaussian") -> Float[Array, "*s"]:
        """KL(self || other), the same before and after tanh."""
        ratio = self.std / other.std
        distance = (self.mean - other.mean) / other.std
        return (0.5 * (ratio**2 + distance**2 - 1) - jnp.log(ratio)).sum(axis=-1)


@network
class Actor:
    """Observation -> the Gaussian of actions before tanh."""

    net: MLP
    min_std: float = static()

    @classmethod
    def create(
        cls, config: NetworkConfig, obs_size: int, action_size: int, *, key: PRNGKeyArray
    ) -> "Actor":
        """Fresh parameters."""
        net = MLP.create(
            obs_size, config.actor, 2 * action_size, key=key, init="orthogonal", out_init="torch"
        )
        return cls(net=net, min_std=config.min_std)

    def __call__(self, x: Float[Array, "*s o"]) -> Gaussian:
        """The policy at normalised observations."""
        mean, log_std = jnp.split(self.net(x), 2, axis=-1)
        return Gaussian(mean, jnp.exp(log_std) + self.min_std)


class Judgement(NamedTuple):
    """What the critic makes of observations and actions."""

    features: Float[Array, "*s f"]
    """What the encoder makes of them, before the activation."""
    logits: Float[Array, "*s n"]
    """Logits of the bins of the value's histogram."""


@network
class Critic:
    """Soft action value as a histogram; and what comes next, predicted from the same features."""

    encoder: MLP
    head: MLP
    predictor: MLP

    @classmethod
    def create(
        cls, config: NetworkConfig, obs_size: int, action_size: int, *, key: PRNGKeyArray
    ) -> "Critic":
        """Fresh parameters; the value starts at the middle of the histogram."""
        keys = jax.random.split(key, 3)
        inputs, features = obs_size + action_size, config.features

        def net(i: int, in_size: int, hidden: tuple[int, ...], out_size: int) -> MLP:
            return MLP.create(
                in_size, hidden, out_size, key=keys[i], init="orthogonal", out_init="torch"
            )

        return cls(
            encoder=net(0, inputs, config.encoder, features),
            head=net(1, features, config.head, config.bins),
            predictor=net(2, features, config.head, features + 1),
        )

    def __call__(self, x: Float[Array, "*s o"], action: Float[Array, "*s a"]) -> Judgement:
        """The judgement of actions at normalised observations."""
        features = self.encoder.joined(x, action)
        return Judgement(features, self.head(mish(features)))

    def predict(self, features: Float[Array, "*s f"]) -> Float[Array, "*s f+1"]:
        """The features after the next action of the policy, and the scaled reward, from features
        now."""
        return self.predictor(mish(features))
