"""REPPO's targets, its two losses, and the epochs over what an iteration has collected."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, PRNGKeyArray
from mjxwm_envs import shards

from mjxwm.algos.reppo.config import Config
from mjxwm.algos.reppo.learner import Learner, Optimizers, Policy
from mjxwm.algos.reppo.networks import Critic, Gaussian
from mjxwm.maths import finite, hl_gauss, moments, returns
from mjxwm.types import Metrics, Trajectory


class Batch(NamedTuple):
    """What the losses take, of T steps in B worlds or of a minibatch of them."""

    x: Float[Array, "*s o"]
    """Normalised observations."""
    action: Float[Array, "*s a"]
    reward: Float[Array, "*s"]
    """Scaled rewards."""
    target: Float[Array, "*s"]
    """TD(lambda) targets of the soft action value, in units of scaled reward."""
    next_features: Float[Array, "*s f"]
    """The critic's features after the step, as they were when the iteration began."""
    weight: Float[Array, "*s"]
    """1 for steps to learn from, 0 for those whose physics or target is not finite."""
    goes_on: Float[Array, "*s"]
    """1 for steps after which something can be predicted, 0 for those that terminated."""
    old: Gaussian
    """The policy that collected."""


def batch(
    config: Config, learner: Learner, trajectory: Trajectory, noise: Float[Array, "T B a"]
) -> Batch:
    """The steps of an iteration with their targets.

    Args:
        config: the configuration.
        learner: as it collected.
        trajectory: of T steps in B worlds.
        noise: standard-normal noise of the actions after each step.
    """
    x = moments.normalize(learner.obs, trajectory.obs)
    reward = config.reward_scaling * trajectory.reward
    target, next_features = targets(config, learner, trajectory, noise)
    sound = trajectory.valid & jnp.isfinite(target)
    return Batch(
        x=x,
        action=trajectory.action,
        reward=reward,
        target=jnp.where(sound, target, 0),
        next_features=finite.or_zero(next_features),
        weight=sound.astype(reward.dtype),
        goes_on=1 - trajectory.terminated.astype(reward.dtype),
        old=learner.policy.actor(x),
    )


def targets(
    config: Config, learner: Learner, trajectory: Trajectory, noise: Float[Array, "T B a"]
) -> tuple[Float[Array, "T B"], Float[Array, "T B f"]]:
    """TD(lambda) targets of the soft action value, and the critic's features after each step.

    The value of what follows a step is that of an action of the policy, less its weighted log
    density: Q(s', a') - alpha log pi(a'|s'). Targets bootstrap from it at truncations and at the
    last step, and never at a termination.
    """
    x_next = moments.normalize(learner.obs, trajectory.next_obs)
    action, log_density = learner.policy.actor(x_next).sample(noise)
    judgement = learner.critic(x_next, action)
    next_value = hl_gauss.decode(judgement.logits, config.min_value, config.max_value)
    discount = config.gamma * (1 - trajectory.terminated.astype(next_value.dtype))
    # Reward of a step with the entropy that comes after it; what the lambda mixes has none.
    entropy = -jnp.exp(learner.policy.log_entropy) * log_density
    reward = config.reward_scaling * trajectory.reward + discount * entropy
    # A step whose physics diverged says nothing to the one before it, either: that bootstraps.
    reward, next_value = (jnp.where(trajectory.valid, x, 0) for x in (reward, next_value))
    lost = jnp.concatenate([~trajectory.valid[1:], jnp.zeros_like(trajectory.valid[:1])])
    cut = trajectory.truncated | lost
    # The next row is another episode's: a cut step's whole target goes into its reward.
    reward = jnp.where(cut, reward + discount * next_value, reward)
    target = returns.lambda_return(reward, jnp.where(cut, 0, discount), next_value, config.lam)
    return target, judgement.features


def critic_loss(
    config: Config, critic: Critic, part: Batch
) -> tuple[Float[Array, ""], dict[str, Float[Array, ""]]]:
    """Cross-entropy against the targets' histograms, and the error of the prediction.

    Where an episode terminates nothing follows that could be predicted.
    """
    judgement = critic(part.x, part.action)
    ends = config.min_value, config.max_value
    error = hl_gauss.cross_entropy(judgement.logits, part.target, *ends)
    to_predict = jnp.concatenate([part.next_features, part.reward[..., None]], axis=-1)
    missed = ((critic.predict(judgement.features) - to_predict) ** 2).mean(axis=-1)
    missed = (part.weight * part.goes_on * missed).mean()
    error = (part.weight * error).mean()
    return error + config.prediction * missed, {"critic/error": error, "critic/prediction": missed}


