"""Entropies of TD-MPC2's policy: of the Gaussian before tanh, and of the action after it."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


def gaussian_entropy(
    log_std: Float[Array, "*s a"], noise: Float[Array, "*s a"], mask: Float[Array, "*b a"]
) -> Float[Array, "*s"]:
    """A sample of the entropy before tanh, times the number of actions, as in TD-MPC2's code.

    It grows with the deviation without end. Where Qs hardly tell actions apart, as of many tasks in
    one range, it takes the deviation to its bound; then tanh saturates, and no gradient of the Qs
    reaches the mean any more.
    """
    log_prob = -0.5 * noise**2 - log_std - 0.5 * jnp.log(2 * jnp.pi)
    return -jnp.where(mask > 0, log_prob, 0).sum(axis=-1) * mask.sum(axis=-1)


def squashed_entropy(
    u: Float[Array, "*s a"],
    log_std: Float[Array, "*s a"],
    noise: Float[Array, "*s a"],
    mask: Float[Array, "*b a"],
) -> Float[Array, "*s"]:
    """A sample of the entropy of tanh(u), u = mean + std * noise: largest where the deviation is
    about 0.9, so that it brings a saturated policy back. As in SAC, and in the code that TD-MPC2's
    checkpoints were trained with, there with a factor on the Gaussian's part.
    """
    log_prob = -0.5 * noise**2 - log_std - 0.5 * jnp.log(2 * jnp.pi)
    # log(1 - tanh(u)^2), written so that it neither overflows nor loses its gradient.
    log_slope = 2 * (jnp.log(2.0) - u - jax.nn.softplus(-2 * u))
    return jnp.where(mask > 0, log_slope - log_prob, 0).sum(axis=-1)
