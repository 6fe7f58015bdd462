"""Unrolls a window of H steps per world, and differentiates its return through the simulator."""

# Modules are trees of arrays, but no type says so.

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float
from mjxwm_envs import shards
from mjxwm_envs.core import WorldBatch, Worlds

from mjxwm.algos.shac.config import Config
from mjxwm.algos.shac.learner import Learner
from mjxwm.data import rollout
from mjxwm.maths import moments
from mjxwm.models import actor_critic
from mjxwm.models.actor_critic import Actor, Critic
from mjxwm.types import Metrics, Trajectory


class Window(NamedTuple):
    """H steps in B worlds, with the quantities that the updates need."""

    trajectory: Trajectory
    entropy: Float[Array, "H B"]
    """Normalised entropy of the policy at each step, see `normal_entropy`."""
    total: Float[Array, " B"]
    """Objective of the actor: the return of the window by `segments`, divided by H."""
    worlds: Worlds
    """State of the worlds after the window."""
    metrics: Metrics


def value(config: Config, critics: Critic, x: Float[Array, "*s o"], how: str) -> Float[Array, "*s"]:
    """Value of normalised observations `x` in units of reward; 0 without a critic (APG).

    `how` combines the critics of the ensemble: "mean" or "min".
    """
    if not config.bootstrap:
        return jnp.zeros(x.shape[:-1], x.dtype)
    values = actor_critic.values(critics, x) * config.value_unit
    return values.mean(axis=0) if how == "mean" else values.min(axis=0)


def run(
    config: Config,
    env: WorldBatch,
    learner: Learner,
    actors: Actor,
    worlds: Worlds,
    noise: Float[Array, "H B a"],
) -> Window:
    """Unrolls B worlds, each with its own copy of the actor: so each world has its own gradient.

    Args:
        config: the configuration.
        env: B worlds of a differentiable engine.
        learner: its critics and observation moments are used; they get no gradient.
        actors: B copies of the actor; every leaf has a leading axis B.
        worlds: state of the worlds to start from; it gets no gradient.
        noise: standard-normal noise of the reparameterised actions.
    """

    def policy(obs: Array, noise: Array) -> Array:
        x = moments.normalize(learner.obs, obs)
        x = jax.lax.stop_gradient(x) if config.detach else x
        return jax.vmap(Actor.sample)(actors, x, noise)

    start = jax.lax.stop_gradient(worlds)
    worlds, trajectory, metrics = rollout.unroll(env, policy, start, noise)
    x = moments.normalize(learner.obs, trajectory.obs)
    x = jax.lax.stop_gradient(x) if config.detach else x
    entropy = normal_entropy(
        jax.vmap(jax.vmap(Actor.entropy), (None, 0, 0))(actors, x, noise), noise
    )
    weight = jnp.exp(learner.log_entropy)
    reward = trajectory.reward + weight * entropy
    x_next = moments.normalize(learner.obs, trajectory.next_obs)
    next_value = value(config, learner.target, x_next, config.actor_value)
    total = segments(reward, next_value, trajectory.terminated, trajectory.truncated, config.gamma)
    return Window(trajectory, entropy, total / len(noise), worlds, metrics)


def normal_entropy(entropy: Float[Array, "*s"], noise: Float[Array, "*s a"]) -> Float[Array, "*s"]:
    """Normalised entropy (H + a) / (2 a) for a actions: 0 at H = -a, 1 at H = a.

    So weights are comparable between tasks with different numbers of actions; the target entropy
    -a / 2 is at 1/4.

    Args:
        entropy: as `Actor.entropy` returns it, without the Gaussian's constant.
        noise: only its last axis is used, for the number of actions a.

    Source: Xing et al. 2025 (SAPO, arXiv 2412.12089), design choice II.
    """
    size = noise.shape[-1]
    full_entropy = entropy + size * _GAUSSIAN_ENTROPY
    return (full_entropy + size) / (2 * size)


_GAUSSIAN_ENTROPY = 0.5 * math.log(2 * math.pi * math.e)
"""Entropy of a standard normal, which `Actor.entropy` leaves out."""


