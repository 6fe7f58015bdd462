"""Scalars as categorical distributions over bins in symlog space, to regress by cross-entropy.

Sources: DreamerV3 (Hafner et al. 2023, arXiv 2301.04104), TD-MPC2 (arXiv 2310.16828).
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


def symlog(x: Float[Array, "*s"]) -> Float[Array, "*s"]:
    """sign(x) log(1 + |x|): compresses large values, odd and invertible."""
    return jnp.sign(x) * jnp.log1p(jnp.abs(x))


def symexp(x: Float[Array, "*s"]) -> Float[Array, "*s"]:
    """sign(x) (exp(|x|) - 1), the inverse of `symlog`."""
    return jnp.sign(x) * jnp.expm1(jnp.abs(x))


def encode(x: Float[Array, "*s"], num_bins: int, limit: float = 10.0) -> Float[Array, "*s n"]:
    """Two-hot weights over `num_bins` bins from -limit to limit in symlog space.

    The two bins next to symlog(x) have weights that sum to 1 and whose weighted mean is symlog(x);
    values beyond the limits go to the outermost bin.
    """
    position = (jnp.clip(symlog(x), -limit, limit) + limit) * (num_bins - 1) / (2 * limit)
    bins = jnp.arange(num_bins, dtype=x.dtype)
    return jnp.maximum(1 - jnp.abs(position[..., None] - bins), 0)


def decode(logits: Float[Array, "*s n"], limit: float = 10.0) -> Float[Array, "*s"]:
    """The scalar that `logits` stand for: symexp of the mean bin under softmax(logits)."""
    bins = jnp.linspace(-limit, limit, logits.shape[-1], dtype=logits.dtype)
    return symexp((jax.nn.softmax(logits) * bins).sum(axis=-1))


def cross_entropy(
    logits: Float[Array, "*s n"], x: Float[Array, "*s"], limit: float = 10.0
) -> Float[Array, "*s"]:
    """Cross-entropy of softmax(logits) against the two-hot weights of `x`."""
    target = encode(x, logits.shape[-1], limit)
    return -(target * jax.nn.log_softmax(logits)).sum(axis=-1)
