"""What follows a layer's product, normalisation and activation, in few kernels on a GPU."""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


class Form(NamedTuple):
    """What is computed of a layer's product."""

    activation: Callable[[Array], Array]
    norm_first: bool
    """Whether the normalisation is before the activation or after it."""
    elementwise: bool
    """Whether the activation is one of each feature by itself."""
    dtype: Any
    """Type of the result; in between all is computed in the type of `scale`."""


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def normed(
    form: Form,
    x: Float[Array, "*s n"],
    shift: Float[Array, " n"] | None,
    scale: Float[Array, " n"],
    bias: Float[Array, " n"],
) -> Float[Array, "*s n"]:
    """activation(norm(x + shift)), or norm(activation(x + shift)).

    Forward and backward pass are one kernel each, or two: the backward pass computes all of it once
    more from `x`, as what is kept between the passes would break the kernels apart.
    """
    x = _shifted(x, shift, scale)
    if form.norm_first:
        y = form.activation(_standardised(x)[0] * scale + bias)
    else:
        y = _standardised(form.activation(x))[0] * scale + bias
    return y.astype(form.dtype)


def _forward(form: Form, *inputs: Any) -> tuple[Array, tuple[Any, ...]]:
    return normed(form, *inputs), inputs


def _backward(
    form: Form, inputs: tuple[Any, ...], gradient: Array
) -> tuple[Array, Array | None, Array, Array]:
    kept, shift, scale, bias = inputs
    # Without the barrier XLA would find that the forward pass computes the same, and keep that.
    x = _shifted(jax.lax.optimization_barrier(kept), shift, scale)
    gradient = gradient.astype(x.dtype)
    if form.norm_first:
        normal, per_std = _standardised(x)
        gradient = jax.vjp(form.activation, normal * scale + bias)[1](gradient)[0]
        if not form.elementwise:
            # Sums over groups of features, and sums over all of them, are two kernels at best.
            gradient = jax.lax.optimization_barrier(gradient)
        of_x = _through_standardised(normal, per_std, gradient * scale)
    else:
        activated, back = jax.vjp(form.activation, x)
        normal, per_std = _standardised(activated)
        of_x = back(_through_standardised(normal, per_std, gradient * scale))[0]
    of_shift, of_scale, of_bias = _sums_over_rows(of_x, gradient * normal, gradient)
    return of_x.astype(kept.dtype), None if shift is None else of_shift, of_scale, of_bias


normed.defvjp(_forward, _backward)


def _shifted(x: Array, shift: Array | None, scale: Array) -> Array:
    x = x.astype(scale.dtype)
    return x if shift is None else x + shift


def _standardised(x: Array) -> tuple[Array, Array]:
    """`x` with zero mean and unit variance over the last axis, and 1 / its standard deviation."""
    centred = x - x.mean(axis=-1, keepdims=True)
    per_std = jax.lax.rsqrt((centred**2).mean(axis=-1, keepdims=True) + 1e-5)
    return centred * per_std, per_std


def _through_standardised(x: Array, per_std: Array, gradient: Array) -> Array:
    """The gradient of what `_standardised` took, from its results and the first one's gradient."""
    along = (gradient * x).mean(axis=-1, keepdims=True)
    return per_std * (gradient - gradient.mean(axis=-1, keepdims=True) - x * along)


def _sums_over_rows(*arrays: Float[Array, "*s n"]) -> Sequence[Float[Array, " n"]]:
    """The sum of each array over all axes but the last, in one reduction."""
    zero = jnp.zeros((), arrays[0].dtype)

    def add(totals: tuple[Array, ...], others: tuple[Array, ...]) -> tuple[Array, ...]:
        return tuple(a + b for a, b in zip(totals, others, strict=True))

    axes = tuple(range(arrays[0].ndim - 1))
    return jax.lax.reduce(arrays, tuple(zero for _ in arrays), add, axes)