def policy_loss(
    config: Config, policy: Policy, critic: Critic, part: Batch, noise: Float[Array, "*s a"]
) -> tuple[Float[Array, ""], dict[str, Float[Array, ""]]]:
    """The policy's loss, and those of its two multipliers.

    In states in which the policy is within the bound of the one that collected, it climbs the
    critic's soft value, through the action; in the others it only comes back. The entropy's weight
    grows while the entropy is below its target, the divergence's while that is above its bound.

    Source: Voelcker et al. 2025 (REPPO, arXiv 2507.11019), section 4. The authors estimate the
    divergence from samples; that of two Gaussians is known, and tanh does not change it.
    """
    alpha, beta = jnp.exp(policy.log_entropy), jnp.exp(policy.log_kl)
    new = policy.actor(part.x)
    action, log_density = new.sample(noise)
    value = hl_gauss.decode(critic(part.x, action).logits, config.min_value, config.max_value)
    kl = part.old.divergence(new)
    fixed_alpha, fixed_beta = jax.lax.stop_gradient((alpha, beta))
    climb = fixed_alpha * log_density - value
    loss = (part.weight * jnp.where(kl < config.kl_bound, climb, fixed_beta * kl)).mean()
    # Means over the same states, so that masked ones do not move the multipliers.
    lack, excess = jax.lax.stop_gradient(
        (
            (part.weight * (-log_density - config.target_entropy * action.shape[-1])).mean(),
            (part.weight * (kl - config.kl_bound)).mean(),
        )
    )
    metrics = {
        "actor/entropy": (part.weight * -log_density).mean(),
        "actor/kl": (part.weight * kl).mean(),
        "actor/held": (part.weight * (kl >= config.kl_bound)).mean(),
        "actor/std": new.std.mean(),
        "actor/entropy_weight": alpha,
        "actor/kl_weight": beta,
    }
    return loss + alpha * lack - beta * excess, metrics


def learn(
    config: Config, tx: Optimizers, learner: Learner, data: Batch, key: PRNGKeyArray
) -> tuple[Learner, Metrics]:
    """`epochs` epochs of minibatches, each with equally many random steps of every world."""
    steps, worlds = data.target.shape
    columns = jnp.arange(worlds)
    minibatches = config.minibatches, steps // config.minibatches, worlds

    def update(learner: Learner, chosen: tuple[Array, Array]) -> tuple[Learner, Metrics]:
        rows, noise = chosen
        part = jax.tree.map(lambda x: x[rows, columns], data)
        learner, of_critic = _update_critic(config, tx, learner, part)
        learner, of_policy = _update_policy(config, tx, learner, part, noise)
        return learner, {**of_critic, **of_policy}

    def epoch(learner: Learner, key: PRNGKeyArray) -> tuple[Learner, Metrics]:
        key_order, key_noise = jax.random.split(key)
        order = _order(key_order, (steps, worlds)).reshape(minibatches)
        noise = _normal(key_noise, data.action.shape).reshape(*minibatches, -1)
        return jax.lax.scan(update, learner, (order, noise))

    learner = learner._replace(
        policy_opt=tx.policy.packed(learner.policy, learner.policy_opt),
        critic_opt=tx.critic.packed(learner.critic, learner.critic_opt),
    )
    learner, metrics = jax.lax.scan(epoch, learner, jax.random.split(key, config.epochs))
    learner = learner._replace(
        policy_opt=tx.policy.unpacked(learner.policy, learner.policy_opt),
        critic_opt=tx.critic.unpacked(learner.critic, learner.critic_opt),
    )
    beyond = (data.target < config.min_value) | (data.target > config.max_value)
    return learner, {
        **finite.over_updates(jax.tree.map(jnp.ravel, metrics)),
        "critic/value": (data.weight * data.target).mean() / config.reward_scaling,
        "critic/beyond": (data.weight * beyond).mean(),
    }


def _update_critic(
    config: Config, tx: Optimizers, learner: Learner, part: Batch
) -> tuple[Learner, Metrics]:
    gradient = jax.value_and_grad(lambda critic: critic_loss(config, critic, part), has_aux=True)
    (loss, metrics), grads = gradient(learner.critic)
    loss, grads = shards.mean((loss, grads))
    critic, opt, skipped = tx.critic.step(learner.critic, grads, learner.critic_opt, loss)
    return learner._replace(critic=critic, critic_opt=opt), {**metrics, "guard/critic": skipped}


def _update_policy(
    config: Config, tx: Optimizers, learner: Learner, part: Batch, noise: Float[Array, "*s a"]
) -> tuple[Learner, Metrics]:
    def of(policy: Policy) -> Any:
        return policy_loss(config, policy, learner.critic, part, noise)

    (loss, metrics), grads = jax.value_and_grad(of, has_aux=True)(learner.policy)
    loss, grads = shards.mean((loss, grads))
    policy, opt, skipped = tx.policy.step(learner.policy, grads, learner.policy_opt, loss)
    metrics = {**metrics, "actor/grad_norm": optax.tree.norm(grads), "guard/actor": skipped}
    return learner._replace(policy=policy, policy_opt=opt), metrics


def _order(key: PRNGKeyArray, shape: tuple[int, int]) -> Array:
    """A random permutation of the T steps of each of B worlds."""
    rows = jnp.arange(shape[0])[:, None]
    return shards.draw(
        lambda s: jax.random.permutation(key, jnp.broadcast_to(rows, s), independent=True), shape, 1
    )


def _normal(key: PRNGKeyArray, shape: tuple[int, ...]) -> Array:
    return shards.draw(lambda s: jax.random.normal(key, s), shape, 1)
