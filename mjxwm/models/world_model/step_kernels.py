"""The two kernels of Pallas of `one_kernel`: H steps of the recurrence, and their backward pass."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.experimental import pallas as pl
from jax.experimental.pallas import triton
from jaxtyping import Array, Float

from mjxwm.models import layer_kernels
from mjxwm.models.layer_kernels import Layer, Matrix, Ref, product, wait, whole

ROWS = 16
"""Rows of a block: as few as the matrix units take, as there are more multiprocessors than that."""


class Form(NamedTuple):
    """What the kernels have to know when they are compiled."""

    actor: tuple[Layer, ...]
    """Empty if actions are inputs."""
    dynamics: tuple[Layer, ...]
    detach: bool
    """Whether the latent has no gradient through the actor."""
    interpret: bool
    """Whether the kernels are run by JAX, on any platform, for tests."""

    @property
    def layers(self) -> tuple[Layer, ...]:
        """All layers, in the order of a step."""
        return (*self.actor, *self.dynamics)

    @property
    def total(self) -> int:
        """Numbers of each kind of vectors."""
        return sum(layer.width for layer in self.layers)


class Weights(NamedTuple):
    """The parameters of a step."""

    kernels: tuple[Float[Array, "i o"], ...]
    """Matrices of the actor's layers, then of the dynamics'; the dynamics' first layer has two, for
    latents and for actions."""
    vectors: Float[Array, "3 n"]


class Kept(NamedTuple):
    """What the first kernel leaves to the second one."""

    z: Float[Array, "H+1 N z"]
    action: Float[Array, "H N a"]
    """In the type of the products."""
    u: Any
    """Actions before tanh [H, N, a]; None if there is no actor."""
    before: tuple[Float[Array, "H N n"], ...]
    """Each layer's product with its shift; the actor's last layer is left out."""
    after: tuple[Float[Array, "H N n"], ...]
    """What each layer passes on; the last layers of both networks are left out."""


def forward(form: Form, weights: Weights, z: Array, inputs: Array) -> Kept:
    """H steps from the first latents `z`, and what the backward pass needs of them."""
    steps, n, _ = inputs.shape
    dtype = weights.kernels[0].dtype
    inner = [layer.width for net in (form.actor, form.dynamics) for layer in net[:-1]]
    before = [*inner, form.dynamics[-1].width]
    shapes = [
        jax.ShapeDtypeStruct((steps + 1, n, z.shape[-1]), dtype),
        *(jax.ShapeDtypeStruct(inputs.shape, kind) for kind in (dtype, jnp.float32) if form.actor),
        *(jax.ShapeDtypeStruct((steps, n, size), dtype) for size in (*before, *inner)),
    ]

    def kernel(*refs: Ref) -> None:
        number = len(weights.kernels)
        z_ref, inputs_ref, vectors_ref, *weights_refs = refs[: 3 + number]
        kept = _kept(refs[3 + number :], len(before), None if form.actor else inputs_ref)
        kept.z[0] = z_ref[...].astype(dtype)
        wait(form.interpret)

        def step(t: Array, _: None) -> None:
            matrices = layer_kernels.matrices(weights_refs, weights.kernels)
            _step(form, kept, matrices, vectors_ref, inputs_ref, t)

        jax.lax.fori_loop(0, steps, step, None)

    specs = [_rows(z), _rows(inputs), _all(weights.vectors), *map(whole, weights.kernels)]
    call = _call(form, weights, kernel, n, specs, shapes, [_rows(x) for x in shapes])
    outputs = call(z, inputs, weights.vectors, *weights.kernels)
    return _kept(outputs, len(before), None if form.actor else inputs.astype(dtype))


def _kept(arrays: Sequence[Any], before: int, actions: Any | None) -> Kept:
    z, *others = arrays
    action, u = (actions, None) if actions is not None else (others.pop(0), others.pop(0))
    return Kept(z, action, u, tuple(others[:before]), tuple(others[before:]))


def _step(
    form: Form, kept: Kept, weights: Sequence[Matrix], vectors: Ref, inputs: Ref, t: Array
) -> None:
    """A step within the first kernel."""
    x_ref, before, after = kept.z, iter(kept.before), iter(kept.after)
    remaining = iter(weights)
    for layer in form.actor[:-1]:
        x_ref = _layer(form, layer, product(x_ref, t, next(remaining)), vectors, t, before, after)
    if form.actor:
        of_layer = layer_kernels.read(form.actor[-1], vectors)
        u = product(x_ref, t, next(remaining)) + of_layer.shift + inputs[t]
        kept.u[t] = u
        kept.action[t] = jnp.tanh(u).astype(kept.action.dtype)
        wait(form.interpret)
    total = product(kept.z, t, next(remaining)) + product(kept.action, t, next(remaining))
    for layer in form.dynamics[:-1]:
        x_ref = _layer(form, layer, total, vectors, t, before, after)
        total = product(x_ref, t, next(remaining))
    _layer(form, form.dynamics[-1], total, vectors, t, before, iter([_Next(kept.z)]))


class _Next(NamedTuple):
    """Writes a step's result where the next step reads it."""

    ref: Ref


