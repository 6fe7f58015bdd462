"""Scalars as histograms of a Gaussian around them, HL-Gauss: to regress by cross-entropy.

The bins have equal widths, and their centres go from `low` to `high`. Sources: Imani & White 2018
(arXiv 1806.04613); Farebrother et al. 2024 (arXiv 2403.03950), which also has the ratio of the
Gaussian's deviation to the width of a bin.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

_RATIO = 0.75
"""Standard deviation of the Gaussian in widths of a bin."""


def encode(x: Float[Array, "*s"], low: float, high: float, num_bins: int) -> Float[Array, "*s n"]:
    """The share of a Gaussian around x in each of n bins.

    Where the Gaussian is inside of the bins the weighted mean of their centres is x; near the ends
    it is drawn inwards, by half a bin at most. Values beyond the ends are taken to them.
    """
    width = (high - low) / (num_bins - 1)
    edges = low - width / 2 + width * jnp.arange(num_bins + 1, dtype=x.dtype)
    distance = edges - jnp.clip(x, low, high)[..., None]
    below = jax.lax.erf(distance / (2**0.5 * _RATIO * width))
    return (below[..., 1:] - below[..., :-1]) / (below[..., -1:] - below[..., :1])


def decode(logits: Float[Array, "*s n"], low: float, high: float) -> Float[Array, "*s"]:
    """The scalar that `logits` stand for: the mean centre under softmax(logits)."""
    centres = jnp.linspace(low, high, logits.shape[-1], dtype=logits.dtype)
    return (jax.nn.softmax(logits) * centres).sum(axis=-1)


def cross_entropy(
    logits: Float[Array, "*s n"], x: Float[Array, "*s"], low: float, high: float
) -> Float[Array, "*s"]:
    """Cross-entropy of softmax(logits) against the histogram of `x`."""
    target = encode(x, low, high, logits.shape[-1])
    return -(target * jax.nn.log_softmax(logits)).sum(axis=-1)
