"""The policies of all algorithms as chains of layers.

What is constant is folded into biases: the embedding of a task, and the features that a model of
many tasks pads its observations with.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mjxwm import ConfigError
from mjxwm.algos import pwm, reppo, shac, tdmpc2
from mjxwm.algos.baselines import PPO, SAC, tanh_gaussian
from mjxwm.interop.export.layers import Chain, Layer
from mjxwm.maths import moments
from mjxwm.maths.moments import Moments
from mjxwm.models.nets import MLP, Linear, mish
from mjxwm.models.world_model import Conditioned, SimNorm
from mjxwm.types import Sizes

_LIMIT = 10.0  # of `moments.normalize`
_EPSILON = 1e-5  # of `nets.LayerNorm`


def of(config: Any, sizes: Sizes, networks: Any) -> Chain:
    """A policy's deterministic actions.

    Args:
        config: the algorithm's configuration.
        sizes: of observations and actions.
        networks: the policy's arrays, as its `mjxwm.types.Agent` takes them.

    Raises:
        ConfigError: it acts in another way than by networks from observations to actions.
    """
    networks = jax.device_get(networks)
    if isinstance(networks, tanh_gaussian.Networks):
        return _tanh_gaussian(config, networks)
    if isinstance(networks, shac.Networks):
        return [*_normalize(networks.obs), *_mlp(networks.actor.mean_net), Layer("tanh")]
    if isinstance(networks, reppo.Networks):
        *policy, last = _mlp(networks.actor.net)
        return [*_normalize(networks.obs), *policy, _first_half(last), Layer("tanh")]
    if isinstance(networks, pwm.Networks):
        before = [] if networks.obs is None else _normalize(networks.obs)
        encoder = _encoder(networks.model, sizes.obs_size)
        return [*before, *encoder, *_mlp(networks.actor.mean_net), Layer("tanh")]
    if isinstance(networks, tdmpc2.Networks) and len(networks.embedding) == 1:
        return _tdmpc2(networks, sizes)
    raise ConfigError(
        "this policy is no chain of layers from observations to actions; export knows those of "
        "pwm, shac, sapo, apg, tdmpc2, reppo, ppo, sac and extract"
    )


def _tanh_gaussian(config: PPO | SAC, networks: tanh_gaussian.Networks) -> Chain:
    layers = [_dense(layer.kernel, layer.bias) for layer in networks.layers]
    hidden = [each for layer in layers[:-1] for each in (layer, Layer(config.activation))]
    scaled = {"mean": _float(networks.mean), "std": _float(networks.std)}
    before = [Layer("normalize", scaled)] if config.normalize_obs else []
    return [*before, *hidden, _first_half(layers[-1]), Layer("tanh")]


def _tdmpc2(networks: tdmpc2.Networks, sizes: Sizes) -> Chain:
    embedding = networks.embedding[0]
    # The encoder takes no actions, so there are none to mask.
    encoder = _encoder(Conditioned(networks.model, embedding, jnp.ones(0)), sizes.obs_size)
    *policy, last = _mlp(networks.policy, embedding)
    return [*encoder, *policy, _first_half(last), Layer("tanh")]


def _encoder(model: Any, obs_size: int) -> Chain:
    """A world model's encoder for the task's own observations."""
    if not isinstance(model, Conditioned):
        return _mlp(model.encoder)
    net = model.model.encoder
    padding = np.zeros(net.layers[0].kernel.shape[0] - len(model.embedding) - obs_size)
    before: list[Layer] = []
    if model.obs is not None:
        mean, var, count = model.obs
        before = _normalize(Moments(mean[:obs_size], var[:obs_size], count))
        padded = Moments(mean[obs_size:], var[obs_size:], count)
        padding = moments.normalize(padded, jnp.asarray(padding))
    return [*before, *_mlp(net, np.concatenate([padding, model.embedding]))]


def _normalize(of: Moments) -> list[Layer]:
    arrays = {"mean": _float(of.mean), "std": _float(moments.std(of))}
    return [Layer("normalize", arrays), Layer("clip", numbers={"limit": _LIMIT})]


def _mlp(net: MLP, constants: Any = ()) -> list[Layer]:
    """The layers of a network.

    Args:
        net: the network.
        constants: inputs that stand after the others, and never change.
    """
    layers: list[Layer] = []
    hidden = len(net.layers) - 1
    for i, linear in enumerate(net.layers):
        layers.append(_with_constants(linear, constants) if i == 0 else _linear(linear))
        activation = net.out_activation if i == hidden else mish
        if activation is None:
            continue
        norm = net.norms[i]
        arrays = {"scale": _float(norm.scale), "bias": _float(norm.bias)}
        both = [Layer("layer_norm", arrays, {"epsilon": _EPSILON}), _activation(activation)]
        layers += both if net.norm_first or i == hidden else both[::-1]
    return layers


def _activation(activation: Callable) -> Layer:
    if isinstance(activation, SimNorm):
        return Layer("simnorm", numbers={"group": activation.group})
    if activation is not mish:
        raise ConfigError(f"activation {activation} is not exported; mish and SimNorm are")
    return Layer("mish")


def _with_constants(linear: Linear, constants: Any) -> Layer:
    """A linear layer with the constant inputs after the others folded into its bias."""
    constants = np.asarray(constants, np.float64)
    inputs = linear.kernel.shape[0] - len(constants)
    kernel, fixed = np.split(np.asarray(linear.kernel, np.float64), [inputs])
    return _dense(kernel, np.asarray(linear.bias, np.float64) + constants @ fixed)


def _linear(linear: Linear) -> Layer:
    return _dense(linear.kernel, linear.bias)


def _dense(kernel: Any, bias: Any) -> Layer:
    return Layer("dense", {"kernel": _float(kernel), "bias": _float(bias)})


def _first_half(layer: Layer) -> Layer:
    """A last layer without the outputs that are the Gaussian's deviations."""
    size = len(layer.arrays["bias"]) // 2
    return _dense(layer.arrays["kernel"][:, :size], layer.arrays["bias"][:size])


def _float(x: Any) -> np.ndarray:
    return np.ascontiguousarray(x, np.float32)