def _layer(
    form: Form, layer: Layer, total: Array, vectors: Ref, t: Array, before: Any, after: Any
) -> Ref:
    of_layer = layer_kernels.read(layer, vectors)
    x_ref, y_ref = next(before), next(after)
    x = (total + of_layer.shift).astype(x_ref.dtype)
    x_ref[t] = x
    # Of what is kept, and so of the same numbers as in the backward pass.
    y = layer_kernels.forward(layer, x.astype(jnp.float32), of_layer)
    if isinstance(y_ref, _Next):
        y_ref.ref[t + 1] = y.astype(x_ref.dtype)
    else:
        y_ref[t] = y.astype(x_ref.dtype)
    wait(form.interpret)
    return y_ref


def backward(
    form: Form, weights: Weights, kept: Kept, of_z: Array, of_u: Array
) -> tuple[Array, Array, list[Array], Array]:
    """Gradients of the first latents, of the inputs, of each layer's product, and of the vectors.

    Without those of the actor, if its gradient does not reach the latents.
    """
    (steps, n, latent), dtype = of_z.shape, kept.z.dtype
    layers = form.dynamics if form.detach else form.layers
    shapes = [
        jax.ShapeDtypeStruct((n, latent), jnp.float32),
        jax.ShapeDtypeStruct(of_u.shape, jnp.float32),
        *(jax.ShapeDtypeStruct((steps, n, layer.width), dtype) for layer in layers),
        jax.ShapeDtypeStruct((steps, n // ROWS, 3, form.total), jnp.float32),
    ]
    u = kept.action if kept.u is None else kept.u
    operands = (of_z.astype(dtype), of_u, u, *kept.before)

    def kernel(*refs: Ref) -> None:
        number = len(weights.kernels)
        inputs, (vectors, *others) = refs[: len(operands)], refs[len(operands) :]
        matrices = layer_kernels.matrices(others[:number], weights.kernels)
        first, of_inputs, *of_layers, sums = others[number:]
        of_layers = [None] * (len(form.layers) - len(layers)) + of_layers
        of_z, of_u, u, *before = inputs
        back = _Back(of_z, of_u, u, before, matrices, vectors, of_inputs, of_layers, sums)

        def step(i: Array, gradient: Array) -> Array:
            return back.step(form, steps - 1 - i, gradient)

        zero = jnp.zeros((ROWS, latent), jnp.float32)
        first[...] = jax.lax.fori_loop(0, steps, step, zero)

    specs = [*map(_rows, operands), _all(weights.vectors), *map(whole, weights.kernels)]
    block = pl.BlockSpec((steps, 1, 3, form.total), lambda i: (0, i, 0, 0))
    call = _call(form, weights, kernel, n, specs, shapes, [*map(_rows, shapes[:-1]), block])
    of_first, of_inputs, *of_layers, sums = call(*operands, weights.vectors, *weights.kernels)
    return of_first, of_inputs, of_layers, sums.sum(axis=(0, 1))


class _Back(NamedTuple):
    """The arrays of the second kernel."""

    of_z: Ref
    of_u: Ref
    u: Ref
    before: Sequence[Ref]
    weights: Sequence[Matrix]
    vectors: Ref
    of_inputs: Ref
    of_layers: Sequence[Ref]
    sums: Ref

    def step(self, form: Form, t: Array, gradient: Array) -> Array:
        """The gradient of a step's latent from that of the next one."""
        actor = len(form.actor)
        gradient = gradient + self.of_z[t].astype(jnp.float32)
        for i in reversed(range(actor, len(form.layers))):
            # The actor's last layer and the dynamics' first one have one product more, or less.
            self._layer(form, i, t, self.before[i - (actor > 0)], gradient)
            if i > actor:
                gradient = product(self.of_layers[i], t, self.weights[i + 1], transposed=True)
        first = self.of_layers[actor]
        gradient = product(first, t, self.weights[actor], transposed=True)
        of_action = product(first, t, self.weights[actor + 1], transposed=True)
        if actor:
            action = jnp.tanh(self.u[t])
            of_action = of_action * (1 - action * action)
        of_u = of_action + self.of_u[t]
        self.of_inputs[t] = of_u
        if form.detach or not actor:
            return gradient
        self.of_layers[actor - 1][t] = of_u.astype(self.of_layers[0].dtype)
        total = of_u.sum(axis=0)
        for row, each in enumerate((total, jnp.zeros_like(total), jnp.zeros_like(total))):
            self.sums[t, 0, row, pl.ds(form.actor[-1].place, form.actor[-1].width)] = each
        wait(form.interpret)
        for i in reversed(range(actor - 1)):
            inner = product(self.of_layers[i + 1], t, self.weights[i + 1], transposed=True)
            self._layer(form, i, t, self.before[i], inner)
        return gradient + product(self.of_layers[0], t, self.weights[0], transposed=True)

    def _layer(self, form: Form, i: int, t: Array, before: Ref, gradient: Array) -> None:
        layer = form.layers[i]
        of_layer = layer_kernels.read(layer, self.vectors)
        x = before[t].astype(jnp.float32)
        of_x, sums = layer_kernels.backward(layer, x, of_layer, gradient)
        self.of_layers[i][t] = of_x.astype(self.of_layers[i].dtype)
        for row, total in enumerate(sums):
            self.sums[t, 0, row, pl.ds(layer.place, layer.width)] = total
        wait(form.interpret)


def _rows(x: Any) -> pl.BlockSpec:
    """A block's rows of an array, with all time steps."""
    if len(x.shape) == 2:
        return pl.BlockSpec((ROWS, x.shape[1]), lambda i: (i, 0))
    return pl.BlockSpec((x.shape[0], ROWS, x.shape[2]), lambda i: (0, i, 0))


def _all(x: Array) -> pl.BlockSpec:
    return pl.BlockSpec(x.shape, lambda i: (0,) * x.ndim)


def _call(
    form: Form,
    weights: Weights,
    kernel: Any,
    rows: int,
    inputs: Any,
    shapes: Any,
    outputs: Any,
) -> Any:
    # Triton loads ahead in the innermost loops. Without loops over parts of products that is the
    # one over time steps, which reads what the step before has written.
    ahead = any(map(layer_kernels.has_loop, weights.kernels))
    return pl.pallas_call(
        kernel,
        shapes,
        grid=(rows // ROWS,),
        in_specs=inputs,
        out_specs=outputs,
        interpret=form.interpret,
        compiler_params=triton.CompilerParams(num_warps=8, num_stages=3 if ahead else 1),
    )
