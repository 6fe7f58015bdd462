"""Networks as values: frozen dataclasses that are trees of their parameters.

All `jax.*` transforms take them as they are; an ensemble is `jax.vmap` of `create`.
Initial weights and layer order follow TD-MPC2 (Hansen et al. 2024) and PWM (Georgiev et al. 2024).

Why not `flax.nnx` or Equinox: every call of a compiled program takes its arguments apart into
arrays and puts the results together again, on the host, between iterations. For a training state
of the preset pwm-hopper (231 arrays) this takes 2.14 ms with nnx modules, 0.44 ms with Equinox
0.13.8 and 0.20 ms with dataclasses; a whole call takes 4.63, 0.91 and 0.61 ms.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeVar, dataclass_transform

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from mjxwm.maths import platform
from mjxwm.models import fused, mlp_kernel
from mjxwm.models.activations import mish as mish
from mjxwm.models.activations import simnorm as simnorm

T = TypeVar("T")
Activation = Callable[[Array], Array]
Init = Literal["normal", "torch", "orthogonal", "zeros"]
Compute = Literal["float32", "bfloat16"]
"""Type of a network's products and of what is kept of them, see `computing_in`."""


def static(**options: Any) -> Any:
    """A field that is no parameter: a setting, which has to be hashable."""
    return dataclasses.field(metadata={"static": True}, **options)


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(static,))
def network(cls: type[T]) -> type[T]:
    """Class decorator: a frozen dataclass that `jax` takes as a tree of its fields.

    Trees have the order of the fields' names, whatever the order of their declaration, so that
    sums over a network's parameters, as in a gradient's norm, add up in one order.
    """
    cls = dataclasses.dataclass(frozen=True, kw_only=True, eq=False)(cls)
    fields = sorted(dataclasses.fields(cls), key=lambda field: field.name)  # pyright: ignore[reportArgumentType]
    constants = [field.name for field in fields if field.metadata.get("static")]
    parameters = [field.name for field in fields if field.name not in constants]
    return jax.tree_util.register_dataclass(cls, parameters, constants)


def orthogonal(x: Float[Array, "i o"]) -> Float[Array, "i o"]:
    """The orthogonal factor of the polar decomposition of `x`; Haar-distributed for Gaussian `x`.

    By Newton-Schulz iteration, X <- 3/2 X - 1/2 X X' X, and not by QR: XLA's batched QR on a CPU
    blocks for ever in a program that also calls back to the host (jaxlib 0.10.2, two threads).
    """
    x = x / jnp.linalg.norm(x)
    # Small singular values grow by 1.5 a step: 40 steps lift those of 1e-6 of the norm to 1.
    wide = x.shape[0] < x.shape[1]
    x = x.T if wide else x
    x = jax.lax.fori_loop(0, 40, lambda _, x: 1.5 * x - 0.5 * x @ (x.T @ x), x)
    return x.T if wide else x


@network
class Linear:
    """x @ kernel + bias. Input [..., i], output [..., o]."""

    kernel: Float[Array, "i o"]
    bias: Float[Array, " o"]

    @classmethod
    def create(cls, in_size: int, out_size: int, init: Init, *, key: PRNGKeyArray) -> "Linear":
        """`init` "normal" has std 0.02 (TD-MPC2), "torch" is uniform in 1/sqrt(in_size)."""
        key_kernel, key_bias = jax.random.split(key)
        shape, limit = (in_size, out_size), in_size**-0.5
        bias = jnp.zeros(out_size)
        if init == "normal":
            kernel = 0.02 * jax.random.normal(key_kernel, shape)
        elif init == "torch":
            kernel = jax.random.uniform(key_kernel, shape, minval=-limit, maxval=limit)
            bias = jax.random.uniform(key_bias, (out_size,), minval=-limit, maxval=limit)
        elif init == "orthogonal":
            kernel = 2**0.5 * orthogonal(jax.random.normal(key_kernel, shape))
        else:
            kernel = jnp.zeros(shape)
        return cls(kernel=kernel, bias=bias)

    def __call__(self, x: Float[Array, "*s i"]) -> Float[Array, "*s o"]:
        """The affine map; see `computing_in` for a kernel in bfloat16."""
        return self.product(x, self.bias.dtype) + self.bias

    def product(self, x: Float[Array, "*s i"], dtype: Any = None) -> Float[Array, "*s o"]:
        """x @ kernel; for a kernel in bfloat16 in that type, or in `dtype`."""
        if self.kernel.dtype == jnp.bfloat16:
            return jnp.matmul(x.astype(jnp.bfloat16), self.kernel, preferred_element_type=dtype)
        return x @ self.kernel


@network
class LayerNorm:
    """Layer normalisation over the last axis with scale and bias; epsilon as in torch."""

    scale: Float[Array, " n"]
    bias: Float[Array, " n"]

    @classmethod
    def create(cls, size: int) -> "LayerNorm":
        """`size` is that of the last axis."""
        return cls(scale=jnp.ones(size), bias=jnp.zeros(size))

    def __call__(self, x: Float[Array, "*s n"]) -> Float[Array, "*s n"]:
        """Zero mean, unit variance, then scale and shift."""
        mean = x.mean(axis=-1, keepdims=True)
        var = ((x - mean) ** 2).mean(axis=-1, keepdims=True)
        return (x - mean) * jax.lax.rsqrt(var + 1e-5) * self.scale + self.bias


