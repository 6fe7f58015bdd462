"""Running mean and variance of a stream of scalars or of vectors, feature by feature."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float
from mjxwm_envs import shards


class Moments(NamedTuple):
    """Mean and variance of what has been seen; variance 1 before anything has."""

    mean: Float[Array, "*f"]
    var: Float[Array, "*f"]
    count: Float[Array, ""]  # pyright: ignore[reportIncompatibleMethodOverride]  # tuple.count


def init(shape: tuple[int, ...] = ()) -> Moments:
    """Nothing seen yet, of values of this shape."""
    return Moments(jnp.zeros(shape), jnp.ones(shape), jnp.zeros(()))


def update(
    m: Moments,
    x: Float[Array, "..."],
    mask: Bool[Array, "..."] | None = None,
    max_count: float = 1e6,
) -> Moments:
    """Merges the values `x` where `mask`, of all devices; all of them without a mask.

    `max_count` bounds the weight of the past, so that the moments go on following the data.
    """
    _, parts = shards.mean_and_all((), of(x, x.ndim - m.mean.ndim, mask))
    return merge(m, parts, max_count)


def of(x: Float[Array, "..."], lead: int, mask: Bool[Array, "..."] | None = None) -> Moments:
    """The moments of these values alone, over their first `lead` axes."""
    axes = tuple(range(lead))
    weight = jnp.ones(x.shape[:lead], x.dtype) if mask is None else mask.astype(x.dtype)
    n = weight.sum()
    weight = weight.reshape(weight.shape + (1,) * (x.ndim - lead))
    x = jnp.where(weight > 0, x, 0)  # 0 * NaN would be NaN
    mean = (weight * x).sum(axes) / jnp.maximum(n, 1)
    var = (weight * (x - mean) ** 2).sum(axes) / jnp.maximum(n, 1)
    return Moments(mean, var, n)


def merge(m: Moments, parts: Moments, max_count: float = 1e6) -> Moments:
    """Adds parts, on a first axis, to what has been seen (Chan et al. 1979)."""
    for i in range(parts.count.shape[0]):
        part = jax.tree.map(lambda x, i=i: x[i], parts)
        total = m.count + part.count
        share = part.count / jnp.maximum(total, 1)
        delta = part.mean - m.mean
        merged = (1 - share) * m.var + share * part.var + share * (1 - share) * delta**2
        # Before the first values the placeholder variance stands.
        m = Moments(m.mean + share * delta, jnp.where(total > 0, merged, m.var), total)
    return m._replace(count=jnp.minimum(m.count, max_count))


def std(m: Moments, epsilon: float = 1e-5) -> Float[Array, "*f"]:
    """Standard deviation, kept off zero by `epsilon` in the variance."""
    return jnp.sqrt(m.var + epsilon)


def normalize(m: Moments, x: Float[Array, "..."], limit: float = 10.0) -> Float[Array, "..."]:
    """`x` in deviations from the mean, clipped to +-`limit`."""
    return jnp.clip((x - m.mean) / std(m), -limit, limit)
