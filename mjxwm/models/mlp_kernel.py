"""A network of dense layers as one kernel on a GPU, and its backward pass as another one.

Each block of a kernel takes some rows through all layers; see `layer_kernels`. Weights' gradients
are products over all rows after the second kernel.
"""

import functools
import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.experimental import pallas as pl
from jax.experimental.pallas import triton
from jaxtyping import Array, Float

from mjxwm.maths import platform
from mjxwm.models import layer_kernels
from mjxwm.models.layer_kernels import (
    Layer,
    Matrix,
    Net,
    Ref,
    padded,
    product,
    wait,
    weights_gradient,
    width,
)

_ROWS = (64, 32, 16)
"""Rows of a block: many share what is read of the weights, few keep all multiprocessors busy."""
_BUSY = 128
"""Blocks that keep them busy."""
_FORWARD, _BACKWARD = 32_768, 16_384
"""Numbers of a layer that a block has registers for in the two kernels. With twice as many NVIDIA's
compiler moves kilobytes of each thread's in the backward one out of registers, and back."""
_THREADED = 16_384
"""Numbers of a layer above which a block has twice the threads, 512."""


class Form(NamedTuple):
    """What the kernels have to know when they are compiled."""

    layers: tuple[Layer, ...]
    interpret: bool
    """Whether the kernels are run by JAX, on any platform, for tests."""


class Weights(NamedTuple):
    """The parameters."""

    kernels: tuple[Float[Array, "i o"], ...]
    """Matrices of the layers; the first layer has one for each part of the input."""
    vectors: Float[Array, "3 n"]


class Kept(NamedTuple):
    """What the first kernel leaves to the second one."""

    before: tuple[Float[Array, "R n"], ...]
    """Each layer's product with its shift; a last layer without a norm is left out."""
    after: tuple[Float[Array, "R n"], ...]
    """What each layer but the last one passes on."""


def takes(net: Net, *parts: Float[Array, "*s i"]) -> bool:
    """Whether the kernels can be used: on a GPU that has room for them, with products in bfloat16,
    for sixteen rows or a multiple.
    """
    rows = parts[0].size // parts[0].shape[-1]
    return (
        platform.takes_pallas()
        and rows > 0
        and rows % _ROWS[-1] == 0
        and all(width(part.shape[-1]) <= layer_kernels.WIDEST for part in parts)
        and layer_kernels.fits(net)
    )


def applied(
    net: Net, *parts: Float[Array, "*s i"], interpret: bool = False
) -> Float[Array, "*s o"]:
    """The network's output.

    Args:
        net: the network.
        *parts: parts of its input, side by side.
        interpret: whether the kernels are run by JAX, on any platform.
    """
    form = Form(layer_kernels.sizes(net), interpret)
    dtype = net.layers[0].kernel.dtype
    rows = [part.reshape(-1, part.shape[-1]).astype(dtype) for part in parts]
    wide = tuple(padded(x, len(x), width(x.shape[1])) for x in rows)
    first, *others = [layer.kernel for layer in net.layers]
    ends = itertools.accumulate(x.shape[1] for x in rows)
    kernels = [first[end - x.shape[1] : end] for x, end in zip(rows, ends, strict=True)]
    weights = Weights((*kernels, *others), layer_kernels.vectors(net, form.layers))
    y: Any = _run(form, weights, wide)
    return y[:, : form.layers[-1].features].reshape(*parts[0].shape[:-1], -1)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _run(form: Form, weights: Weights, parts: tuple[Array, ...]) -> Array:
    return _first_kernel(form, weights, parts, False)[0]


def _forward(form: Form, weights: Any, parts: Any) -> tuple[Array, Any]:
    values, inputs = _values((weights, parts))
    y, kept = _first_kernel(form, values, inputs, True)
    # Which of the inputs' gradients are needed, as a tree: those that are not have no leaf.
    needed = tuple(jnp.zeros(()) if part.perturbed else None for part in parts)
    return y, (values, inputs, kept, needed)


def _values(primals: Any) -> Any:
    return jax.tree.map(lambda x: x.value, primals, is_leaf=lambda x: hasattr(x, "perturbed"))


def _backward(form: Form, saved: Any, gradient: Any) -> tuple[Weights, tuple[Array, ...]]:
    weights, parts, kept, flags = saved
    if isinstance(gradient, jax.custom_derivatives.SymbolicZero):
        return jax.tree.map(jnp.zeros_like, (weights, parts))
    needed = [i for i, flag in enumerate(flags) if flag is not None]
    of_parts, of_layers, sums = backward(form, weights, kept, gradient, needed)
    of_first, *of_others = of_layers
    pairs = [*((x, of_first) for x in parts), *zip(kept.after, of_others, strict=True)]
    kernels = [weights_gradient(x, g, w) for (x, g), w in zip(pairs, weights.kernels, strict=True)]
    of_inputs = [of_parts.get(i, jnp.zeros_like(x)) for i, x in enumerate(parts)]
    return Weights(tuple(kernels), sums), tuple(of_inputs)


_run.defvjp(_forward, _backward, symbolic_zeros=True)


