"""Offline critics by expectile regression (IQL) and advantage-weighted imitation (AWR).

With a fixed data set, a policy learns to exploit errors of the world model, and critics trained on
imagined rollouts overestimate it. Critics trained on the data's own steps do not: they regress to
an upper expectile of one-step targets r + gamma V(s') (IQL, Kostrikov et al. 2021, arXiv
2110.06169). IQL also learns Qs, which average over random outcomes; without them, values are the
same in deterministic worlds and too high in stochastic ones. The data's actions are imitated with
weights exp(advantage / temperature), clipped (AWR, Peng et al. 2019, arXiv 1910.00177).
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

_MAX_WEIGHT = 20.0
"""Largest weight before normalisation; an action of mean advantage has weight 1 (AWR)."""


class WeightedActions(NamedTuple):
    """The data's actions in H steps of N windows, with their weights in the imitation loss."""

    z: Float[Array, "H N z"]
    action: Float[Array, "H N a"]
    weight: Float[Array, "H N"]
    """Sums to 1 (to 0 if no step has an outcome); 0 at steps whose next observation is missing."""

    def distance(self, actor: Actor) -> Float[Array, ""]:
        """Weighted mean of the squared distance from the actor's mean action to the data's."""
        return (self.weight * ((actor.mean(self.z) - self.action) ** 2).sum(axis=-1)).sum()


def expectile_loss(
    error: Float[Array, "*s"], expectile: float | Float[Array, ""]
) -> Float[Array, "*s"]:
    """|expectile - 1[error < 0]| error^2; at 0.5 the mean minimises it, towards 1 the maximum."""
    return jnp.where(error > 0, expectile, 1 - expectile) * error**2


def advantage_weights(
    advantage: Float[Array, "*s"], mask: Float[Array, "*s"], temperature: float
) -> Float[Array, "*s"]:
    """exp(standardised advantage / temperature), clipped at 20, scaled to a sum of 1.

    Every advantage more than log(20) = 3 temperatures above the mean gets the same weight: a
    temperature far below 1 imitates all actions better than the mean alike, and no others.

    Args:
        advantage: advantages in any unit; they are standardised over the batch.
        mask: 1 where the advantage is known; elsewhere the weight is 0.
        temperature: in standard deviations of the advantage.
    """
    count = jnp.maximum(mask.sum(), 1)
    mean = (mask * advantage).sum() / count
    variance = (mask * (advantage - mean) ** 2).sum() / count
    scaled = (advantage - mean) / (temperature * jnp.sqrt(variance + 1e-12))
    weight = mask * jnp.exp(jnp.minimum(scaled, jnp.log(_MAX_WEIGHT)))
    return weight / jnp.maximum(weight.sum(), 1e-12)


def update(
    config: pwm.Config,
    expectile: float,
    temperature: float,
    tx: Optimizers,
    learner: Learner,
    windows: Sequence,
) -> tuple[Learner, WeightedActions, Metrics]:
    """Updates the critics on the data's steps, and weighs the data's actions by their advantage.

    Args:
        config: PWM's configuration.
        expectile: which expectile of the targets the values regress to, between 0 and 1.
        temperature: of the weights, in standard deviations of the advantage.
        tx: the optimisers.
        learner: networks; its critics are trained by this function only.
        windows: N windows of H + 1 steps.

    Returns:
        The learner with updated critics, the weighted actions, and metrics.
    """
    one_step = dataclasses.replace(config, lam=0.0)
    z, target, mask = pwm.replayed_targets(one_step, learner, windows)

    def loss(critic: Critic) -> Array:
        error = target / config.value_unit - actor_critic.values(critic, z)
        return (mask * expectile_loss(error, expectile)).mean()

    learner, errors, skipped = pwm.fit_critic(config, tx, learner, loss)
    value = actor_critic.value(learner.critic, z) * config.value_unit
    weight = advantage_weights(target - value, mask, temperature)
    metrics = {
        "critic/loss": errors.mean(),
        "critic/value": value.mean(),
        "guard/critic": skipped,
        # Kish's effective sample size: 1 means that a single action has all the weight.
        "imitation/effective_sample": weight.sum() / jnp.maximum((weight**2).sum(), 1e-12),
    }
    return learner, WeightedActions(z, windows.action[:-1], weight), metrics
