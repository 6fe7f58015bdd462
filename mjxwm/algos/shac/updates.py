"""SHAC's updates after each window: actor, critics, and the weight of the entropy."""

from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray
from mjxwm_envs import shards

from mjxwm.algos.shac.config import Config
from mjxwm.algos.shac.learner import Learner, Optimizers
from mjxwm.algos.shac.window import Window, value
from mjxwm.maths import finite, moments, platform, returns
from mjxwm.models import actor_critic
from mjxwm.models.actor_critic import Actor, Critic
from mjxwm.models.optimizer import moved_towards
from mjxwm.types import Metrics

_TARGET_ENTROPY = 0.25
"""Target of the normalised entropy: -a / 2 for a actions, see `window.normal_entropy`."""


def update_actor(
    tx: Optimizers, learner: Learner, gradient: Actor, enough: Bool[Array, ""] | bool = True
) -> tuple[Learner, Metrics]:
    """One optimiser step of the actor with the mean gradient over worlds.

    It is skipped if the gradients of too many worlds were dropped: not `enough` are left.
    """
    doubt = jnp.where(enough, 0.0, jnp.nan)
    actor, opt, skipped = tx.actor.step(learner.actor, gradient, learner.actor_opt, doubt)
    actor = actor_critic.project(actor)
    metrics = {
        "actor/grad_norm": optax.tree.norm(gradient),
        "actor/std": actor.std().mean(),
        "guard/actor": skipped,
    }
    return learner._replace(actor=actor, actor_opt=opt), metrics


def update_entropy(
    config: Config, tx: Optimizers, learner: Learner, window: Window
) -> tuple[Learner, Metrics]:
    """Raises the entropy's weight if the entropy is below its target, lowers it otherwise.

    Source: Haarnoja et al. 2018 (arXiv 1812.05905), eq. 18, for the logarithm of the weight.
    """
    entropy = jnp.where(window.trajectory.valid, window.entropy, _TARGET_ENTROPY).mean()
    metrics = {"actor/entropy": entropy, "actor/entropy_weight": jnp.exp(learner.log_entropy)}
    if not config.tune_entropy:
        return learner, metrics
    gradient = shards.mean(entropy) - _TARGET_ENTROPY
    log_entropy, opt, skipped = tx.entropy.step(learner.log_entropy, gradient, learner.entropy_opt)
    learner = learner._replace(log_entropy=log_entropy, entropy_opt=opt)
    return learner, {**metrics, "guard/entropy": skipped}


def targets(config: Config, learner: Learner, window: Window) -> Float[Array, "H B"]:
    """TD(lambda) targets of the critics in units of reward, including the entropy bonus.

    Bootstraps from the target critics' minimum at truncations and at the end of the window, and
    never at a termination.
    """
    trajectory = window.trajectory
    x_next = moments.normalize(learner.obs, trajectory.next_obs)
    next_value = value(config, learner.target, x_next, "min")
    reward = trajectory.reward + jnp.exp(learner.log_entropy) * window.entropy
    discount = config.gamma * (1 - trajectory.terminated.astype(reward.dtype))
    truncated = trajectory.truncated
    # The next row is another episode's: a truncated step's whole target goes into its reward.
    reward = jnp.where(truncated, reward + discount * next_value, reward)
    return returns.lambda_return(reward, jnp.where(truncated, 0, discount), next_value, config.lam)


def update_critic(
    config: Config, tx: Optimizers, learner: Learner, window: Window, key: PRNGKeyArray
) -> tuple[Learner, Metrics]:
    """Trains the critics for `critic_epochs` epochs on the window, then moves the target critics.

    Each epoch shuffles the H steps of every world and splits them into `critic_batches` batches, so
    that every batch has about equally many steps of every world.
    """
    x, target, weight = _regression_data(config, learner, window)
    # Padding, if H is not a multiple of the number of batches, has weight 0.
    rows = -(-len(x) // config.critic_batches) * config.critic_batches
    weight = weight * (rows / len(x))
    data = jax.lax.stop_gradient(jax.tree.map(lambda d: _padded(d, rows), (x, target, weight)))

    def loss(critic: Critic, batch: tuple[Array, Array, Array]) -> Array:
        x, target, weight = batch
        return (weight * (actor_critic.values(critic, x) - target) ** 2).mean()

    def step(carry: tuple[Critic, Any], batch: Any) -> tuple[tuple[Critic, Any], Any]:
        critic, opt = carry
        error, grads = jax.value_and_grad(loss)(critic, batch)
        grads, mean_error = shards.mean((grads, error))
        critic, opt, skipped = tx.critic.step(critic, grads, opt, mean_error)
        return (critic, opt), (error, skipped)

    def epoch(carry: tuple[Critic, Any], order: Int[Array, "R B"]) -> tuple[Any, Any]:
        def shuffled(x: Array) -> Array:
            x = x[order, jnp.arange(x.shape[1])]
            return x.reshape(config.critic_batches, -1, *x.shape[1:])

        return platform.scan(step, carry, jax.tree.map(shuffled, data))

    keys = jax.random.split(key, config.critic_epochs)
    orders = jax.vmap(lambda key: _order(key, data[1].shape))(keys)
    start = (learner.critic, tx.critic.packed(learner.critic, learner.critic_opt))
    (critic, opt), (errors, skipped) = jax.lax.scan(epoch, start, orders)
    opt = tx.critic.unpacked(critic, opt)
    slow = moved_towards(learner.target, critic, config.target_tau)
    # Where no step was made there is nothing to follow.
    slow = finite.kept_unless(skipped.min() == 0, slow, learner.target)
    learner = learner._replace(critic=critic, target=slow, critic_opt=opt)
    value = (target * config.value_unit).mean()
    metrics = {"critic/loss": errors[-1].mean(), "critic/value": value}
    return learner, {**metrics, "guard/critic": skipped.sum()}


def _regression_data(
    config: Config, learner: Learner, window: Window
) -> tuple[Float[Array, "H B o"], Float[Array, "H B"], Float[Array, "H B"]]:
    """Normalised observations, targets in the critics' unit, and weights: 0 where invalid."""
    target = targets(config, learner, window) / config.value_unit
    x = moments.normalize(learner.obs, window.trajectory.obs)
    weight = (window.trajectory.valid & jnp.isfinite(target)).astype(target.dtype)
    return x, jnp.where(weight > 0, target, 0), weight


def _padded(x: Float[Array, "H B *f"], rows: int) -> Float[Array, "R B *f"]:
    return jnp.pad(x, [(0, rows - len(x))] + [(0, 0)] * (x.ndim - 1))


def _order(key: PRNGKeyArray, shape: tuple[int, ...]) -> Int[Array, "R B"]:
    """A random permutation of the R rows for each of B worlds."""
    rows = jnp.arange(shape[0])[:, None]
    return shards.draw(
        lambda s: jax.random.permutation(key, jnp.broadcast_to(rows, s), independent=True), shape, 1
    )