def _first_kernel(
    form: Form, weights: Weights, parts: tuple[Array, ...], keep: bool
) -> tuple[Array, Kept]:
    rows, dtype = len(parts[0]), parts[0].dtype
    block = _block(form, rows, _FORWARD)
    after = [layer.width for layer in form.layers[:-1]]
    before = [layer.width for layer in form.layers if layer.norm_first is not None and keep]
    shapes = [
        jax.ShapeDtypeStruct((rows, form.layers[-1].width), jnp.float32),
        *(jax.ShapeDtypeStruct((rows, size), dtype) for size in (*before, *after)),
    ]

    def kernel(*refs: Ref) -> None:
        inputs, vectors, matrices, (y_ref, *others) = _split(refs, len(parts), weights)
        befores, afters = others[: len(before)], others[len(before) :]
        remaining = iter(matrices)
        for i, layer in enumerate(form.layers):
            of_layer = layer_kernels.read(layer, vectors)
            total = of_layer.shift
            for x in inputs:  # the first layer has several, perhaps
                total = total + product(x, None, next(remaining))
            if layer.norm_first is None:
                y_ref[...] = total
                return
            kept_x = total.astype(dtype)
            if keep:
                befores[i][...] = kept_x
            y = layer_kernels.forward(layer, kept_x.astype(jnp.float32), of_layer)
            if i == len(afters):
                y_ref[...] = y
                return
            afters[i][...] = y.astype(dtype)
            inputs = [afters[i]]
            wait(form.interpret)

    y, *others = _call(form, kernel, block, parts, weights, shapes)
    return y, Kept(tuple(others[: len(before)]), tuple(others[len(before) :]))


def _split(
    refs: Sequence[Ref], inputs: int, weights: Weights
) -> tuple[list[Ref], Ref, list[Matrix], list[Ref]]:
    """A kernel's arrays: inputs, vectors, matrices, results."""
    start = inputs + 1
    end = start + len(weights.kernels)
    matrices = layer_kernels.matrices(refs[start:end], weights.kernels)
    return list(refs[:inputs]), refs[inputs], matrices, list(refs[end:])


def backward(
    form: Form, weights: Weights, kept: Kept, gradient: Array, needed: list[int]
) -> tuple[dict[int, Array], list[Array], Array]:
    """Gradients of the inputs `needed`, of each layer's product, and of the vectors."""
    rows, dtype, number = len(gradient), weights.kernels[0].dtype, len(form.layers)
    parts = len(weights.kernels) - number + 1
    block = _block(form, rows, _BACKWARD)
    shapes = [
        jax.ShapeDtypeStruct((rows // block, *weights.vectors.shape), jnp.float32),
        *(jax.ShapeDtypeStruct((rows, layer.width), dtype) for layer in form.layers),
        *(jax.ShapeDtypeStruct((rows, width(len(weights.kernels[i]))), dtype) for i in needed),
    ]

    def kernel(*refs: Ref) -> None:
        inputs, vectors, matrices, results = _split(refs, 1 + len(kept.before), weights)
        of_y, *befores = inputs
        sums, *of_layers = results
        inner = of_y[...]
        for i in reversed(range(number)):
            layer = form.layers[i]
            place = pl.ds(layer.place, layer.width)
            if layer.norm_first is None:
                total = inner.sum(axis=0)
                for row, each in enumerate((total, jnp.zeros_like(total), jnp.zeros_like(total))):
                    sums[0, row, place] = each
            else:
                of_layer = layer_kernels.read(layer, vectors)
                x = befores[i][...].astype(jnp.float32)
                inner, totals = layer_kernels.backward(layer, x, of_layer, inner)
                for row, total in enumerate(totals):
                    sums[0, row, place] = total
            of_layers[i][...] = inner.astype(dtype)
            wait(form.interpret)
            if i:
                inner = product(of_layers[i], None, matrices[parts + i - 1], transposed=True)
        for ref, i in zip(of_layers[number:], needed, strict=True):
            ref[...] = product(of_layers[0], None, matrices[i], transposed=True).astype(dtype)

    sums, *gradients = _call(form, kernel, block, (gradient, *kept.before), weights, shapes)
    return dict(zip(needed, gradients[number:], strict=True)), gradients[:number], sums.sum(axis=0)


def _widest(form: Form) -> int:
    return max(layer.width for layer in form.layers)


def _block(form: Form, rows: int, numbers: int) -> int:
    """Rows of a block, of a layer of which it can hold so many numbers."""
    most = numbers // _widest(form)
    sizes = [n for n in _ROWS if rows % n == 0 and (n <= most or n == _ROWS[-1])]
    return next((size for size in sizes if rows // size >= _BUSY), sizes[-1])


def _call(
    form: Form, kernel: Any, block: int, inputs: Sequence[Array], weights: Weights, shapes: Any
) -> Any:
    warps = 16 if block * _widest(form) > _THREADED else 8

    def by_block(x: Any) -> pl.BlockSpec:
        if len(x.shape) == 3:
            return pl.BlockSpec((1, *x.shape[1:]), lambda i: (i, 0, 0))
        return pl.BlockSpec((block, x.shape[1]), lambda i: (i, 0))

    vectors = pl.BlockSpec(weights.vectors.shape, lambda i: (0, 0))
    return pl.pallas_call(
        kernel,
        shapes,
        grid=(len(inputs[0]) // block,),
        in_specs=[*map(by_block, inputs), vectors, *map(layer_kernels.whole, weights.kernels)],
        out_specs=[by_block(x) for x in shapes],
        interpret=form.interpret,
        compiler_params=triton.CompilerParams(num_warps=warps, num_stages=3),
    )(*inputs, weights.vectors, *weights.kernels)
