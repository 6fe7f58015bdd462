"""TD-MPC2's losses and updates, with the released code's weights (Hansen et al. 2024, 2310.16828).

Differences from the released code: steps after the end of an episode in a window are masked, and
the policy's loss has no gradient with respect to the task embeddings (there, that gradient leaks
into the next model update).
"""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray
from mjxwm_envs import shards

from mjxwm.algos.tdmpc2.entropy import gaussian_entropy, squashed_entropy
from mjxwm.algos.tdmpc2.networks import Networks, TaskTable, for_task, project, two_of
from mjxwm.maths import finite, platform, returns, twohot
from mjxwm.models import world_model
from mjxwm.models.nets import MLP
from mjxwm.models.optimizer import Optimizer, moved_towards, norm
from mjxwm.models.world_model import Batch
from mjxwm.types import Metrics


class Rates(NamedTuple):
    """Hyperparameters of an update, other than sizes of networks."""

    lr: float
    encoder_lr: float
    """Learning rate of the encoder, as a fraction of `lr`."""
    tau: float
    """The target Qs move by this fraction towards the Qs per update."""
    entropy: float
    """Weight of the policy's entropy."""
    value: float
    """Weight of the Qs' loss."""
    final_lr: float = 1.0
    """Learning rate after the last update, as a fraction of `lr`."""
    squashed: bool = False
    """Whether `entropy` weighs the entropy of the action after tanh; else that of the Gaussian
    before it, times the number of actions, as in TD-MPC2's code."""


class Learner(NamedTuple):
    """Networks, optimiser states and the scale of Qs: what the updates change."""

    networks: Networks
    target: MLP
    """Target Qs: slowly moving copies of `networks.q`."""
    model_opt: optax.OptState
    policy_opt: optax.OptState
    scale: Float[Array, ""]
    """Running difference of the Qs' 95th and 5th percentiles, at least 1."""


class Optimizers(NamedTuple):
    """Optimisers of world model, Qs and embeddings together, and of the policy."""

    model: Optimizer
    policy: Optimizer


def optimizers(rates: Rates, updates: int) -> Optimizers:
    """Adam with gradient clipping: one for model, Qs and embeddings together, one for the policy.

    Args:
        rates: hyperparameters.
        updates: number of updates over which the learning rate falls to `final_lr`.
    """
    clip = optax.clip_by_global_norm(20.0)
    lr = optax.linear_schedule(rates.lr, rates.final_lr * rates.lr, updates)
    return Optimizers(
        Optimizer(optax.chain(clip, optax.adam(lr)), _slower_encoder(rates.encoder_lr)),
        Optimizer(optax.chain(clip, optax.adam(lr, eps=1e-5))),
    )


def init(tx: Optimizers, networks: Networks) -> Learner:
    """A learner with these networks, new or imported, before the first update."""
    return Learner(
        networks,
        jax.tree.map(jnp.copy, networks.q),  # two leaves in one buffer would break donation
        tx.model.init(_trained(networks)),
        tx.policy.init(networks.policy),
        jnp.ones(()),
    )


def packed(tx: Optimizers, learner: Learner) -> Learner:
    """The learner as a loop over updates carries it, with its optimisers' states packed."""
    return learner._replace(
        model_opt=tx.model.packed(_trained(learner.networks), learner.model_opt),
        policy_opt=tx.policy.packed(learner.networks.policy, learner.policy_opt),
    )


def unpacked(tx: Optimizers, learner: Learner) -> Learner:
    """The learner as `init` makes it and as checkpoints hold it, after a loop over updates."""
    return learner._replace(
        model_opt=tx.model.unpacked(_trained(learner.networks), learner.model_opt),
        policy_opt=tx.policy.unpacked(learner.networks.policy, learner.policy_opt),
    )


