"""The updates that follow a window: actor, critics, and the entropy's weight."""

# optax types parameters as trees of arrays; modules are such trees, but no type says so.
# pyright: reportArgumentType=false, reportReturnType=false

from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, PRNGKeyArray
from mjxwm_envs import shards

from mjxwm.algos.shac.config import Config
from mjxwm.algos.shac.learner import Learner, Optimizers
from mjxwm.algos.shac.window import Window, value
from mjxwm.maths import moments, returns
from mjxwm.models import actor_critic
from mjxwm.models.actor_critic import Actor, Critic
from mjxwm.types import Metrics

_TARGET = 0.25
"""The normalised entropy that tuning holds: -a / 2 for a actions, see `window.normal_entropy`."""


def update_actor(tx: Optimizers, learner: Learner, gradient: Actor) -> tuple[Learner, Metrics]:
    """One step along the mean gradient."""
    updates, opt = tx.actor.update(gradient, learner.actor_opt, learner.actor)
    actor = actor_critic.project(optax.apply_updates(learner.actor, updates))
    metrics = {"actor/grad_norm": optax.tree.norm(gradient), "actor/std": actor.std().mean()}
    return learner._replace(actor=actor, actor_opt=opt), metrics


def update_entropy(
    config: Config, tx: Optimizers, learner: Learner, window: Window
) -> tuple[Learner, Metrics]:
    """Raises the entropy's weight where there is less of it than the target, and lowers it else.

    Source: Haarnoja et al. 2018 (arXiv 1812.05905), eq. 18, on the logarithm of the weight.
    """
    entropy = jnp.where(window.trajectory.valid, window.entropy, _TARGET).mean()
    metrics = {"actor/entropy": entropy, "actor/entropy_weight": jnp.exp(learner.log_entropy)}
    if not config.tune_entropy:
        return learner, metrics
    updates, opt = tx.entropy.update(shards.mean(entropy) - _TARGET, learner.entropy_opt)
    log_entropy = optax.apply_updates(learner.log_entropy, updates)
    return learner._replace(log_entropy=log_entropy, entropy_opt=opt), metrics


def targets(config: Config, learner: Learner, window: Window) -> Float[Array, "H B"]:
    """TD(lambda) targets of the critics, in units of reward; soft ones where entropy counts.

    Where an episode is cut, by the time limit or by the window's end, the value of the state that
    was reached there follows; after a termination, nothing.
    """
    trajectory = window.trajectory
    x_next = moments.normalize(learner.obs, trajectory.next_obs)
    ahead = value(config, learner.target, x_next, "min")
    reward = trajectory.reward + jnp.exp(learner.log_entropy) * window.entropy
    discount = config.gamma * (1 - trajectory.terminated.astype(reward.dtype))
    cut = trajectory.truncated
    # A cut step has its whole target in the reward's place: what comes next is another episode.
    reward = jnp.where(cut, reward + discount * ahead, reward)
    return returns.lambda_return(reward, jnp.where(cut, 0, discount), ahead, config.lam)


def update_critic(
    config: Config, tx: Optimizers, learner: Learner, window: Window, key: PRNGKeyArray
) -> tuple[Learner, Metrics]:
    """`critic_epochs` passes over the window's states, then one step of the target copy.

    A pass is in batches, each of about equally many states of every world, in an order of its own.
    """
    target = targets(config, learner, window) / config.value_unit
    x = moments.normalize(learner.obs, window.trajectory.obs)
    weight = (window.trajectory.valid & jnp.isfinite(target)).astype(target.dtype)
    target = jnp.where(weight > 0, target, 0)
    # What is left of a batch that the steps do not fill weighs nothing.
    length = len(x)
    rows = -(-length // config.critic_batches) * config.critic_batches
    weight = weight * (rows / length)
    data = jax.lax.stop_gradient(jax.tree.map(lambda d: _filled(d, rows), (x, target, weight)))

    def loss(critic: Critic, batch: tuple[Array, Array, Array]) -> Array:
        x, target, weight = batch
        return (weight * (actor_critic.values(critic, x) - target) ** 2).mean()

    def step(carry: tuple[Critic, Any], batch: Any) -> tuple[tuple[Critic, Any], Array]:
        critic, opt = carry
        error, grads = jax.value_and_grad(loss)(critic, batch)
        grads = shards.mean(grads)
        updates, opt = tx.critic.update(grads, opt, critic)
        return (optax.apply_updates(critic, updates), opt), error

    def epoch(carry: tuple[Critic, Any], key: PRNGKeyArray) -> tuple[tuple[Critic, Any], Array]:
        order = _order(key, data[1].shape)

        def shuffled(x: Array) -> Array:
            x = x[order, jnp.arange(x.shape[1])]
            return x.reshape(config.critic_batches, -1, *x.shape[1:])

        return jax.lax.scan(step, carry, jax.tree.map(shuffled, data))

    start = (learner.critic, learner.critic_opt)
    (critic, opt), errors = jax.lax.scan(epoch, start, jax.random.split(key, config.critic_epochs))
    slow = optax.incremental_update(critic, learner.target, config.target_tau)
    learner = learner._replace(critic=critic, target=slow, critic_opt=opt)
    return learner, {
        "critic/loss": errors[-1].mean(),
        "critic/value": (target * config.value_unit).mean(),
    }


def _filled(x: Float[Array, "H B *f"], rows: int) -> Float[Array, "R B *f"]:
    return jnp.pad(x, [(0, rows - len(x))] + [(0, 0)] * (x.ndim - 1))


def _order(key: PRNGKeyArray, shape: tuple[int, ...]) -> Int[Array, "R B"]:
    """A random order of rows, another for each world."""
    rows = jnp.arange(shape[0])[:, None]
    return shards.draw(
        lambda s: jax.random.permutation(key, jnp.broadcast_to(rows, s), independent=True), shape, 1
    )
