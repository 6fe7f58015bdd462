"""The value of action sequences in the model, which the planner compares."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from mjxwm.algos.tdmpc2.networks import TaskNetworks
from mjxwm.maths import platform, twohot
from mjxwm.models.nets import MLP, Linear


def values(
    nets: TaskNetworks,
    z: Float[Array, " z"],
    actions: Float[Array, "H S a"],
    noise: Float[Array, "S a"],
) -> Float[Array, " S"]:
    """Discounted predicted rewards of S sequences of H actions, plus the mean of the Qs at the end.

    Args:
        nets: networks of the world's task, with the Qs to be used.
        z: latent that all sequences start from.
        actions: the sequences.
        noise: standard-normal noise of the policy's action after the last step.
    """
    form = _step_by_step if platform.compiled_for() == "cpu" else _in_few_kernels
    # As in the released code: a NaN would reach the weights of all elites.
    return jnp.nan_to_num(form(nets, z, actions, noise))


def _step_by_step(nets: TaskNetworks, z: Array, actions: Array, noise: Array) -> Array:
    def step(carry: tuple[Array, Array, Array], action: Array) -> tuple[tuple, None]:
        z, total, weight = carry
        total = total + weight * nets.model.reward(z, action)
        z = nets.model.predict(z, action)
        return (z, total, weight * nets.discount * nets.model.going_on(z)), None

    samples = actions.shape[1]
    latents = jnp.broadcast_to(z, (samples, *z.shape))
    start = (latents, jnp.zeros(samples), jnp.ones(samples))
    (last, total, weight), _ = jax.lax.scan(step, start, actions)
    return total + weight * nets.values(last, nets.act(last, noise)).mean(axis=0)


def _in_few_kernels(nets: TaskNetworks, z: Array, actions: Array, noise: Array) -> Array:
    """The same for a GPU: one ensemble for dynamics and reward, and all bins' logits at once."""
    model = nets.model
    dynamics, reward_head = model.model.dynamics, model.model.reward_head
    both = as_ensemble(dynamics, reward_head)
    first, *others = both.layers
    task, latent = model.embedding.shape[-1], z.shape[-1]
    of_z, of_task, of_action = jnp.split(first.kernel, [latent, latent + task], axis=1)
    fixed = (first.bias + model.embedding @ of_task)[:, None]
    of_actions = jnp.einsum("hsa,kaf->khsf", model.mask_action(actions), of_action)
    latents, logits = [], []
    for t in range(len(actions)):
        # At the first step all sequences have one latent: a product for a single row.
        layer = Linear(kernel=of_z, bias=of_actions[:, t] + fixed)
        step = dataclasses.replace(both, layers=(layer, *others))
        outputs = jax.vmap(lambda net, z: net(z), (0, None))(step, z)
        z = activated(dynamics, outputs[0])
        latents.append(z)
        logits.append(activated(reward_head, outputs[1]))
    rewards, worth = _decoded(nets, jnp.stack(logits), z, noise)
    total, weight = jnp.zeros_like(worth), jnp.ones_like(worth)
    for reward, z in zip(rewards, latents, strict=True):
        total = total + weight * reward
        weight = weight * nets.discount * model.going_on(z)
    return total + weight * worth


def as_ensemble(*networks: MLP) -> MLP:
    """Networks with the same inputs and hidden sizes, stacked; `activated` ends what they begin.

    The outputs of the smaller one are padded. That multiplies by zeros, but saves a kernel a step.
    """
    width = max(net.layers[-1].bias.size for net in networks)
    plain = [_without_end(net, width) for net in networks]
    leaves, form = jax.tree.flatten(jax.tree.map(lambda *each: each, *plain), is_leaf=_is_several)
    vectors = [each for each in leaves if each[0].ndim == 1]
    # All vectors in one array: a kernel instead of one for each of them.
    joined = jnp.stack([jnp.concatenate(of_one) for of_one in zip(*vectors, strict=True)])
    ends = np.cumsum([each[0].size for each in vectors])[:-1]
    parts = iter(jnp.split(joined, ends, axis=1))
    return form.unflatten(next(parts) if each[0].ndim == 1 else jnp.stack(each) for each in leaves)


def _is_several(part: Any) -> bool:
    return isinstance(part, tuple) and hasattr(part[0], "ndim")


def _without_end(net: MLP, width: int) -> MLP:
    *hidden, last = net.layers
    kernel = jnp.pad(last.kernel, ((0, 0), (0, width - last.bias.size)))
    layers = (*hidden, Linear(kernel=kernel, bias=jnp.zeros(width, last.bias.dtype)))
    return MLP(layers=layers, norms=net.norms[: len(hidden)])


def activated(net: MLP, outputs: Float[Array, "S w"]) -> Float[Array, "S o"]:
    """Bias, normalisation and activation of a network's last layer, from the padded outputs."""
    bias = net.layers[-1].bias
    outputs = outputs[:, : bias.size] + bias
    return outputs if net.out_activation is None else net.out_activation(net.norms[-1](outputs))


def _decoded(
    nets: TaskNetworks, logits: Float[Array, "H S n"], last: Float[Array, "S z"], noise: Array
) -> tuple[Float[Array, "H S"], Float[Array, " S"]]:
    """Rewards of all steps, and the mean of the Qs at the end."""
    ends = nets.value_logits(last, nets.act(last, noise))
    if logits.shape[-1] == 1:
        return logits[..., 0], twohot.decode(ends).mean(axis=0)
    decoded = twohot.decode(jnp.concatenate([logits, ends]))
    return decoded[: len(logits)], decoded[len(logits) :].mean(axis=0)
