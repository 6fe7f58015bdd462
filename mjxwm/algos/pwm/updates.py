"""PWM's updates: world model on replayed windows, actor on imagined rollouts, then the critics."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray
from mjxwm_envs import shards

from mjxwm.algos.pwm.config import Config
from mjxwm.algos.pwm.critics import update_critic
from mjxwm.algos.pwm.learner import (
    Learner,
    Optimizers,
    encode,
    normalize_obs,
    packed,
    return_scale,
    reward_scale,
    unpacked,
)
from mjxwm.data import replay
from mjxwm.data.replay import Replay, Sequence
from mjxwm.maths import finite, moments, returns
from mjxwm.models import actor_critic, world_model
from mjxwm.models.actor_critic import Actor, Critic
from mjxwm.models.nets import computing_in
from mjxwm.models.optimizer import norm
from mjxwm.models.world_model import Imagined, LatentModel
from mjxwm.types import Metrics, StepCounts


def run_updates(
    config: Config, tx: Optimizers, learner: Learner, buffer: Replay, key: PRNGKeyArray
) -> tuple[Learner, Metrics]:
    """The second half of an iteration: `policy_updates` rounds of model, actor and critics."""
    length = config.horizon + 1

    def update(learner: Learner, inputs: tuple[PRNGKeyArray, Any, Any]) -> tuple[Learner, Metrics]:
        def model_step(learner: Learner, inputs: tuple[PRNGKeyArray, Any]) -> tuple[Learner, Any]:
            windows = replay.sample(buffer, inputs[0], config.batch, length)
            learner, metrics = update_model(config, tx, learner, windows, inputs[1])
            return learner, (metrics, windows)

        key_policy, keys, counts = inputs
        learner, (metrics, windows) = jax.lax.scan(model_step, learner, (keys, counts))
        last = jax.tree.map(lambda x: x[-1], windows)
        learner, policy_metrics = update_policy(config, tx, learner, last, key_policy)
        return learner, {**finite.over_updates(metrics), **policy_metrics}

    keys = jax.random.split(key, (config.policy_updates, config.model_steps + 1))
    counts = replay.step_counts(buffer, keys[:, 1:], config.batch, length)
    learner = packed(tx, learner)
    learner, metrics = jax.lax.scan(update, learner, (keys[:, 0], keys[:, 1:], counts))
    learner = unpacked(tx, learner)
    return learner, shards.mean(finite.over_updates(metrics))


def update_model(
    config: Config,
    tx: Optimizers,
    learner: Learner,
    windows: Sequence,
    counts: StepCounts | None = None,
) -> tuple[Learner, Metrics]:
    """One world-model step on N windows of `horizon` + 1 steps, see `Batch` for `counts`."""
    scale = reward_scale(config, learner)
    batch = world_model.Batch(
        obs=normalize_obs(learner, windows.obs),
        action=windows.action[:-1],
        reward=windows.reward[:-1] / scale,
        terminated=windows.terminated[:-1].astype(scale.dtype),
        mask=windows.mask[:-1].astype(scale.dtype),
        next_mask=windows.next_mask[:-1].astype(scale.dtype),
        counts=counts,
    )

    def loss(model: LatentModel) -> tuple[Array, Any]:
        return world_model.loss(computing_in(config.compute, model), config.model, batch)

    grads, (metrics, _) = jax.grad(loss, has_aux=True)(learner.model)
    grads, error = shards.mean((grads, metrics["loss"]))
    model, opt, skipped = tx.model.step(learner.model, grads, learner.model_opt, error)
    metrics = {**metrics, "grad_norm": norm(grads)}
    learner = learner._replace(model=model, model_opt=opt)
    named = {f"model/{name}": x for name, x in metrics.items()}
    return learner, {**named, "guard/model": skipped}


def actor_loss(
    config: Config,
    actor: Actor,
    model: LatentModel,
    target: Critic,
    z: Float[Array, "N z"],
    noise: Float[Array, "H N a"],
) -> tuple[Float[Array, ""], tuple[Imagined, Float[Array, " N"]]]:
    """The actor's loss: minus the mean over N of sum_t gamma^t r_t + gamma^H V(z_H).

    Differentiated through the model. Each term is also weighted by the predicted probability that
    the episode has not terminated before it.

    Returns:
        The loss, and with it the imagined rollouts and the N returns.
    """

    policy = actor_critic.Sampling(actor=actor, detach=config.detach)
    imagined = world_model.imagine(model, policy, z, noise)
    last = actor_critic.value(target, imagined.z[-1]) * config.value_unit
    discount = config.gamma * imagined.going_on
    total = returns.discounted_sum(imagined.reward, discount, last)
    return -total.mean(), (imagined, total)


def update_policy(
    config: Config, tx: Optimizers, learner: Learner, windows: Sequence, key: PRNGKeyArray
) -> tuple[Learner, Metrics]:
    """One actor update through the model, then critic updates on the imagined rollouts."""
    learner, imagined, metrics = update_actor(config, tx, learner, windows, key)
    learner, critic_metrics = update_critic(config, tx, learner, imagined, windows)
    return learner, {**metrics, **critic_metrics}


def update_actor(
    config: Config,
    tx: Optimizers,
    learner: Learner,
    windows: Sequence,
    key: PRNGKeyArray,
    extra_loss: Callable[[Actor], Float[Array, ""]] | None = None,
) -> tuple[Learner, Imagined, Metrics]:
    """One actor update through the model: `actor_loss` divided by `return_scale`, minus entropy,
    plus `extra_loss` of the actor.

    Imagined rollouts start from random states of the windows.
    """
    key_start, key_noise = jax.random.split(key)
    model, target = computing_in(config.compute, (learner.model, learner.target))
    start = _starts(windows, key_start, config.imagine_batch)
    z = encode(learner._replace(model=model), start)
    shape = (config.imagine_horizon, config.imagine_batch, windows.action.shape[-1])
    noise = shards.local(jax.random.normal(key_noise, shape), axis=1)
    scale = return_scale(learner)

    def objective(actor: Actor) -> tuple[Array, tuple[Imagined, Array]]:
        actor = computing_in(config.compute, actor)
        loss, aux = actor_loss(config, actor, model, target, z, noise)
        reached = jax.lax.stop_gradient(aux[0])
        weight = returns.discount_products(reached.going_on)[:-1]
        # If latents have no gradient through the actor, actions of the rollout serve here as well.
        u = aux[0].u if config.detach else None
        each = actor.entropy(reached.z[:-1], noise) if u is None else actor.entropy_at(u)
        entropy = (weight * each).mean()
        total = loss / scale - config.entropy * entropy
        return total if extra_loss is None else total + extra_loss(actor), aux

    (error, (imagined, total)), grads = jax.value_and_grad(objective, has_aux=True)(learner.actor)
    largest = returns.of_largest(windows.reward / reward_scale(config, learner), config.gamma)
    (grads, error), (seen_returns, largest) = shards.mean_and_all(
        (grads, error), (moments.of(total, 1), largest)
    )
    actor, opt, skipped = tx.actor.step(learner.actor, grads, learner.actor_opt, error)
    memory = 100.0 * config.imagine_batch
    scales, left_out = moments.merge_counting(learner.returns, seen_returns, memory)
    learner = learner._replace(actor=actor_critic.project(actor), actor_opt=opt, returns=scales)
    metrics = {
        "actor/return": total.mean(),
        "actor/optimism": total.mean() / largest.max(),
        "actor/return_scale": scale,
        "actor/grad_norm": norm(grads),
        "actor/std": learner.actor.std().mean(),
        "actor/saturation": (jnp.abs(imagined.action) > 0.97).mean(),
        "actor/going_on": imagined.going_on.mean(),
        "guard/actor": skipped,
        "guard/returns": left_out,
    }
    return learner, imagined, metrics


def _starts(windows: Sequence, key: PRNGKeyArray, num: int) -> Float[Array, "N o"]:
    """Random observations of the windows: rollouts may start from any step."""
    length, windows_here = windows.obs.shape[:2]
    bits = jax.random.bits(key, (2, num), jnp.uint32)
    window = shards.strata(bits[0], windows_here * shards.count())
    return windows.obs[shards.local(shards.cheap_randint(bits[1], length)), window]
