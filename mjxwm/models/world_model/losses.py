"""What the world model learns from: windows of steps, and its errors on them."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from mjxwm.maths import twohot
from mjxwm.models.world_model import one_kernel
from mjxwm.models.world_model.model import Config, LatentModel
from mjxwm.models.world_model.rollout import rollout
from mjxwm.types import Metrics, StepCounts


class Batch(NamedTuple):
    """What the loss needs of N windows with H transitions each."""

    obs: Float[Array, "H+1 N o"]
    action: Float[Array, "H N a"]
    reward: Float[Array, "H N"]
    terminated: Float[Array, "H N"]
    mask: Float[Array, "H N"]
    """1 where reward and end of a step count."""
    next_mask: Float[Array, "H N"]
    """1 where obs[t + 1] is what the step led to."""
    counts: StepCounts | None = None
    """Numbers of steps to divide by, if other devices have parts of the batch; by default those
    of these windows."""

    @property
    def outcome(self) -> Float[Array, "H N"]:
        """1 where it is known what follows: nothing, or obs[t + 1]."""
        return self.mask * jnp.maximum(self.terminated, self.next_mask)


def loss(
    model: LatentModel, config: Config, batch: Batch
) -> tuple[Float[Array, ""], tuple[Metrics, Float[Array, "H+1 N z"]]]:
    """Self-prediction over H steps from the first observation, as in TD-MPC2 and PWM.

    z_0 = enc(o_0), z_{t+1} = f(z_t, a_t), target sg(enc(o_{t+1})); all errors are weighted by rho^t
    and averaged over the H N steps, masked ones excluded. The encoder learns through z_0 alone.

    Returns:
        The loss, and beside it its parts and the predicted latents.
    """

    z0 = model.encode(batch.obs[0])
    if one_kernel.takes(model, z0):
        next_z, _ = one_kernel.rolled_out(None, model.dynamics, z0, batch.action)
    else:
        next_z, _ = rollout(lambda z, action: action, model.predict, z0, batch.action)
    z = jnp.concatenate([z0[None], next_z])
    target = jax.lax.stop_gradient(model.encode(batch.obs[1:]))
    logits = model.reward_logits(z[:-1], batch.action)
    if config.reward_head == "scalar":
        reward_error = (logits[..., 0] - batch.reward) ** 2
    else:
        reward_error = twohot.cross_entropy(logits, batch.reward)
    latent_error = ((next_z - target) ** 2).mean(axis=-1)
    count, next_count, _ = batch.counts or (None, None, None)
    parts = {
        "consistency": mean_error(config, latent_error, batch.next_mask, next_count),
        "reward": mean_error(config, reward_error, batch.mask, count),
    }
    total = config.consistency * parts["consistency"] + config.reward * parts["reward"]
    if config.continuation:
        going_on = model.continue_logit(next_z)
        error = optax.sigmoid_binary_cross_entropy(going_on, 1 - batch.terminated)
        parts["continuation"] = mean_error(config, error, batch.mask, count)
        total = total + config.continuation * parts["continuation"]
    return total, ({"loss": total, **parts}, z)


def mean_error(
    config: Config,
    error: Float[Array, "H N"],
    mask: Float[Array, "H N"],
    count: Float[Array, ""] | None = None,
) -> Float[Array, ""]:
    """Errors weighted by rho^t, averaged over the steps where `mask` is 1.

    Args:
        config: for rho.
        error: errors of H steps of N windows.
        mask: 1 where a step counts, else 0.
        count: number of steps to divide by, see `StepCounts`; by default the mask's sum.
    """
    weight = config.rho ** jnp.arange(len(error), dtype=error.dtype)[:, None]
    count = mask.sum() if count is None else count
    return (weight * mask * error).sum() / jnp.where(count > 0, count, 1)
