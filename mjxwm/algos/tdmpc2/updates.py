"""TD-MPC2's losses and updates (Hansen et al. 2024, arXiv 2310.16828, with the released weights).

Departures: nothing follows the end of an episode in a window (masks), and the policy's loss leaves
the task embeddings alone (in the released code its gradient leaks into the next model step).
"""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, PRNGKeyArray
from mjxwm_envs import shards

from mjxwm.algos.tdmpc2.networks import Networks, TaskTable, for_task, project, two_of
from mjxwm.maths import twohot
from mjxwm.models import world_model
from mjxwm.models.nets import MLP
from mjxwm.models.optimizer import Optimizer, moved_towards
from mjxwm.models.world_model import Batch
from mjxwm.types import Metrics


class Rates(NamedTuple):
    """The settings of an update that do not shape any network."""

    lr: float
    encoder_lr: float
    """As a share of `lr`."""
    tau: float
    entropy: float
    value: float
    """Weight of the Qs' error."""
    final_lr: float = 1.0
    """Learning rate after the last update, as a share of `lr`."""


class Learner(NamedTuple):
    """What the updates change."""

    networks: Networks
    target: MLP
    """The Qs' slow copies."""
    model_opt: optax.OptState
    policy_opt: optax.OptState
    scale: Float[Array, ""]
    """Running range of Qs, from their 5th to their 95th percentile, at least 1."""


class Optimizers(NamedTuple):
    """Of everything but the policy, and of the policy."""

    model: Optimizer
    policy: Optimizer


def optimizers(rates: Rates, updates: int = 1) -> Optimizers:
    """Adam; gradients of everything but the policy are clipped together.

    Args:
        rates: the settings.
        updates: after how many the rate is at its end.
    """
    clip = optax.clip_by_global_norm(20.0)
    lr = optax.linear_schedule(rates.lr, rates.final_lr * rates.lr, updates)
    model = optax.chain(clip, optax.adam(lr), _slower_encoder(rates.encoder_lr))
    return Optimizers(Optimizer(model), Optimizer(optax.chain(clip, optax.adam(lr, eps=1e-5))))


