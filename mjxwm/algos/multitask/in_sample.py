"""Values of what the data show to be possible, and imitation of the actions that were better.

Where no new data come, a policy finds what the model has wrong, and its critics believe it. Values
that are learned on the data's steps alone do not: they are the upper expectile of one-step targets
(IQL, Kostrikov et al. 2021, arXiv 2110.06169). IQL has Qs beside them, so that luck is no skill;
here the outcome itself is the target, which in a deterministic world is the same and in a
stochastic one is too hopeful. The data's actions are imitated with clipped weights of
exp(advantage) (AWR, Peng et al. 2019, arXiv 1910.00177).
"""

import dataclasses
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from mjxwm.algos import pwm
from mjxwm.algos.pwm import Learner, Optimizers
from mjxwm.data.replay import Sequence
from mjxwm.models import actor_critic
from mjxwm.models.actor_critic import Actor, Critic
from mjxwm.types import Metrics

_MOST = 20.0
"""The largest weight of an action, where that of an average one is 1. AWR's."""


class Shown(NamedTuple):
    """Actions of the data, and how much each is to be imitated."""

    z: Float[Array, "H N z"]
    action: Float[Array, "H N a"]
    weight: Float[Array, "H N"]
    """With a sum of 1, or 0 if no outcome is in the data; 0 for those whose outcome is not."""

    def distance(self, actor: Actor) -> Float[Array, ""]:
        """Squared distance from the policy's means to them, in the weighted mean."""
        return (self.weight * ((actor.mean(self.z) - self.action) ** 2).sum(axis=-1)).sum()


def expectile_loss(
    error: Float[Array, "*s"], expectile: float | Float[Array, ""]
) -> Float[Array, "*s"]:
    """|expectile - 1[error < 0]| error^2: 0.5 gives the mean's, towards 1 that of the maximum."""
    return jnp.where(error > 0, expectile, 1 - expectile) * error**2


def advantage_weights(
    advantage: Float[Array, "*s"], known: Float[Array, "*s"], temperature: float
) -> Float[Array, "*s"]:
    """exp(advantage / temperature) where `known`, in deviations from the mean advantage.

    Brought to a sum of 1 after those above 20 are cut to it: what is more than 3 temperatures
    better than the mean all counts alike, so that a temperature far below 1 is a filter.
    """
    count = jnp.maximum(known.sum(), 1)
    mean = (known * advantage).sum() / count
    variance = (known * (advantage - mean) ** 2).sum() / count
    scaled = (advantage - mean) / (temperature * jnp.sqrt(variance + 1e-12))
    weight = known * jnp.exp(jnp.minimum(scaled, jnp.log(_MOST)))
    return weight / jnp.maximum(weight.sum(), 1e-12)


def update(
    config: pwm.Config,
    expectile: float,
    temperature: float,
    tx: Optimizers,
    learner: Learner,
    windows: Sequence,
) -> tuple[Learner, Shown, Metrics]:
    """Critic steps on the data's own steps, and what their actions are worth.

    Args:
        config: PWM's settings.
        expectile: of the targets that values are to be, above 0 and below 1.
        temperature: of the weights, in deviations of the advantage.
        tx: the optimisers.
        learner: its critics are those of the data, and of nothing imagined.
        windows: N windows of H + 1 steps.
    """
    one_step = dataclasses.replace(config, lam=0.0)
    z, target, known = pwm.replayed_targets(one_step, learner, windows)

    def loss(critic: Critic) -> Array:
        error = target / config.value_unit - actor_critic.values(critic, z)
        return (known * expectile_loss(error, expectile)).mean()

    learner, errors = pwm.fit_critic(config, tx, learner, loss)
    value = actor_critic.value(learner.critic, z) * config.value_unit
    weight = advantage_weights(target - value, known, temperature)
    metrics = {
        "critic/loss": errors.mean(),
        "critic/value": value.mean(),
        # Of how many equal weights it is worth: 1 is a single action.
        "imitation/effective_sample": weight.sum() / jnp.maximum((weight**2).sum(), 1e-12),
    }
    return learner, Shown(z, windows.action[:-1], weight), metrics
