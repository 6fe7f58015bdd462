"""The world model's recurrence as one kernel on a GPU, and its backward pass as another one.

Rows of a batch do not depend on one another: each block of a kernel takes some of them through all
time steps, where layer by layer a step of PWM's size is some twenty kernels. Both passes write in
bfloat16 what the weights' gradients are made of; these are products over all rows and steps after
them. Products are in bfloat16, all else within the kernels is in float32.
"""

import functools
from typing import Any, TypeGuard

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from mjxwm.maths import platform
from mjxwm.models import layer_kernels, mlp_kernel
from mjxwm.models.layer_kernels import (
    padded,
    weights_gradient,
)
from mjxwm.models.nets import MLP
from mjxwm.models.world_model import step_kernels
from mjxwm.models.world_model.model import LatentModel, WorldModel
from mjxwm.models.world_model.step_kernels import ROWS, Form, Kept, Weights


def takes(
    model: LatentModel, z: Float[Array, "N z"], actor: MLP | None = None
) -> TypeGuard[WorldModel]:
    """Whether the kernels can be used: on a GPU that has room for them, with products in bfloat16,
    for a model of one task, on one device, and latents that are a power of two."""
    if not isinstance(model, WorldModel) or not platform.takes_pallas():
        return False
    nets = [model.dynamics] if actor is None else [model.dynamics, actor]
    rows, latent = z.shape
    return (
        rows % ROWS == 0
        and latent == layer_kernels.width(latent)
        and all(layer_kernels.fits(net) for net in nets)
    )


def rolled_out(
    actor: MLP | None,
    dynamics: MLP,
    z: Float[Array, "N z"],
    inputs: Float[Array, "H N a"],
    detach: bool = False,
    interpret: bool = False,
) -> tuple[Float[Array, "H N z"], Float[Array, "H N a"]]:
    """H steps of a_t = tanh(actor(z_t) + inputs_t) and z_{t+1} = dynamics(z_t, a_t).

    Args:
        actor: network from a latent to the mean before tanh; None: actions are inputs.
        dynamics: network from [z, a] to the next latent.
        z: first latents.
        inputs: what is added to the mean, or the actions a_t.
        detach: whether the latent has no gradient through the actor.
        interpret: whether the kernels are run by JAX, on any platform.

    Returns:
        The latents z_1 to z_H, and the actions before tanh, or the inputs where they are actions.
    """
    of_actor = () if actor is None else layer_kernels.sizes(actor)
    place = sum(layer.width for layer in of_actor)
    form = Form(of_actor, layer_kernels.sizes(dynamics, place), detach, interpret)
    actions = inputs.shape[-1]
    wide = padded(inputs, *inputs.shape[:-1], layer_kernels.width(actions))
    outputs: Any = _run(form, _packed(form, actor, dynamics), z, wide)
    next_z, u = outputs
    return next_z, u[..., :actions]


def _packed(form: Form, actor: MLP | None, dynamics: MLP) -> Weights:
    of_actor = [] if actor is None else [layer.kernel for layer in actor.layers]
    first, *others = [layer.kernel for layer in dynamics.layers]
    latent = form.dynamics[-1].features
    columns = [layer_kernels.vectors(dynamics, form.dynamics)]
    if actor is not None:
        columns.insert(0, layer_kernels.vectors(actor, form.actor))
    kernels = (*of_actor, first[:latent], first[latent:], *others)
    return Weights(kernels, jnp.concatenate(columns, axis=1))


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _run(form: Form, weights: Weights, z: Array, inputs: Array) -> tuple[Array, Array]:
    return _forward(form, weights, z, inputs)[0]


def _forward(form: Form, weights: Weights, z: Array, inputs: Array) -> tuple[Any, Any]:
    kept = step_kernels.forward(form, weights, z, inputs)
    u = inputs if kept.u is None else kept.u
    return (kept.z[1:].astype(z.dtype), u), (weights, kept)


def _backward(form: Form, saved: tuple[Weights, Kept], gradient: tuple[Array, Array]) -> Any:
    weights, kept = saved
    actor = len(form.actor)
    of_z, of_inputs, of_layers, sums = step_kernels.backward(form, weights, kept, *gradient)
    if form.detach and actor:
        of_actor, of_vectors = _of_actor(form, weights, kept, of_inputs)
        of_layers = [*of_actor, *of_layers]
        sums = jnp.concatenate([of_vectors, sums[:, of_vectors.shape[1] :]], axis=1)
    pairs = []
    for i, of_layer in enumerate(of_layers):
        if i == actor:
            inputs = [kept.z[:-1], kept.action]
        else:
            # The actor's last layer passes on nothing that is kept.
            inputs = [kept.z[:-1] if i == 0 else kept.after[i - 1 - (0 < actor < i)]]
        pairs += [(_flat(x), _flat(of_layer)) for x in inputs]
    kernels = [weights_gradient(x, g, w) for (x, g), w in zip(pairs, weights.kernels, strict=True)]
    return Weights(tuple(kernels), sums), of_z, of_inputs


def _flat(x: Float[Array, "H N n"]) -> Float[Array, "H*N n"]:
    return x.reshape(-1, x.shape[-1])


def _of_actor(
    form: Form, weights: Weights, kept: Kept, of_mean: Array
) -> tuple[list[Array], Array]:
    """The actor's part where it has none in the recurrence: all steps at once."""
    number = len(form.actor)
    of_net = mlp_kernel.Weights(
        weights.kernels[:number], weights.vectors[:, : sum(layer.width for layer in form.actor)]
    )
    before = mlp_kernel.Kept(tuple(map(_flat, kept.before[: number - 1])), ())
    net = mlp_kernel.Form(form.actor, form.interpret)
    _, of_layers, sums = mlp_kernel.backward(net, of_net, before, _flat(of_mean), [])
    return of_layers, sums


_run.defvjp(_forward, _backward)
