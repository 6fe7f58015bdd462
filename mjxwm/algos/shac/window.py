"""The return of a short window of simulation, one per world, and its gradient for each world."""

# Modules are trees of arrays, but no type says so.
# pyright: reportArgumentType=false, reportReturnType=false

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
    """H steps in B worlds, and what they came to."""

    trajectory: Trajectory
    entropy: Float[Array, "H B"]
    """Of the policy at each step, in [0, 1] where it is near its target."""
    total: Float[Array, " B"]
    """What the actor's gradient raises: discounted rewards and the value at each end, over H."""
    worlds: Worlds
    metrics: Metrics


def value(config: Config, critics: Critic, x: Float[Array, "*s o"], how: str) -> Float[Array, "*s"]:
    """Value of normalised observations in units of reward; zero without a critic."""
    if not config.bootstrap:
        return jnp.zeros(x.shape[:-1], x.dtype)
    each = actor_critic.values(critics, x) * config.value_unit
    return each.mean(axis=0) if how == "mean" else each.min(axis=0)


def run(
    config: Config,
    env: WorldBatch,
    learner: Learner,
    actors: Actor,
    worlds: Worlds,
    noise: Float[Array, "H B a"],
) -> Window:
    """Unrolls B worlds, each with its own copy of the actor, so that each has its own gradient.

    Args:
        config: settings.
        env: B worlds of a differentiable engine.
        learner: the critic and the moments of observations, fixed here.
        actors: the actor, every leaf with a leading axis B.
        worlds: where to start; no gradient flows into it.
        noise: standard-normal, for the reparameterised actions.
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
    ahead = value(config, learner.target, x_next, config.actor_value)
    total = segments(reward, ahead, trajectory.terminated, trajectory.truncated, config.gamma)
    return Window(trajectory, entropy, total / len(noise), worlds, metrics)


def normal_entropy(entropy: Float[Array, "*s"], noise: Float[Array, "*s a"]) -> Float[Array, "*s"]:
    """Entropy shifted and scaled to 0 at -a and to 1 at a, SAPO's: comparable across a actions.

    Args:
        entropy: as `Actor.entropy` has it, without the Gaussian's constant.
        noise: for the number of actions a.

    Source: Xing et al. 2025 (SAPO), design choice II; the target, -a / 2, lies at 1/4.
    """
    size = noise.shape[-1]
    whole = entropy + size * _GAUSSIAN
    return (whole + size) / (2 * size)


_GAUSSIAN = 0.5 * math.log(2 * math.pi * math.e)
"""Entropy of a standard normal: what `Actor.entropy` leaves out, and the target counts in."""


def segments(
    reward: Float[Array, "H *s"],
    ahead: Float[Array, "H *s"],
    terminated: Bool[Array, "H *s"],
    truncated: Bool[Array, "H *s"],
    gamma: float,
) -> Float[Array, "*s"]:
    """Discounted rewards plus the value at the end of each episode and of the window.

    The discount starts anew with each episode: a window is one return, or several of parts of
    episodes. `ahead` is the value of the state that a step leads to, before any reset; it counts
    where an episode is truncated and at the window's end, and nothing follows a termination.

    Source: Xu et al. 2022 (SHAC), eq. 5, and its treatment of ends.
    """
    horizon = len(reward)

    def step(
        carry: tuple[Array, Array], x: tuple[Array, Array, Array, Array, Array]
    ) -> tuple[tuple[Array, Array], None]:
        total, weight = carry
        r, v, ended, cut, last = x
        follows = ((cut | last) & ~ended).astype(r.dtype)
        total = total + weight * (r + gamma * follows * v)
        weight = jnp.where(ended | cut, 1.0, gamma * weight)
        return (total, weight), None

    last = jnp.arange(horizon) == horizon - 1
    zero, one = jnp.zeros_like(reward[0]), jnp.ones_like(reward[0])
    (total, _), _ = jax.lax.scan(step, (zero, one), (reward, ahead, terminated, truncated, last))
    return total


def gradients(
    config: Config, env: WorldBatch, learner: Learner, worlds: Worlds, noise: Float[Array, "H B a"]
) -> tuple[Actor, Window]:
    """The gradient of minus each world's return (leaves [B, ...]), and the window."""

    def loss(actors: Actor) -> tuple[Array, Window]:
        window = run(config, env, learner, actors, worlds, noise)
        return -window.total.sum(), window

    here = noise.shape[1]
    copies = jax.tree.map(lambda x: jnp.broadcast_to(x, (here, *x.shape)), learner.actor)
    return jax.grad(loss, has_aux=True)(copies)


def combine(grads: Actor, clip: float) -> tuple[Actor, Metrics]:
    """Mean over worlds of finite gradients, each clipped to the norm `clip`; and what was found.

    A gradient that is not finite is dropped and counted, never taken for zero: the mean is over
    those that are left, and zero where none is. All worlds of all devices, in one collective.

    Norms and the share that was clipped are of the worlds that are left, too; `actor/dropped` is
    the share of all worlds that is not.
    """
    norms = jax.vmap(optax.tree.norm)(grads)
    finite = jnp.isfinite(norms)
    scale = jnp.where(finite, jnp.minimum(1, clip / jnp.maximum(norms, 1e-12)), 0)

    def mean(g: Array) -> Array:
        kept = jnp.where(finite.reshape(-1, *[1] * (g.ndim - 1)), g, 0)
        return jnp.tensordot(scale, kept, 1) / len(scale)

    sound = jnp.where(finite, norms, 0)
    means = (jax.tree.map(mean, grads), sound.mean(), (sound > clip).mean(dtype=norms.dtype))
    dropped = (~finite).sum().astype(norms.dtype)
    (average, norm, clipped), (dropped, most) = shards.mean_and_all(means, (dropped, sound.max()))
    worlds = len(norms) * shards.count()
    among_finite = worlds / jnp.maximum(worlds - dropped.sum(), 1)
    return jax.tree.map(lambda g: g * among_finite, average), {
        "actor/nonfinite": dropped.sum(),
        "actor/dropped": dropped.sum() / worlds,
        "actor/world_grad_norm": norm * among_finite,
        "actor/world_grad_max": most.max(),
        "actor/clipped": clipped * among_finite,
    }
