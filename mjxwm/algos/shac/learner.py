"""SHAC's learned state: actor, critics, entropy weight, observation moments; its optimisers."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, PRNGKeyArray

from mjxwm.algos.shac.config import Config
from mjxwm.maths import moments
from mjxwm.maths.moments import Moments
from mjxwm.models import actor_critic
from mjxwm.models.actor_critic import Actor, Critic
from mjxwm.models.optimizer import Optimizer


class Learner(NamedTuple):
    """Networks, entropy weight, optimiser states and moments: what the updates change."""

    actor: Actor
    critic: Critic
    target: Critic
    """Target critics: slowly moving copies of `critic`."""
    log_entropy: Float[Array, ""]
    """Logarithm of the entropy's weight; minus infinity if the weight is 0."""
    actor_opt: optax.OptState
    critic_opt: optax.OptState
    entropy_opt: optax.OptState
    obs: Moments
    """Running moments of observations, which normalise the networks' inputs. They are updated
    between windows only."""


class Networks(NamedTuple):
    """The policy and its critics, normalised as they learned; fields are those of `Learner`."""

    actor: Actor
    critic: Critic
    target: Critic
    obs: Moments


class Optimizers(NamedTuple):
    """One optimiser per network, and one for the entropy's weight."""

    actor: Optimizer
    critic: Optimizer
    entropy: Optimizer


def optimizers(config: Config) -> Optimizers:
    """Adam with SHAC's momenta; learning rates fall linearly over the run."""

    def adam(lr: float, updates: int) -> Optimizer:
        schedule = optax.linear_schedule(lr, min(config.final_lr, lr), updates)
        clip = optax.clip_by_global_norm(config.clip)
        return Optimizer(optax.chain(clip, optax.adam(schedule, b1=0.7, b2=0.95)))

    critic_updates = config.iterations * config.critic_epochs * config.critic_batches
    return Optimizers(
        actor=adam(config.actor_lr, config.iterations),
        critic=adam(config.critic_lr, critic_updates),
        entropy=Optimizer(optax.adam(config.entropy_lr)),
    )


def init(
    config: Config, tx: Optimizers, obs_size: int, action_size: int, key: PRNGKeyArray
) -> Learner:
    """New networks and optimisers, and moments of no observations yet."""
    new = init_networks(config, obs_size, action_size, key)
    log_entropy = jnp.log(jnp.asarray(config.entropy, float))
    return Learner(
        **new._asdict(),
        log_entropy=log_entropy,
        actor_opt=tx.actor.init(new.actor),
        critic_opt=tx.critic.init(new.critic),
        entropy_opt=tx.entropy.init(log_entropy),
    )


def init_networks(config: Config, obs_size: int, action_size: int, key: PRNGKeyArray) -> Networks:
    """New networks, and moments of no observations yet."""
    key_actor, key_critic = jax.random.split(key)
    critic = actor_critic.make_critics(config.policy, obs_size, key=key_critic)
    return Networks(
        actor=Actor.create(config.policy, obs_size, action_size, key=key_actor),
        critic=critic,
        target=jax.tree.map(jnp.copy, critic),  # two leaves in one buffer would break donation
        obs=moments.init((obs_size,)),
    )


def networks(learner: Learner) -> Networks:
    """The policy of a learner, and its critics."""
    return Networks(*(getattr(learner, name) for name in Networks._fields))


def act(
    learner: Learner | Networks, obs: Float[Array, "B o"], noise: Float[Array, "B a"] | None
) -> Float[Array, "B a"]:
    """Actions for B observations: sampled with standard-normal `noise`, deterministic with None."""
    x = moments.normalize(learner.obs, obs)
    return learner.actor.mean(x) if noise is None else learner.actor.sample(x, noise)