@network
class MLP:
    """Hidden layers with normalisation, then a plain linear layer or a normalised output."""

    layers: tuple[Linear, ...]
    norms: tuple[LayerNorm, ...]
    """One for each hidden layer, and one for the output if there is an `out_activation`."""
    out_activation: Activation | None = static(default=None)
    """With it the last layer is Linear - LayerNorm - out_activation."""
    norm_first: bool = static(default=True)
    """TD-MPC2's order, Linear - LayerNorm - activation; without it the order is SHAC's and PWM's
    for actor and critic, Linear - activation - LayerNorm."""
    dropout: float = static(default=0.0)
    """Share of the first layer's outputs that dropout masks drop, before the normalisation as in
    TD-MPC2."""

    @classmethod
    def create(
        cls,
        in_size: int,
        hidden: Sequence[int],
        out_size: int,
        *,
        key: PRNGKeyArray,
        init: Init = "normal",
        out_init: Init | None = None,
        out_activation: Activation | None = None,
        norm_first: bool = True,
        dropout: float = 0.0,
    ) -> "MLP":
        """Fresh parameters.

        Args:
            in_size: input features.
            hidden: sizes of the hidden layers, possibly none.
            out_size: output features.
            key: random key.
            init: weights of the hidden layers.
            out_init: weights of the last layer, `init` if not given.
            out_activation: see the class.
            norm_first: see the class.
            dropout: see the class.
        """
        sizes = (in_size, *hidden, out_size)
        keys = jax.random.split(key, len(sizes) - 1)
        inits: list[Init] = [*(init for _ in hidden), out_init or init]
        layers = zip(sizes, sizes[1:], inits, keys, strict=False)
        normed = sizes[1:] if out_activation else sizes[1:-1]
        return cls(
            layers=tuple(Linear.create(i, o, w, key=k) for i, o, w, k in layers),
            norms=tuple(LayerNorm.create(n) for n in normed),
            out_activation=out_activation,
            norm_first=norm_first,
            dropout=dropout,
        )

    def __call__(
        self, x: Float[Array, "*s i"], mask: Bool[Array, "*s h"] | None = None
    ) -> Float[Array, "*s o"]:
        """The network's output.

        Args:
            x: inputs.
            mask: dropout mask, true for the outputs of the first hidden layer that are kept.
        """
        if mask is None and mlp_kernel.takes(self, x):
            return mlp_kernel.applied(self, x)
        hidden = len(self.layers) - 1
        for i in range(hidden):
            x = self._normed(i, x, mask if i == 0 else None)
        return self.layers[hidden](x) if self.out_activation is None else self._normed(hidden, x)

    def joined(self, *parts: Float[Array, "*s i"]) -> Float[Array, "*s o"]:
        """The network's output, its input given in parts that stand side by side."""
        if mlp_kernel.takes(self, *parts):
            return mlp_kernel.applied(self, *parts)
        return self(jnp.concatenate(parts, axis=-1))

    def _normed(self, i: int, x: Array, mask: Array | None = None) -> Array:
        """Layer i with dropout mask, normalisation and activation."""
        layer, norm = self.layers[i], self.norms[i]
        last = i == len(self.layers) - 1
        activation = self.out_activation if last and self.out_activation is not None else mish
        norm_first = self.norm_first or last
        product, shift = layer.product(x), layer.bias
        if mask is not None:
            product = jnp.where(mask, (product + shift) / (1 - self.dropout), 0)
            shift = None
        if platform.compiled_for() == "cpu":
            x = product if shift is None else product + shift
            return activation(norm(x)) if norm_first else norm(activation(x))
        dtype = norm.bias.dtype if last else product.dtype
        form = fused.Form(activation, norm_first, activation is mish, dtype)
        return fused.normed(form, product, shift, norm.scale, norm.bias)


def computing_in(compute: Compute, tree: T) -> T:
    """The same networks with the products of their layers in that type.

    In bfloat16 a product takes inputs and kernel in bfloat16 and adds up in float32; what hidden
    layers pass on is bfloat16 too. Parameters, normalisation, activations and outputs stay in
    float32, and so does a gradient of the parameters. The matrix units of GPUs and of recent CPUs
    are several times faster with it, and it halves what is kept for the backward pass.
    """
    if compute == "float32":
        return tree

    def is_linear(part: Any) -> bool:
        return isinstance(part, Linear)

    def cast(part: Any) -> Any:
        if not is_linear(part):
            return part
        return dataclasses.replace(part, kernel=part.kernel.astype(jnp.bfloat16))

    return jax.tree.map(cast, tree, is_leaf=is_linear)


def num_parameters(tree: object) -> int:
    """The number of scalars in a tree of arrays."""
    return sum(x.size for x in jax.tree.leaves(tree))
