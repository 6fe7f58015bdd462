"""PWM's critics: TD(lambda) targets of imagined rollouts and, where asked, replayed windows."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float
from mjxwm_envs import shards

from mjxwm.algos.pwm.config import Config
from mjxwm.algos.pwm.learner import Learner, Optimizers, encode, reward_scale
from mjxwm.data.replay import Sequence
from mjxwm.maths import returns
from mjxwm.models import actor_critic
from mjxwm.models.actor_critic import Critic
from mjxwm.models.optimizer import moved_towards
from mjxwm.models.world_model import Imagined
from mjxwm.types import Metrics


def update_critic(
    config: Config, tx: Optimizers, learner: Learner, imagined: Imagined, windows: Sequence
) -> tuple[Learner, Metrics]:
    """Regresses all critics on TD(lambda) targets of imagined rollouts, and of replayed windows."""
    imagined = jax.lax.stop_gradient(imagined)
    next_value = actor_critic.value(learner.target, imagined.z[1:]) * config.value_unit
    discount = config.gamma * imagined.going_on
    target = returns.lambda_return(imagined.reward, discount, next_value, config.lam)
    # A state counts as much as it is likely to be reached.
    weight = returns.discount_products(imagined.going_on)[:-1]
    parts = [(1.0, imagined.z[:-1], target / config.value_unit, weight)]
    if config.critic_replay:
        z, real, known = replayed_targets(config, learner, windows)
        parts.append((config.critic_replay, z, real / config.value_unit, known))

    def loss(critic: Critic) -> Array:
        # Without a part, Python's sum would be the number 0: a type that is never met.
        total: Any = sum(
            share * (weight * (actor_critic.values(critic, z) - target) ** 2).mean()
            for share, z, target, weight in parts
        )
        return total

    learner, errors = fit_critic(config, tx, learner, loss)
    return learner, {"critic/loss": errors.mean(), "critic/value": target.mean()}


def fit_critic(
    config: Config, tx: Optimizers, learner: Learner, loss: Callable[[Critic], Array]
) -> tuple[Learner, Float[Array, " k"]]:
    """`config.critic_steps` steps down a loss, the targets following; its value at each."""

    def step(
        carry: tuple[Critic, Critic, Any], _: None
    ) -> tuple[tuple[Critic, Critic, Any], Array]:
        critic, slow, opt = carry
        error, grads = jax.value_and_grad(loss)(critic)
        grads = shards.mean(grads)
        critic, opt = tx.critic.step(critic, grads, opt)
        slow = moved_towards(slow, critic, config.target_tau)
        return (critic, slow, opt), error

    start = (learner.critic, learner.target, learner.critic_opt)
    (critic, slow, opt), errors = jax.lax.scan(step, start, None, config.critic_steps)
    return learner._replace(critic=critic, target=slow, critic_opt=opt), errors


def replayed_targets(
    config: Config, learner: Learner, windows: Sequence
) -> tuple[Float[Array, "H N z"], Float[Array, "H N"], Float[Array, "H N"]]:
    """Latents of replayed windows, TD(lambda) targets of their real rewards and ends, and weights.

    What was imagined alone never meets the world: where the model wrongly lets an episode go on,
    the critic believes it. As in DreamerV3 (Hafner et al. 2023, arXiv 2301.04104), replayed steps
    tie it down, at the price that their actions are those of older policies.
    """
    z = jax.lax.stop_gradient(encode(learner, windows.obs))
    value = actor_critic.value(learner.target, z) * config.value_unit
    ended = windows.terminated[:-1]
    # Where an episode is cut, what followed is not in the replay.
    known = windows.mask[:-1] & (ended | windows.next_mask[:-1])
    reward = windows.reward[:-1] / reward_scale(config, learner)
    # A step whose outcome is not known has the critic's own value as its target.
    reward = jnp.where(known, reward, value[:-1])
    discount = jnp.where(known & ~ended, config.gamma, 0.0)
    target = returns.lambda_return(reward, discount, value[1:], config.lam)
    return z[:-1], jax.lax.stop_gradient(target), known.astype(target.dtype)
