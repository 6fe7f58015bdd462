"""A policy as a chain of simple layers in numpy's arrays: what every exported format is made from.

Formats that are written from one description cannot disagree on what a policy is.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

Array = Any


@dataclasses.dataclass(frozen=True, eq=False)
class Layer:
    """One step of a chain: what is done (a key of `OPS`), with which arrays and numbers."""

    op: str
    arrays: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)
    """In float32."""
    numbers: dict[str, float] = dataclasses.field(default_factory=dict)


Chain = Sequence[Layer]
"""Layers in order: observations [B, o] in, actions [B, a] in [-1, 1] out."""


def normalize(x: Array, mean: Array, std: Array) -> Array:
    """(x - mean) / std, feature by feature."""
    return (x - mean) / std


def clip(x: Array, limit: float) -> Array:
    """x cut to [-limit, limit]; NaN stays NaN."""
    return np.clip(x, -limit, limit)


def dense(x: Array, kernel: Array, bias: Array) -> Array:
    """x @ kernel + bias."""
    return x @ kernel + bias


def layer_norm(x: Array, scale: Array, bias: Array, epsilon: float) -> Array:
    """Zero mean and unit variance over the features, then scale and shift."""
    x = x - x.mean(-1, keepdims=True)
    return x / np.sqrt((x**2).mean(-1, keepdims=True) + epsilon) * scale + bias


def mish(x: Array) -> Array:
    """x tanh(softplus(x)), as `mjxwm.models.nets.mish` computes it."""
    e = np.exp(np.minimum(x, 15))
    return x * (e * (e + 2) / (e * (e + 2) + 2))


def simnorm(x: Array, group: float) -> Array:
    """Softmax within groups of `group` features."""
    groups = x.reshape(*x.shape[:-1], -1, int(group))
    e = np.exp(groups - groups.max(-1, keepdims=True))
    return (e / e.sum(-1, keepdims=True)).reshape(x.shape)


def swish(x: Array) -> Array:
    """x sigmoid(x)."""
    return x / (1 + np.exp(-x))


def relu(x: Array) -> Array:
    """max(x, 0)."""
    return np.maximum(x, 0)


def elu(x: Array) -> Array:
    """x above 0, exp(x) - 1 below."""
    return np.where(x > 0, x, np.expm1(np.minimum(x, 0)))


def gelu(x: Array) -> Array:
    """The approximation by tanh, JAX's default (Hendrycks and Gimpel 2016)."""
    return x * (1 + np.tanh(0.7978845608 * (x + 0.044715 * x**3))) / 2


OPS: dict[str, Callable[..., Array]] = {
    op.__name__: op
    for op in (normalize, clip, dense, layer_norm, mish, simnorm, swish, relu, elu, gelu, np.tanh)
}
"""What layers can do, by name."""


def run(chain: Chain, obs: np.ndarray) -> np.ndarray:
    """The actions [B, a] of a chain for observations [B, o], in float32."""
    x = np.asarray(obs, np.float32)
    with np.errstate(over="ignore", invalid="ignore"):  # exp(100) is infinite, 1 / (1 + it) is 0
        for layer in chain:
            x = OPS[layer.op](x, **layer.arrays, **layer.numbers)
    return x


def finite(chain: Chain) -> bool:
    """Whether all of its numbers are."""
    return all(np.isfinite(array).all() for layer in chain for array in layer.arrays.values())


def parameters(chain: Chain) -> int:
    """Number of scalars in its arrays."""
    return sum(array.size for layer in chain for array in layer.arrays.values())
