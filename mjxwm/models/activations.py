"""What follows a layer's normalisation."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


def mish(x: Float[Array, "*s"]) -> Float[Array, "*s"]:
    """x tanh(softplus(x)) (Misra 2019), with one exponential instead of three transcendentals."""
    # tanh(log(1 + e)) = e (e + 2) / (e (e + 2) + 2); beyond 15 the ratio is 1 to float32.
    e = jnp.exp(jnp.minimum(x, 15.0))
    n = e * (e + 2)
    return x * (n / (n + 2))


def simnorm(x: Float[Array, "*s z"], group: int = 8) -> Float[Array, "*s z"]:
    """Softmax within groups of `group` features: each group sums to 1 (TD-MPC2)."""
    return jax.nn.softmax(x.reshape(*x.shape[:-1], -1, group)).reshape(x.shape)
