"""How PPO's and SAC's policies act, without Brax: tanh-squashed Gaussians, the same in both."""

import itertools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from mjxwm.algos.baselines.config import MIN_STD, PPO, SAC, validate
from mjxwm.types import Agent, Sizes

_ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "swish": jax.nn.swish,
    "relu": jax.nn.relu,
    "tanh": jnp.tanh,
    "elu": jax.nn.elu,
    "gelu": jax.nn.gelu,
}


class Layer(NamedTuple):
    """A linear layer, x @ kernel + bias."""

    kernel: Float[Array, "i j"]
    bias: Float[Array, " j"]


class Networks(NamedTuple):
    """The policy: its layers, and the moments that normalise observations."""

    layers: tuple[Layer, ...]
    """The last one gives means and raw deviations of the Gaussian before tanh."""
    mean: Float[Array, " o"]
    std: Float[Array, " o"]


def networks(params: Any, normalizer: Any) -> Networks:
    """The policy by Brax's parameters of its network and by Brax's running statistics."""
    layers = params["params"]
    each = (layers[f"hidden_{i}"] for i in range(len(layers)))
    return Networks(
        tuple(Layer(layer["kernel"], layer["bias"]) for layer in each),
        normalizer.mean,
        normalizer.std,
    )


def agent(config: PPO | SAC, sizes: Sizes) -> Agent:
    """How the policy of PPO or SAC acts.

    Raises:
        ValueError: a setting is out of range.
    """
    validate(config)
    hidden = config.policy_layers if isinstance(config, PPO) else config.layers
    activation = _ACTIVATIONS[config.activation]

    def init(key: PRNGKeyArray) -> Networks:
        return _init(sizes, hidden, key)

    def act(policy: Networks, obs: Array, key: PRNGKeyArray | None = None) -> Float[Array, "B a"]:
        x = (obs - policy.mean) / policy.std if config.normalize_obs else obs
        for layer in policy.layers[:-1]:
            x = activation(x @ layer.kernel + layer.bias)
        last = policy.layers[-1]
        mean, raw = jnp.split(x @ last.kernel + last.bias, 2, axis=-1)
        if key is None:
            return jnp.tanh(mean)
        noise = jax.random.normal(key, mean.shape)
        return jnp.tanh(noise * (jax.nn.softplus(raw) + MIN_STD) + mean)

    return Agent(init, act)


def _init(sizes: Sizes, hidden: Sequence[int], key: PRNGKeyArray) -> Networks:
    widths = (sizes.obs_size, *hidden, 2 * sizes.action_size)
    keys = jax.random.split(key, len(widths) - 1)
    lecun = jax.nn.initializers.lecun_uniform()
    layers = tuple(
        Layer(lecun(k, shape), jnp.zeros(shape[1]))
        for k, shape in zip(keys, itertools.pairwise(widths), strict=True)
    )
    return Networks(layers, jnp.zeros(sizes.obs_size), jnp.ones(sizes.obs_size))