def segments(
    reward: Float[Array, "H *s"],
    next_value: Float[Array, "H *s"],
    terminated: Bool[Array, "H *s"],
    truncated: Bool[Array, "H *s"],
    gamma: float,
) -> Float[Array, "*s"]:
    """Return of a window: discounted rewards, plus the value where an episode or the window is cut.

    If episodes end within the window, the returns of its segments are added; the discount starts
    again at 1 with each episode.

    Args:
        reward: r_t.
        next_value: value of the state after step t, before any reset. It is added, discounted, at
            truncations and at the last step, but not at a termination.
        terminated: whether the episode terminates at step t.
        truncated: whether the episode is truncated at step t.
        gamma: discount per step.

    Source: Xu et al. 2022 (SHAC, arXiv 2204.07137), eq. 5, and its code for ends of episodes.
    """
    horizon = len(reward)

    def step(
        carry: tuple[Array, Array], x: tuple[Array, Array, Array, Array, Array]
    ) -> tuple[tuple[Array, Array], None]:
        total, weight = carry
        r, v, terminated, truncated, last = x
        bootstrap = ((truncated | last) & ~terminated).astype(r.dtype)
        total = total + weight * (r + gamma * bootstrap * v)
        weight = jnp.where(terminated | truncated, 1.0, gamma * weight)
        return (total, weight), None

    last = jnp.arange(horizon) == horizon - 1
    zero, one = jnp.zeros_like(reward[0]), jnp.ones_like(reward[0])
    inputs = (reward, next_value, terminated, truncated, last)
    (total, _), _ = jax.lax.scan(step, (zero, one), inputs)
    return total


def gradients(
    config: Config, env: WorldBatch, learner: Learner, worlds: Worlds, noise: Float[Array, "H B a"]
) -> tuple[Actor, Window]:
    """Gradient of each world's negative return (every leaf [B, ...]), and the window."""

    def loss(actors: Actor) -> tuple[Array, Window]:
        window = run(config, env, learner, actors, worlds, noise)
        return -window.total.sum(), window

    worlds_here = noise.shape[1]  # on this device
    copies = jax.tree.map(lambda x: jnp.broadcast_to(x, (worlds_here, *x.shape)), learner.actor)
    return jax.grad(loss, has_aux=True)(copies)


def combine(grads: Actor, clip: float) -> tuple[Actor, Metrics]:
    """Clips each world's gradient to the norm `clip` and averages them; also returns metrics.

    Gradients that are not finite are dropped: the mean is over the others, on all devices (in one
    collective), and 0 if there are no others. The metrics of norms and the clipped fraction are
    over the finite gradients; `actor/nonfinite` and `actor/dropped` are the number and fraction of
    worlds whose gradients were dropped.
    """
    norms = jax.vmap(optax.tree.norm)(grads)
    finite = jnp.isfinite(norms)
    scale = jnp.where(finite, jnp.minimum(1, clip / jnp.maximum(norms, 1e-12)), 0)

    def mean(g: Array) -> Array:
        kept = jnp.where(finite.reshape(-1, *[1] * (g.ndim - 1)), g, 0)
        return jnp.tensordot(scale, kept, 1) / len(scale)

    kept_norms = jnp.where(finite, norms, 0)
    clipped = (kept_norms > clip).mean(dtype=norms.dtype)
    means = (jax.tree.map(mean, grads), kept_norms.mean(), clipped)
    dropped = (~finite).sum().astype(norms.dtype)
    (average, norm, clipped), (dropped, largest) = shards.mean_and_all(
        means, (dropped, kept_norms.max())
    )
    worlds = len(norms) * shards.count()
    among_finite = worlds / jnp.maximum(worlds - dropped.sum(), 1)
    return jax.tree.map(lambda g: g * among_finite, average), {
        "actor/nonfinite": dropped.sum(),
        "actor/dropped": dropped.sum() / worlds,
        "actor/world_grad_norm": norm * among_finite,
        "actor/world_grad_max": largest.max(),
        "actor/clipped": clipped * among_finite,
    }