def init(tx: Optimizers, networks: Networks) -> Learner:
    """A learner of fresh, or imported, networks."""
    return Learner(
        networks,
        jax.tree.map(jnp.copy, networks.q),  # two leaves in one buffer would break donation
        tx.model.init(_trained(networks)),
        tx.policy.init(networks.policy),
        jnp.ones(()),
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
    """One step on N windows, each of its task: the world model and the Qs, then the policy."""
    keys = jax.random.split(key, 5)
    wanted = td_target(learner, tasks, batch, task, keys[0])

    def loss(trained: Any) -> tuple[Array, Any]:
        networks = _with(learner.networks, trained)
        return model_loss(config, rates.value, networks, tasks, batch, task, wanted, keys[1])

    grads, (metrics, z) = jax.grad(loss, has_aux=True)(_trained(learner.networks))
    grads = shards.mean(grads)
    trained, model_opt = tx.model.step(_trained(learner.networks), grads, learner.model_opt)
    networks = project(_with(learner.networks, trained))
    learner = learner._replace(networks=networks, model_opt=model_opt)
    learner, policy_metrics = update_policy(
        config, rates, tx, learner, tasks, batch, jax.lax.stop_gradient(z), task, keys[2]
    )
    target = moved_towards(learner.target, learner.networks.q, rates.tau)
    found = {**metrics, "grad_norm": optax.tree.norm(grads)}
    named = {f"model/{name}": x for name, x in found.items()}
    return learner._replace(target=target), {**named, **policy_metrics}


def td_target(
    learner: Learner, tasks: TaskTable, batch: Batch, task: Int[Array, " N"], key: PRNGKeyArray
) -> Float[Array, "H N"]:
    """r + discount * min of two target Qs at the policy's action; r alone at a termination."""
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
    wanted: Float[Array, "H N"],
    key: PRNGKeyArray,
) -> tuple[Float[Array, ""], tuple[Metrics, Float[Array, "H+1 N z"]]]:
    """The world model's loss, and the cross-entropy of all Qs on the latents it predicted."""
    nets = for_task(networks, tasks, task)
    # Padding is not data: whatever stands in it must reach nothing.
    total, (metrics, z) = world_model.loss(nets.model, config, batch)
    logits = nets.value_logits(z[:-1], batch.action, key=key)
    error = twohot.cross_entropy(logits, wanted).mean(axis=0)
    # Where an episode is cut, what followed is not in the data.
    value = world_model.mean_error(
        config, error, batch.outcome, batch.known and batch.known.outcome
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
    """One step up the mean of two Qs and the entropy, on the latents of the model's update."""
    key_noise, key_q, key_drop = jax.random.split(key, 3)
    networks = learner.networks
    which = two_of(jax.tree.leaves(networks.q)[0].shape[0], key_q)
    noise = _normal(key_noise, (*z.shape[:2], batch.action.shape[-1]))
    # A latent counts where it was reached within the window's episode.
    reached = jnp.concatenate([jnp.ones_like(batch.mask[:1]), batch.next_mask])
    steps = len(batch.next_mask)
    known = batch.known and (1 + steps * batch.known.next_mask) / (1 + steps)

    def loss(policy: MLP) -> tuple[Array, Any]:
        nets = for_task(networks._replace(policy=policy), tasks, task)
        mean, log_std = nets.gaussian(z)
        action = nets.squash(mean + jnp.exp(log_std) * noise)
        logits = nets.value_logits(z, action, which, key_drop)
        value = twohot.decode(logits).mean(axis=0)
        scale = _range(learner.scale, jax.lax.stop_gradient(value[0]))
        entropy = gaussian_entropy(log_std, noise, nets.model.action_mask)
        worth = rates.entropy * entropy + value / scale
        total = -world_model.mean_error(config, worth, reached, known)
        return total, (scale, value.mean(), entropy.mean())

    (total, aux), grads = jax.value_and_grad(loss, has_aux=True)(networks.policy)
    grads = shards.mean(grads)
    policy, opt = tx.policy.step(networks.policy, grads, learner.policy_opt)
    scale, value, entropy = aux
    learner = learner._replace(
        networks=networks._replace(policy=policy), policy_opt=opt, scale=scale
    )
    return learner, {
        "policy/loss": total,
        "policy/value": value,
        "policy/entropy": entropy,
        "policy/scale": scale,
        "policy/grad_norm": optax.tree.norm(grads),
    }


def gaussian_entropy(
    log_std: Float[Array, "*s a"], noise: Float[Array, "*s a"], mask: Float[Array, "*b a"]
) -> Float[Array, "*s"]:
    """A sample of the entropy before tanh, times the number of actions, as TD-MPC2 has it."""
    log_prob = -0.5 * noise**2 - log_std - 0.5 * jnp.log(2 * jnp.pi)
    return -jnp.where(mask > 0, log_prob, 0).sum(axis=-1) * mask.sum(axis=-1)


def _normal(key: PRNGKeyArray, shape: tuple[int, ...]) -> Float[Array, "T N a"]:
    return shards.draw(lambda s: jax.random.normal(key, s), shape, axis=1)


def _range(scale: Float[Array, ""], value: Float[Array, " N"]) -> Float[Array, ""]:
    _, value = shards.mean_and_all((), value)
    low, high = jnp.percentile(value, jnp.array([5.0, 95.0]))
    return scale + 0.01 * (jnp.maximum(high - low, 1) - scale)


def _trained(networks: Networks) -> tuple[Any, Any, Any]:
    return networks.model, networks.q, networks.embedding


def _with(networks: Networks, trained: tuple[Any, Any, Any]) -> Networks:
    model, q, embedding = trained
    return networks._replace(model=model, q=q, embedding=embedding)


def _slower_encoder(share: float) -> optax.GradientTransformation:
    # Adam's steps are proportional to its rate: a slower rate is a shorter step.
    def shorter(steps: Any, _: Any) -> Any:
        model, *others = steps
        encoder = jax.tree.map(lambda x: share * x, model.encoder)
        return dataclasses.replace(model, encoder=encoder), *others

    return optax.stateless(shorter)
