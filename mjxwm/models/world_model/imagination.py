"""Rollouts of a policy in the world model."""

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from mjxwm.models.actor_critic import Sampling
from mjxwm.models.world_model import one_kernel
from mjxwm.models.world_model.model import LatentModel
from mjxwm.models.world_model.rollout import rollout


class Imagined(NamedTuple):
    """A rollout of a policy in the model."""

    z: Float[Array, "H+1 N z"]
    action: Float[Array, "H N a"]
    reward: Float[Array, "H N"]
    going_on: Float[Array, "H N"]
    """Probability that the episode goes on after each step."""
    u: Float[Array, "H N a"] | None = None
    """Actions before tanh, if the form of the rollout has them."""


def imagine(
    model: LatentModel,
    policy: Callable[[Float[Array, "N z"], Float[Array, "N a"]], Float[Array, "N a"]],
    z: Float[Array, "N z"],
    noise: Float[Array, "H N a"],
) -> Imagined:
    """Rolls `policy(z, noise)` out for H steps in the model; differentiable throughout."""

    if isinstance(policy, Sampling) and one_kernel.takes(model, z, policy.actor.mean_net):
        shift = policy.actor.std() * noise
        net = policy.actor.mean_net
        next_z, u = one_kernel.rolled_out(net, model.dynamics, z, shift, policy.detach)
        action = jnp.tanh(u)
    else:
        next_z, action = rollout(policy, model.predict, z, noise)
        u = None
    # The heads see all H steps at once: H small matrix products fewer than inside the scan.
    before = jnp.concatenate([z[None], next_z[:-1]])
    going_on = model.going_on(next_z)
    return Imagined(
        jnp.concatenate([z[None], next_z]), action, model.reward(before, action), going_on, u
    )
