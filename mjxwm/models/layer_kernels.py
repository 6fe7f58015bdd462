"""Layers within kernels of Pallas for a GPU: product, normalisation and activation, and back.

A block of rows passes through several layers within one kernel. What a layer gives is written to
memory and read again by the next one in parts along its features, as many at a time as the
multiprocessor has room for beside the same part of the weights. All that a kernel works out at once
has to have a power of two of elements: layers are padded with features that are always zero.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
from jax.experimental import pallas as pl
from jax.experimental.pallas import triton
from jaxtyping import Array, Float

from mjxwm.models.activations import mish

Ref = Any
"""An array in the GPU's memory, of which a kernel reads and writes parts."""

_PART = 16_384
"""Weights that a block reads at a time."""
_LEAST = 16
"""Fewest terms of a sum in a product that the GPU's matrix units take."""


class Net(Protocol):
    """What the kernels need of a network, see `nets.MLP`."""

    @property
    def layers(self) -> tuple[Any, ...]:
        """Each with its kernel and bias."""
        ...

    @property
    def norms(self) -> tuple[Any, ...]:
        """Each with its scale and bias."""
        ...

    @property
    def out_activation(self) -> Callable[[Array], Array] | None:
        """Activation of the last layer, if it is normalised."""
        ...

    @property
    def norm_first(self) -> bool:
        """Whether hidden layers are normalised before their activation."""
        ...


class Layer(NamedTuple):
    """What a layer is, as far as a kernel has to know it when it is compiled."""

    features: int
    width: int
    """Features with padding, a power of two."""
    place: int
    """Where the layer's vectors begin among those of all layers."""
    norm_first: bool | None
    """Whether the normalisation is before the activation or after it; None: there is neither."""
    group: int = 0
    """Features of a group of the activation SimNorm; 0: the activation is Mish."""


class Vectors(NamedTuple):
    """The vectors of a layer."""

    shift: Float[Array, " n"]
    scale: Float[Array, " n"]
    bias: Float[Array, " n"]


WIDEST = 512
"""Features that a block of rows has registers for."""


def fits(net: Net) -> bool:
    """Whether a network's layers can be parts of a kernel."""
    out = net.out_activation
    if not (out is None or out is mish or hasattr(out, "group")):
        return False  # there is no other activation in `forward`
    whole = all(layer.width == layer.features for layer in sizes(net) if layer.group)
    return whole and all(
        layer.kernel.dtype == jnp.bfloat16
        and layer.bias.dtype == jnp.float32
        and layer.bias.size <= WIDEST
        for layer in net.layers
    )


def width(features: int) -> int:
    """The least power of two that is not less, and that a product can sum over."""
    return max(_LEAST, 1 << (features - 1).bit_length())


def padded(x: Float[Array, "..."], *shape: int) -> Float[Array, "..."]:
    """`x` with zeros after it along each axis."""
    return jnp.pad(x, [(0, n - m) for m, n in zip(x.shape, shape, strict=True)])


def vectors(net: Net, sizes: Sequence[Layer]) -> Float[Array, "3 n"]:
    """Shift, scale and bias of all layers side by side, padded; zeros where there is no norm."""
    zero = jnp.zeros(0, net.layers[0].bias.dtype)
    columns = []
    for i, (layer, size) in enumerate(zip(net.layers, sizes, strict=True)):
        bare = i >= len(net.norms)
        scale, bias = (zero, zero) if bare else (net.norms[i].scale, net.norms[i].bias)
        columns.append(jnp.stack([padded(x, size.width) for x in (layer.bias, scale, bias)]))
    return jnp.concatenate(columns, axis=1)


def sizes(net: Net, place: int = 0) -> tuple[Layer, ...]:
    """The layers of a network whose vectors begin at `place`."""
    layers = []
    for i, layer in enumerate(net.layers):
        features, last = layer.bias.shape[-1], i == len(net.layers) - 1
        bare = last and net.out_activation is None
        group = getattr(net.out_activation, "group", 0) if last else 0
        first = None if bare else (net.norm_first or last)
        layers.append(Layer(features, width(features), place, first, group))
        place += layers[-1].width
    return tuple(layers)


def read(layer: Layer, vectors_ref: Ref) -> Vectors:
    """A layer's vectors, of those of all."""
    i = pl.ds(layer.place, layer.width)
    return Vectors(*(vectors_ref[row, i][None, :] for row in range(3)))


class Matrix(NamedTuple):
    """Weights within a kernel."""

    ref: Ref
    """With padding, which is not in memory."""
    terms: int
    features: int

    def read(self, first: Array, number: int, transposed: bool) -> Array:
        """Some rows, or some columns; padding is zero."""
        part = pl.ds(first, number)
        window = self.ref.at[:, part] if transposed else self.ref.at[part, :]
        shape = (self.ref.shape[0], number) if transposed else (number, self.ref.shape[1])
        padding = [size % step for size, step in zip(self[1:], shape, strict=True)]
        if not any(padding):
            return window[...]
        row, column = (jax.lax.broadcasted_iota(jnp.int32, shape, axis) for axis in (0, 1))
        row, column = (row, column + first) if transposed else (row + first, column)
        inside = (row < self.terms) & (column < self.features)
        return triton.load(window, mask=inside, other=0.0)


def matrices(refs: Sequence[Ref], weights: Sequence[Array]) -> list[Matrix]:
    """A kernel's weights, from its references to them and from the arrays that these are of."""
    return [Matrix(ref, *array.shape) for ref, array in zip(refs, weights, strict=True)]


def whole(x: Float[Array, "i o"]) -> pl.BlockSpec:
    """That every block of a kernel reads all of the weights, padded."""
    return pl.BlockSpec((width(x.shape[0]), width(x.shape[1])), lambda i: (0, 0))