def update(
    config: world_model.Config,
    rates: Rates,
    tx: Optimizers,
    learner: Learner,
    tasks: TaskTable,
    batch: Batch,
    task: Int[Array, " N"],
    key: PRNGKeyArray,
) -> tuple[Learner, Metrics]:
    """One update of model, Qs and embeddings, then of the policy, on N windows of tasks `task`."""
    keys = jax.random.split(key, 5)
    targets = td_target(learner, tasks, batch, task, keys[0])

    def loss(trained: Any) -> tuple[Array, Any]:
        networks = _with(learner.networks, trained)
        return model_loss(config, rates.value, networks, tasks, batch, task, targets, keys[1])

    grads, (metrics, z) = jax.grad(loss, has_aux=True)(_trained(learner.networks))
    grads, error = shards.mean((grads, metrics["loss"]))
    trained, model_opt, skipped = tx.model.step(
        _trained(learner.networks), grads, learner.model_opt, error
    )
    networks = project(_with(learner.networks, trained))
    learner = learner._replace(networks=networks, model_opt=model_opt)
    learner, policy_metrics = update_policy(
        config, rates, tx, learner, tasks, batch, jax.lax.stop_gradient(z), task, keys[2]
    )
    target = moved_towards(learner.target, learner.networks.q, rates.tau)
    target = finite.kept_unless(skipped == 0, target, learner.target)
    metrics = {**metrics, "grad_norm": norm(grads)}
    named = {f"model/{name}": x for name, x in metrics.items()}
    learner = learner._replace(target=target)
    return learner, {**named, **policy_metrics, "guard/model": skipped}


def td_target(
    learner: Learner, tasks: TaskTable, batch: Batch, task: Int[Array, " N"], key: PRNGKeyArray
) -> Float[Array, "H N"]:
    """TD targets r + discount * min of two random target Qs at the policy's next action.

    At a termination, the target is r.
    """
    key_noise, key_q = jax.random.split(key)
    slow = for_task(learner.networks._replace(q=learner.target), tasks, task)
    z = slow.model.encode(batch.obs[1:])
    noise = _normal(key_noise, batch.action.shape)
    which = two_of(jax.tree.leaves(learner.target)[0].shape[0], key_q)
    value = slow.values(z, slow.act(z, noise), which).min(axis=0)
    return batch.reward + slow.discount * (1 - batch.terminated) * value


def model_loss(
    config: world_model.Config,
    weight: float,
    networks: Networks,
    tasks: TaskTable,
    batch: Batch,
    task: Int[Array, " N"],
    targets: Float[Array, "H N"],
    key: PRNGKeyArray,
) -> tuple[Float[Array, ""], tuple[Metrics, Float[Array, "H+1 N z"]]]:
    """Loss of the world model plus that of the Qs: their cross-entropy on the predicted latents."""
    nets = for_task(networks, tasks, task)
    # `Conditioned` replaces padding by zeros: whatever is in it has no effect.
    total, (metrics, z) = world_model.loss(nets.model, config, batch)
    masks = _dropout_masks(nets.q, len(jax.tree.leaves(nets.q)[0]), key, batch.reward.shape)
    logits = nets.value_logits(z[:-1], batch.action, dropout_masks=masks)
    error = twohot.cross_entropy(logits, targets).mean(axis=0)
    # After a truncation, the next observation is not in the data.
    value = world_model.mean_error(
        config, error, batch.outcome, batch.counts and batch.counts.outcome
    )
    total = total + weight * value
    return total, ({**metrics, "value": value, "loss": total}, z)


