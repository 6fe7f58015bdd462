"""Running mean and variance of streamed data, for normalising observations, rewards and returns."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from mjxwm.maths import finite


class Moments(NamedTuple):
    """Mean and variance of the values so far; feature by feature, shape *f, or of a scalar."""

    mean: Float[Array, "*f"]
    var: Float[Array, "*f"]
    """Population variance; 1 before the first values."""
    count: Float[Array, ""]  # pyright: ignore[reportIncompatibleMethodOverride]  # tuple.count
    """Number of values, at most `max_count` of `merge`: the weight against new ones."""


def init(shape: tuple[int, ...] = ()) -> Moments:
    """Moments of no values yet, for values of this shape: mean 0, variance 1, count 0."""
    return Moments(jnp.zeros(shape), jnp.ones(shape), jnp.zeros(()))


def of(x: Float[Array, "..."], lead: int, mask: Bool[Array, "*n"] | None = None) -> Moments:
    """Moments of the values `x` alone, over the first `lead` axes, where `mask` is true."""
    axes = tuple(range(lead))
    weight = jnp.ones(x.shape[:lead], x.dtype) if mask is None else mask.astype(x.dtype)
    n = weight.sum()
    weight = weight.reshape(weight.shape + (1,) * (x.ndim - lead))
    x = jnp.where(weight > 0, x, 0)  # 0 * NaN would be NaN
    mean = (weight * x).sum(axes) / jnp.maximum(n, 1)
    var = (weight * (x - mean) ** 2).sum(axes) / jnp.maximum(n, 1)
    return Moments(mean, var, n)


def merge(m: Moments, parts: Moments, max_count: float = 1e6) -> Moments:
    """Merges several sets of values into the moments, see `merge_counting`."""
    return merge_counting(m, parts, max_count)[0]


def merge_counting(
    m: Moments, parts: Moments, max_count: float = 1e6
) -> tuple[Moments, Float[Array, ""]]:
    """Merges several sets of values into the moments, without those that would make them infinite
    or NaN.

    Args:
        m: moments of the values so far.
        parts: moments of D sets of new values, such as D devices'; every leaf is [D, ...].
        max_count: largest count, so that old values fade and the moments keep following the data.

    Returns:
        The moments, and the number of sets that were left out.
    """
    left_out = jnp.zeros(())
    for i in range(parts.count.shape[0]):
        part = jax.tree.map(lambda x, i=i: x[i], parts)
        total = m.count + part.count
        share = part.count / jnp.maximum(total, 1)
        mean, var = merge_two(m.mean, m.var, part.mean, part.var, share)
        # Before the first values the placeholder variance stands.
        merged = Moments(mean, jnp.where(total > 0, var, m.var), total)
        sound = jnp.isfinite(merged.mean).all() & jnp.isfinite(merged.var).all()
        m = finite.kept_unless(sound, merged, m)
        left_out += finite.skipped(sound)
    return m._replace(count=jnp.minimum(m.count, max_count)), left_out


def merge_two(mean: Any, var: Any, new_mean: Any, new_var: Any, share: Any) -> tuple[Any, Any]:
    """Mean and variance of two sets of values together, of which `share` are in the second.

    Takes numpy and JAX arrays. No sum of squares is kept: where the mean is far from 0, its
    difference with the squared mean would cancel. Source: Chan et al. 1979, eq. 2.1.
    """
    delta = new_mean - mean
    merged = (1 - share) * var + share * new_var + share * (1 - share) * delta**2
    return mean + share * delta, merged


def std(m: Moments, epsilon: float = 1e-5) -> Float[Array, "*f"]:
    """Standard deviation sqrt(var + epsilon), never 0."""
    return jnp.sqrt(m.var + epsilon)


def normalize(m: Moments, x: Float[Array, "..."], limit: float = 10.0) -> Float[Array, "..."]:
    """(x - mean) / std, clipped to [-limit, limit]."""
    return jnp.clip((x - m.mean) / std(m), -limit, limit)