def product(x_ref: Ref, at: Any, matrix: Matrix, transposed: bool = False) -> Array:
    """Rows times the weights, or times the transposed weights, added up in float32.

    Args:
        x_ref: rows, or those of several steps.
        at: the step, or None if there are no steps.
        matrix: the weights.
        transposed: whether these are transposed.
    """
    number, wide = x_ref.shape[-2:]
    columns = matrix.ref.shape[0 if transposed else 1]
    part = _part(wide, columns)
    terms = matrix.features if transposed else matrix.terms

    def add(k: Array, total: Array) -> Array:
        i = pl.ds(k * part, part)
        rows = x_ref[:, i] if at is None else x_ref[at, :, i]
        weights = matrix.read(k * part, part, transposed)
        contracted = (((1,), (1 if transposed else 0,)), ((), ()))
        return total + jax.lax.dot_general(
            rows.astype(weights.dtype), weights, contracted, preferred_element_type=jnp.float32
        )

    zero = jnp.zeros((number, columns), jnp.float32)
    return jax.lax.fori_loop(0, -(-terms // part), add, zero)


def _part(terms: int, columns: int) -> int:
    """Terms of a product that are added up at once."""
    return min(terms, max(_LEAST, _PART // columns))


def has_loop(weights: Float[Array, "i o"]) -> bool:
    """Whether products with these weights, transposed or not, are loops over parts."""
    i, o = (width(n) for n in weights.shape)
    return _part(i, o) < i and _part(o, i) < o


def weights_gradient(
    x: Float[Array, "R i"], gradient: Float[Array, "R o"], weights: Float[Array, "j p"]
) -> Float[Array, "j p"]:
    """The weights' gradient from a layer's input and its product's gradient, over all rows."""
    terms, features = weights.shape
    if features == 1:  # a product of one column would keep few multiprocessors busy
        sums = (x.astype(jnp.float32) * gradient[:, :1].astype(jnp.float32)).sum(axis=0)[:, None]
    else:
        sums = jnp.einsum("ri,ro->io", x, gradient, preferred_element_type=jnp.float32)
    return sums[:terms, :features].astype(weights.dtype)


def wait(interpret: bool) -> None:
    """Until all threads of the block have written what they had to write."""
    if not interpret:
        triton.debug_barrier()


def forward(layer: Layer, x: Array, vectors: Vectors) -> Array:
    """Normalisation and activation of a layer's product with its shift added."""
    if layer.norm_first is None:
        return x
    if layer.norm_first:
        return _activation(layer)(_standardised(layer, x)[0] * vectors.scale + vectors.bias)
    return _standardised(layer, mish(x))[0] * vectors.scale + vectors.bias


def backward(
    layer: Layer, x: Array, vectors: Vectors, gradient: Array
) -> tuple[Array, list[Array]]:
    """The gradient of what `forward` takes from that of its result; and the vectors' gradients."""
    if layer.norm_first:
        normal, per_std = _standardised(layer, x)
        gradient = _back(layer)(normal * vectors.scale + vectors.bias, gradient)
        of_x = _through(layer, normal, per_std, gradient * vectors.scale)
    else:
        normal, per_std = _standardised(layer, mish(x))
        of_x = _of_mish(x, _through(layer, normal, per_std, gradient * vectors.scale))
    return of_x, [part.sum(axis=0) for part in (of_x, gradient * normal, gradient)]


def _activation(layer: Layer) -> Callable[[Array], Array]:
    return (lambda x: _simnorm(x, layer.group)) if layer.group else mish


def _back(layer: Layer) -> Callable[[Array, Array], Array]:
    return (lambda x, g: _of_simnorm(x, g, layer.group)) if layer.group else _of_mish


def _of_mish(x: Array, gradient: Array) -> Array:
    e = jnp.exp(jnp.minimum(x, 15.0))
    n = e * (e + 2)
    return gradient * (n / (n + 2) + x * (4 * e / (n + 2)) * ((e + 1) / (n + 2)))


def _grouped(x: Array, group: int) -> Array:
    return x.reshape(x.shape[0], x.shape[1] // group, group)


def _simnorm(x: Array, group: int) -> Array:
    groups = _grouped(x, group)
    e = jnp.exp(groups - groups.max(axis=-1, keepdims=True))
    return (e / e.sum(axis=-1, keepdims=True)).reshape(x.shape)


def _of_simnorm(x: Array, gradient: Array, group: int) -> Array:
    y, gradient = _grouped(_simnorm(x, group), group), _grouped(gradient, group)
    return (y * (gradient - (y * gradient).sum(axis=-1, keepdims=True))).reshape(x.shape)


def _masked(layer: Layer, x: Array) -> Array:
    if layer.features == layer.width:
        return x
    column = jax.lax.broadcasted_iota(jnp.int32, x.shape, 1)
    return jnp.where(column < layer.features, x, 0.0)


def _mean(layer: Layer, x: Array) -> Array:
    return x.sum(axis=-1, keepdims=True) * (1 / layer.features)


def _standardised(layer: Layer, x: Array) -> tuple[Array, Array]:
    """As `fused.standardised`, with padding that stays zero."""
    centred = _masked(layer, x - _mean(layer, x))
    per_std = jax.lax.rsqrt(_mean(layer, centred * centred) + 1e-5)
    return centred * per_std, per_std


def _through(layer: Layer, x: Array, per_std: Array, gradient: Array) -> Array:
    """As `fused.through_standardised`, with padding that stays zero."""
    along = _mean(layer, gradient * x)
    return _masked(layer, per_std * (gradient - _mean(layer, gradient) - x * along))
