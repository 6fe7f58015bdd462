"""Running mean and variance of a stream of scalars."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float


class Moments(NamedTuple):
    """Mean and variance of what has been seen; variance 1 before anything has."""

    mean: Float[Array, ""]
    var: Float[Array, ""]
    count: Float[Array, ""]


def init() -> Moments:
    """Nothing seen yet."""
    return Moments(jnp.zeros(()), jnp.ones(()), jnp.zeros(()))


def update(
    m: Moments,
    x: Float[Array, "*s"],
    mask: Bool[Array, "*s"] | None = None,
    max_count: float = 1e6,
) -> Moments:
    """Merges the values `x` where `mask` (Chan et al. 1979); all of them without a mask.

    `max_count` bounds the weight of the past, so that the moments go on following the data.
    """
    weight = jnp.ones_like(x) if mask is None else mask.astype(x.dtype)
    n = weight.sum()
    mean = (weight * x).sum() / jnp.maximum(n, 1)
    var = (weight * (x - mean) ** 2).sum() / jnp.maximum(n, 1)
    total = m.count + n
    share = n / jnp.maximum(total, 1)
    delta = mean - m.mean
    merged = Moments(
        mean=m.mean + share * delta,
        # Before the first values the placeholder variance has no weight.
        var=jnp.where(total > 0, (1 - share) * m.var + share * var + share * (1 - share) * delta**2, m.var),
        count=jnp.minimum(total, max_count),
    )
    return merged


def std(m: Moments, epsilon: float = 1e-5) -> Float[Array, ""]:
    """Standard deviation, kept off zero by `epsilon` in the variance."""
    return jnp.sqrt(m.var + epsilon)
