"""Networks and recurrences within kernels of Pallas give what they give layer by layer.

Here JAX runs the kernels itself, in float32 and in bfloat16; what a GPU makes of them is compared
where one is.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from platforms import on_both

from mjxwm.models import layer_kernels, mlp_kernel, nets
from mjxwm.models.actor_critic import Actor, Sampling
from mjxwm.models.actor_critic import Config as Networks
from mjxwm.models.nets import MLP
from mjxwm.models.world_model import Config, WorldModel, imagine, one_kernel

N, LATENT, OBS, ACTION = 32, 16, 5, 3
slow = pytest.mark.slow


def noisy(tree, key):
    """Weights of which none is 0."""
    leaves, structure = jax.tree.flatten(tree)
    keys = jax.random.split(key, len(leaves))
    pairs = zip(leaves, keys, strict=True)
    return jax.tree.unflatten(
        structure, [x + 0.3 * jax.random.normal(k, x.shape) for x, k in pairs]
    )


def assert_close(plain, fast, compute):
    """To rounding: of each array by its largest number."""
    tolerance = {"float32": 1e-5, "bfloat16": 0.03}[compute]
    assert jax.tree.structure(plain) == jax.tree.structure(fast)
    for a, b in zip(jax.tree.leaves(plain), jax.tree.leaves(fast), strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * float(jnp.abs(a).max()))


@pytest.fixture(autouse=True)
def as_in_large_networks(request, monkeypatch):
    """In float32: products in parts that are added up, and blocks of more rows than the least."""
    case = getattr(request.node, "callspec", None)
    if case and case.params["compute"] == "float32":
        monkeypatch.setattr(layer_kernels, "_PART", 512)
        monkeypatch.setattr(mlp_kernel, "_BUSY", 1)


@pytest.mark.parametrize(
    ("norm_first", "out", "compute"),
    [
        (True, None, "float32"),
        pytest.param(False, None, "bfloat16", marks=slow),
        pytest.param(False, "simnorm", "float32", marks=slow),
        pytest.param(True, "simnorm", "bfloat16", marks=slow),
    ],
)
def test_a_network_and_its_gradients(key, norm_first, out, compute):
    """An ensemble, of sizes that are padded, whose input comes in two parts."""
    number = 2 if compute == "float32" else 1  # JAX has no such products in bfloat16 on a CPU
    config = Config(latent=LATENT, encoder=(20,), hidden=(24,))
    activation = WorldModel.create(config, OBS, ACTION, key=key).encoder.out_activation
    keys = jax.random.split(key, 5)

    def make(key):
        return MLP.create(
            LATENT + ACTION, (24,), 16, key=key, norm_first=norm_first,
            out_activation=activation if out else None,
        )  # fmt: skip

    net = noisy(jax.vmap(make)(jax.random.split(keys[0], number)), keys[1])
    z, action = jax.random.normal(keys[2], (N, LATENT)), jax.random.normal(keys[3], (N, ACTION))
    weight = jax.random.normal(keys[4], (number, N, 16))

    def total(net, z, action, function):
        def of_one(net):
            return function(nets.computing_in(compute, net), z, action)

        first = jax.tree.map(lambda x: x[0], net)
        y = jax.vmap(of_one)(net) if number > 1 else of_one(first)[None]
        return (weight * y).sum(), y

    def plain(net, z, action):
        return total(net, z, action, lambda net, *x: net(jnp.concatenate(x, axis=-1)))

    def fast(net, z, action):
        return total(net, z, action, partial(mlp_kernel.applied, interpret=True))

    gradients: Any = [jax.jit(jax.grad(f, (0, 1), has_aux=True)) for f in (plain, fast)]
    plain_result, fast_result = (gradient(net, z, action) for gradient in gradients)
    assert_close(plain_result, fast_result, compute)


@pytest.mark.parametrize(
    ("acts", "detach", "compute"),
    [
        (True, False, "float32"),
        pytest.param(True, True, "float32", marks=slow),
        pytest.param(True, True, "bfloat16", marks=slow),
        pytest.param(False, False, "float32", marks=slow),
        pytest.param(False, False, "bfloat16", marks=slow),
    ],
)
def test_a_recurrence_and_its_gradients(key, acts, detach, compute):
    """With actions of an actor, through which the latent may have a gradient, or of the data."""
    keys = jax.random.split(key, 7)
    config = Config(latent=LATENT, encoder=(20,), hidden=(24,))
    model = noisy(WorldModel.create(config, OBS, ACTION, key=keys[0]), keys[1])
    actor = noisy(Actor.create(Networks(actor=(20,)), LATENT, ACTION, key=keys[2]), keys[3])
    z, inputs = jax.random.normal(keys[4], (N, LATENT)), jax.random.normal(keys[5], (2, N, ACTION))
    weights = jax.random.normal(keys[6], (2, N, LATENT + ACTION))

    def plain(actor, dynamics, z, inputs):
        def step(z, inputs):
            mean = actor.mean_net(jax.lax.stop_gradient(z) if detach else z)
            action = jnp.tanh(mean + inputs) if acts else inputs
            z = dynamics(jnp.concatenate([z, action], axis=-1))
            return z, (z, mean + inputs if acts else inputs)

        return jax.lax.scan(step, z, inputs)[1]

    def fast(actor, dynamics, z, inputs):
        net = actor.mean_net if acts else None
        return one_kernel.rolled_out(net, dynamics, z, inputs, detach, interpret=True)

    def total(function):
        def loss(actor, dynamics, *others):
            z, u = function(*nets.computing_in(compute, (actor, dynamics)), *others)
            return (weights * jnp.concatenate([z, u], axis=-1)).sum(), (z, u)

        return jax.jit(jax.grad(loss, (0, 1, 2, 3), has_aux=True))

    args = actor, model.dynamics, z, inputs
    assert_close(total(plain)(*args), total(fast)(*args), compute)


@pytest.mark.gpu
def test_on_a_gpu_kernels_give_what_layers_give(key):
    """PWM's sizes: imagined rollouts, and the gradients of what they earn."""
    keys = jax.random.split(key, 5)
    model = noisy(WorldModel.create(Config(), OBS, ACTION, key=keys[0]), keys[1])
    actor = Actor.create(Networks(), 512, ACTION, key=keys[2])
    z = model.encode(jax.random.normal(keys[3], (1024, OBS)))
    noise = jax.random.normal(keys[4], (4, 1024, ACTION))

    def earned(actor, model, z):
        actor, model = nets.computing_in("bfloat16", (actor, model))
        policy = Sampling(actor=actor, detach=False)
        imagined = imagine(model, policy, z, noise)
        return imagined.reward.sum() + (imagined.z**2).sum(), imagined.z

    plain, fast = on_both(jax.grad(earned, (0, 1), has_aux=True), actor, model, z)
    assert_close(plain, fast, "bfloat16")
