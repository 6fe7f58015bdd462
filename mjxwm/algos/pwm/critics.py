"""PWM's critics: TD(lambda) targets on imagined rollouts and, optionally, replayed windows."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float
from mjxwm_envs import shards

from mjxwm.algos.pwm.config import Config
from mjxwm.algos.pwm.learner import Learner, Optimizers, encode, reward_scale
from mjxwm.data.replay import Sequence
from mjxwm.maths import finite, platform, returns
from mjxwm.models import actor_critic
from mjxwm.models.actor_critic import Critic
from mjxwm.models.nets import computing_in
from mjxwm.models.optimizer import moved_towards
from mjxwm.models.world_model import Imagined
from mjxwm.types import Metrics


def update_critic(
    config: Config,
    tx: Optimizers,
    learner: Learner,
    imagined: Imagined,
    windows: Sequence,
    extra_loss: Callable[[Critic], Float[Array, ""]] | None = None,
) -> tuple[Learner, Metrics]:
    """Trains the critics on TD(lambda) targets of imagined rollouts and, with weight
    `config.critic_replay`, of replayed windows; plus `extra_loss` of the critics.
    """
    imagined = jax.lax.stop_gradient(imagined)
    target_critics = computing_in(config.compute, learner.target)
    next_value = actor_critic.value(target_critics, imagined.z[1:]) * config.value_unit
    discount = config.gamma * imagined.going_on
    target = returns.lambda_return(imagined.reward, discount, next_value, config.lam)
    # A state weighs as much as the probability that the episode has not ended before it.
    weight = returns.discount_products(imagined.going_on)[:-1]
    parts = [(1.0, imagined.z[:-1], target / config.value_unit, weight)]
    if config.critic_replay:
        z, replayed, mask = replayed_targets(config, learner, windows)
        parts.append((config.critic_replay, z, replayed / config.value_unit, mask))

    cast = computing_in(config.compute, learner.critic)
    inputs = [actor_critic.for_each(cast, z) for _, z, _, _ in parts]

    def loss(critic: Critic) -> Array:
        critic = computing_in(config.compute, critic)
        # Without a part, Python's sum would be the number 0: a type that is never met.
        total: Any = sum(
            share * (weight * (actor_critic.values_of_each(critic, z) - target) ** 2).mean()
            for z, (share, _, target, weight) in zip(inputs, parts, strict=True)
        )
        return total if extra_loss is None else total + extra_loss(critic)

    learner, errors, skipped = fit_critic(config, tx, learner, loss)
    return learner, {
        "critic/loss": errors.mean(),
        "critic/value": target.mean(),
        "guard/critic": skipped,
    }


def fit_critic(
    config: Config, tx: Optimizers, learner: Learner, loss: Callable[[Critic], Array]
) -> tuple[Learner, Float[Array, " k"], Float[Array, ""]]:
    """Minimises `loss` in `config.critic_steps` steps, each followed by one of the target critics.

    Returns the learner, the loss at each step, and how many steps were skipped because they were
    not finite.
    """

    follows = config.target_tau < 1  # else the target critics are the critics

    def step(carry: tuple[Critic, Critic | None, Any], _: None) -> tuple[Any, tuple[Array, Array]]:
        critic, slow, opt = carry
        error, grads = jax.value_and_grad(loss)(critic)
        grads, mean_error = shards.mean((grads, error))
        critic, opt, skipped = tx.critic.step(critic, grads, opt, mean_error)
        if slow is not None:
            moved = moved_towards(slow, critic, config.target_tau)
            slow = finite.kept_unless(skipped == 0, moved, slow)
        return (critic, slow, opt), (error, skipped)

    start = (learner.critic, learner.target if follows else None, learner.critic_opt)
    (critic, slow, opt), (errors, skipped) = platform.scan(step, start, None, config.critic_steps)
    slow = critic if slow is None else slow
    learner = learner._replace(critic=critic, target=slow, critic_opt=opt)
    return learner, errors, skipped.sum()


def replayed_targets(
    config: Config, learner: Learner, windows: Sequence
) -> tuple[Float[Array, "H N z"], Float[Array, "H N"], Float[Array, "H N"]]:
    """TD(lambda) targets on replayed windows, from their real rewards and terminations.

    Critics trained on imagined rollouts alone believe the model where it misses terminations; real
    steps correct them, as in DreamerV3 (Hafner et al. 2023, arXiv 2301.04104). The price is that
    the actions are those of older policies.

    Returns:
        Latents of the steps, their targets in units of reward, and a mask: 1 where the step's
        outcome (a termination or the next observation) is in the replay.
    """
    model, target_critics = computing_in(config.compute, (learner.model, learner.target))
    z = jax.lax.stop_gradient(encode(learner._replace(model=model), windows.obs))
    value = actor_critic.value(target_critics, z) * config.value_unit
    ended = windows.terminated[:-1]
    # After a truncation, the next observation is not in the replay.
    mask = windows.mask[:-1] & (ended | windows.next_mask[:-1])
    reward = windows.reward[:-1] / reward_scale(config, learner)
    # There, the target is the critics' own value.
    reward = jnp.where(mask, reward, value[:-1])
    discount = jnp.where(mask & ~ended, config.gamma, 0.0)
    target = returns.lambda_return(reward, discount, value[1:], config.lam)
    return z[:-1], jax.lax.stop_gradient(target), mask.astype(target.dtype)