def update_policy(
    config: world_model.Config,
    rates: Rates,
    tx: Optimizers,
    learner: Learner,
    tasks: TaskTable,
    batch: Batch,
    z: Float[Array, "H+1 N z"],
    task: Int[Array, " N"],
    key: PRNGKeyArray,
) -> tuple[Learner, Metrics]:
    """One update of the policy: maximises two random Qs' mean, divided by `scale`, and entropy.

    It is on the latents `z` of the model's update; gradients reach the policy only.
    """
    key_noise, key_q, key_drop = jax.random.split(key, 3)
    networks = learner.networks
    which = two_of(jax.tree.leaves(networks.q)[0].shape[0], key_q)
    noise = _normal(key_noise, (*z.shape[:2], batch.action.shape[-1]))
    # Latents after the end of the first step's episode are masked.
    reached = jnp.concatenate([jnp.ones_like(batch.mask[:1]), batch.next_mask])
    count = batch.counts and z.shape[1] + batch.counts.next_mask
    masks = _dropout_masks(networks.q, 2, key_drop, z.shape[:2])

    def loss(policy: MLP) -> tuple[Array, Any]:
        nets = for_task(networks._replace(policy=policy), tasks, task)
        mean, log_std = nets.gaussian(z)
        u = mean + jnp.exp(log_std) * noise
        action = nets.squash(u)
        logits = nets.value_logits(z, action, which, masks)
        value = twohot.decode(logits).mean(axis=0)
        scale = _range(learner.scale, jax.lax.stop_gradient(value[0]))
        mask = nets.model.action_mask
        entropy = gaussian_entropy(log_std, noise, mask)
        if rates.squashed:
            entropy = squashed_entropy(u, log_std, noise, mask)
        worth = rates.entropy * entropy + value / scale
        total = -world_model.mean_error(config, worth, reached, count)
        return total, (scale, value.mean(), entropy.mean())

    (total, aux), grads = jax.value_and_grad(loss, has_aux=True)(networks.policy)
    largest = returns.of_largest(batch.reward, tasks.discount.max())
    (grads, error), largest = shards.mean_and_all((grads, total), largest)
    policy, opt, skipped = tx.policy.step(networks.policy, grads, learner.policy_opt, error)
    scale, value, entropy = aux
    learner = learner._replace(
        networks=networks._replace(policy=policy),
        policy_opt=opt,
        scale=finite.kept_unless(skipped == 0, scale, learner.scale),
    )
    return learner, {
        "policy/loss": total,
        "policy/value": value,
        "policy/optimism": value / largest.max(),
        "policy/entropy": entropy,
        "policy/scale": scale,
        "policy/grad_norm": norm(grads),
        "guard/policy": skipped,
    }


def _normal(key: PRNGKeyArray, shape: tuple[int, ...]) -> Float[Array, "T N a"]:
    return shards.draw(lambda s: jax.random.normal(key, s), shape, axis=1)


def _dropout_masks(
    q: MLP, num: int, key: PRNGKeyArray, shape: tuple[int, ...]
) -> Bool[Array, "k T N h"] | None:
    """A mask for each of `num` Qs on [T, N] = `shape` inputs; None without dropout."""
    if not q.dropout:
        return None
    shape = (*shape, q.layers[0].bias.shape[-1])

    def draw(key: PRNGKeyArray) -> Bool[Array, "T N h"]:
        return shards.draw(lambda s: jax.random.bernoulli(key, 1 - q.dropout, s), shape, axis=1)

    return jax.vmap(draw)(jax.random.split(key, num))


def _range(scale: Float[Array, ""], value: Float[Array, " N"]) -> Float[Array, ""]:
    _, value = shards.mean_and_all((), value)
    low, high = percentiles(value, 5.0, 95.0)
    return scale + 0.01 * (jnp.maximum(high - low, 1) - scale)


def percentiles(x: Float[Array, "..."], *percents: float) -> Float[Array, " p"]:
    """`jnp.percentile`, on a GPU with places in the sorted array that are worked out beforehand."""
    if platform.compiled_for() == "cpu":
        return jnp.percentile(x, jnp.array(percents))
    ordered = jnp.sort(x.ravel())  # NaN last
    places = np.array(percents) / 100 * (x.size - 1)
    share = places - np.floor(places)
    low, high = (ordered[of(places).astype(int)] for of in (np.floor, np.ceil))
    return jnp.where(jnp.isnan(ordered[-1]), jnp.nan, (1 - share) * low + share * high)


def _trained(networks: Networks) -> tuple[Any, Any, Any]:
    return networks.model, networks.q, networks.embedding


def _with(networks: Networks, trained: tuple[Any, Any, Any]) -> Networks:
    model, q, embedding = trained
    return networks._replace(model=model, q=q, embedding=embedding)


def _slower_encoder(share: float) -> Callable[[Any], Any]:
    # Adam's steps are proportional to its rate: a slower rate is a shorter step.
    def shorter(steps: Any) -> Any:
        model, *others = steps
        encoder = jax.tree.map(lambda x: share * x, model.encoder)
        return dataclasses.replace(model, encoder=encoder), *others

    return shorter
