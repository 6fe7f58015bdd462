"""REPPO's learned state: policy with its multipliers, critic, observation moments; optimisers."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, PRNGKeyArray

from mjxwm.algos.reppo.config import Config
from mjxwm.algos.reppo.networks import Actor, Critic
from mjxwm.maths import moments
from mjxwm.maths.moments import Moments
from mjxwm.models.optimizer import Optimizer


class Policy(NamedTuple):
    """The policy and the multipliers of its two constraints, which one optimiser changes."""

    actor: Actor
    log_entropy: Float[Array, ""]
    """Logarithm of the entropy's weight, alpha in the paper."""
    log_kl: Float[Array, ""]
    """Logarithm of the divergence's weight, beta in the paper."""


class Learner(NamedTuple):
    """Networks, optimiser states and moments: what the updates change."""

    policy: Policy
    critic: Critic
    policy_opt: optax.OptState
    critic_opt: optax.OptState
    obs: Moments
    """Running moments of observations, which normalise the networks' inputs. They are updated
    between iterations only."""


class Networks(NamedTuple):
    """The policy and its critic, normalised as they learned."""

    actor: Actor
    critic: Critic
    obs: Moments


class Optimizers(NamedTuple):
    """One optimiser of the policy with its multipliers, and one of the critic."""

    policy: Optimizer
    critic: Optimizer


def optimizers(config: Config) -> Optimizers:
    """Adam on gradients of limited norm, that of the policy and of its multipliers together."""
    clip = optax.clip_by_global_norm(config.max_grad_norm)
    highest = max(config.lr, config.multiplier_lr)

    def own_rates(steps: Policy) -> Policy:
        actor, *multipliers = steps
        actor = jax.tree.map(lambda x: config.lr / highest * x, actor)
        return Policy(actor, *(config.multiplier_lr / highest * x for x in multipliers))

    return Optimizers(
        Optimizer(optax.chain(clip, optax.adam(highest)), own_rates),
        Optimizer(optax.chain(clip, optax.adam(config.lr))),
    )


def init_networks(config: Config, obs_size: int, action_size: int, key: PRNGKeyArray) -> Networks:
    """New networks, and moments of no observations yet."""
    key_actor, key_critic = jax.random.split(key)
    return Networks(
        Actor.create(config.networks, obs_size, action_size, key=key_actor),
        Critic.create(config.networks, obs_size, action_size, key=key_critic),
        moments.init((obs_size,)),
    )


def init(
    config: Config, tx: Optimizers, obs_size: int, action_size: int, key: PRNGKeyArray
) -> Learner:
    """New networks, multipliers and optimisers."""
    actor, critic, obs = init_networks(config, obs_size, action_size, key)
    policy = Policy(
        actor,
        jnp.asarray(math.log(config.entropy), float),
        jnp.asarray(math.log(config.kl), float),
    )
    return Learner(policy, critic, tx.policy.init(policy), tx.critic.init(critic), obs)


def networks(learner: Learner) -> Networks:
    """What acts, and what others look at."""
    return Networks(learner.policy.actor, learner.critic, learner.obs)
