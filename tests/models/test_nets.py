"""Networks: activations, initial weights, sizes, ensembles, parity with torch."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mjxwm.models import nets
from mjxwm.models.nets import MLP


def test_a_network_is_a_tree_of_its_parameters_alone_in_the_order_of_their_names(key):
    net = MLP.create(3, (4,), 2, key=key, out_activation=nets.simnorm, dropout=0.1)
    leaves, tree = jax.tree_util.tree_flatten_with_path(net)
    names = [jax.tree_util.keystr(path) for path, _ in leaves]
    layers = [f".layers[{i}].{name}" for i in (0, 1) for name in ("bias", "kernel")]
    assert names == layers + [f".norms[{i}].{name}" for i in (0, 1) for name in ("bias", "scale")]
    copy = jax.tree.unflatten(tree, [x for _, x in leaves])
    assert isinstance(copy, MLP)
    assert (copy.out_activation, copy.norm_first, copy.dropout) == (nets.simnorm, True, 0.1)


def test_a_network_cannot_be_changed_but_copied_with_other_parameters(key):
    layer = nets.Linear.create(3, 2, "normal", key=key)
    with pytest.raises(dataclasses.FrozenInstanceError):
        layer.bias = jnp.ones(2)
    other = dataclasses.replace(layer, bias=jnp.ones(2))
    np.testing.assert_array_equal(other(jnp.zeros(3)), jnp.ones(2))
    np.testing.assert_array_equal(layer(jnp.zeros(3)), jnp.zeros(2))


def test_networks_of_other_settings_are_other_structures(key):
    """So that a compiled program is never used with settings that it was not compiled for."""
    first, second = (
        jax.tree.structure(MLP.create(3, (4,), 2, key=key, norm_first=norm_first))
        for norm_first in (True, False)
    )
    assert first != second
    assert first == jax.tree.structure(MLP.create(3, (5,), 2, key=key))


def test_mish_is_jax_mish_with_its_gradient_from_tiny_to_huge_arguments():
    small = jnp.linspace(-20, 20, 401)
    x = jnp.concatenate([small, jnp.array([-1e30, -1e4, -100.0, 100.0, 1e4, 1e30])])
    np.testing.assert_allclose(nets.mish(x), jax.nn.mish(x), rtol=1e-5, atol=1e-7)
    got = jax.vmap(jax.grad(nets.mish))(x)
    expected = jax.vmap(jax.grad(jax.nn.mish))(x)
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("group", [2, 4, 8])
def test_simnorm_groups_sum_to_one(key, group):
    x = 10 * jax.random.normal(key, (3, 5, 16))
    y = nets.simnorm(x, group)
    assert y.shape == x.shape
    assert (y >= 0).all()
    np.testing.assert_allclose(y.reshape(3, 5, -1, group).sum(-1), 1, atol=1e-6)
    # Neighbouring features form a group, as in TD-MPC2.
    np.testing.assert_allclose(y[..., :group], jax.nn.softmax(x[..., :group]), atol=1e-6)


@pytest.mark.parametrize("shape", [(32, 8), (8, 32), (16, 16), (5, 1), (1, 1)])
def test_orthogonal_has_orthonormal_rows_or_columns(key, shape):
    q = nets.orthogonal(jax.random.normal(key, shape))
    small = q.T @ q if shape[0] >= shape[1] else q @ q.T
    np.testing.assert_allclose(small, jnp.eye(min(shape)), atol=1e-5)


def test_orthogonal_is_the_polar_factor(key):
    x = jax.random.normal(key, (12, 5))
    u, _, vt = np.linalg.svd(x, full_matrices=False)
    np.testing.assert_allclose(nets.orthogonal(x), u @ vt, atol=1e-5)


# TD-MPC2 "5M" on MT80: 39 observations, 6 actions, task embedding 96, latent 512.
@pytest.mark.parametrize(
    ("sizes", "normed_output", "count"),
    [
        ((39 + 96, [256], 512), True, 167_936),
        ((512 + 6 + 96, [512, 512], 512), True, 843_264),
        ((512 + 6 + 96, [512, 512], 101), False, 631_397),
        ((512 + 96, [512, 512], 12), False, 582_668),
    ],
    ids=["encoder", "dynamics", "reward", "policy"],
)
def test_parameter_counts_are_those_of_tdmpc2(sizes, normed_output, count):
    activation = nets.simnorm if normed_output else None
    make = lambda key: MLP.create(*sizes, key=key, out_activation=activation)  # noqa: E731
    assert nets.num_parameters(jax.eval_shape(make, jax.random.key(0))) == count


@pytest.mark.parametrize(
    ("init", "std"), [("normal", 0.02), ("torch", 1 / np.sqrt(3 * 64)), ("zeros", 0.0)]
)
def test_initial_weights_have_the_stated_deviation(key, init, std):
    layer = nets.Linear.create(64, 500, init, key=key)
    # 32,000 samples: the deviation is within half a percent (one sigma is 0.4 %).
    np.testing.assert_allclose(layer.kernel.std(), std, rtol=0.02)
    if init == "torch":
        assert jnp.abs(layer.kernel).max() <= 1 / 8
        assert 0 < jnp.abs(layer.bias).max() <= 1 / 8
    else:
        np.testing.assert_array_equal(layer.bias, 0)


def test_orthogonal_weights_have_gain_root_two(key):
    kernel = nets.Linear.create(32, 8, "orthogonal", key=key).kernel
    np.testing.assert_allclose(kernel.T @ kernel, 2 * jnp.eye(8), atol=1e-5)


def test_layer_norm_normalises_then_scales_and_shifts(key):
    norm = nets.LayerNorm.create(6)
    x = 5 + 3 * jax.random.normal(key, (4, 6))
    y = norm(x)
    np.testing.assert_allclose(y.mean(-1), 0, atol=1e-6)
    np.testing.assert_allclose(y.var(-1), 1, atol=1e-4)


def test_an_mlp_without_hidden_layers_is_linear(key):
    net = MLP.create(3, (), 2, key=key, init="torch")
    x = jnp.arange(3.0)
    np.testing.assert_array_equal(net(x), net.layers[0](x))


def test_the_last_layer_can_be_zero_while_the_others_are_not(key):
    net = MLP.create(3, (4,), 2, key=key, out_init="zeros")
    np.testing.assert_array_equal(net(jnp.ones((5, 3))), jnp.zeros((5, 2)))
    assert jnp.abs(net.layers[0].kernel).min() > 0


def test_members_of_an_ensemble_differ(key):
    make = lambda k: MLP.create(3, (4,), 2, key=k, init="torch")  # noqa: E731
    keys = jax.random.split(key, 3)
    ensemble = jax.vmap(make)(keys)
    together = jax.vmap(lambda net, x: net(x), in_axes=(0, None))(ensemble, jnp.ones(3))
    assert together.shape == (3, 2)
    for k, y in zip(keys, together, strict=True):
        np.testing.assert_allclose(make(k)(jnp.ones(3)), y, rtol=1e-5)
    assert jnp.abs(together[0] - together[1]).max() > 1e-3
    assert jnp.abs(together[1] - together[2]).max() > 1e-3


def test_layers_of_one_network_start_differently(key):
    net = MLP.create(4, (4, 4), 4, key=key)
    kernels = [layer.kernel for layer in net.layers]
    assert jnp.abs(kernels[0] - kernels[1]).max() > 1e-3
    assert jnp.abs(kernels[1] - kernels[2]).max() > 1e-3


@pytest.mark.parametrize("norm_first", [True, False])
@pytest.mark.parametrize("normed_output", [True, False])
def test_an_mlp_equals_its_torch_original(key, norm_first, normed_output):
    torch = pytest.importorskip("torch")
    nn = torch.nn
    activation = nets.simnorm if normed_output else None
    net = MLP.create(
        5, (7, 6), 8, key=key, init="torch", out_activation=activation, norm_first=norm_first
    )
    x = jax.random.normal(key, (9, 5))

    modules = []
    for i, layer in enumerate(net.layers):
        kernel = layer.kernel
        linear = nn.Linear(*kernel.shape)
        with torch.no_grad():
            linear.weight.copy_(torch.tensor(np.array(kernel.T)))
            linear.bias.copy_(torch.tensor(np.array(layer.bias)))
        modules.append(linear)
        if i < len(net.layers) - 1:
            rest = [nn.Mish(), nn.LayerNorm(kernel.shape[1])]
            modules += rest[::-1] if norm_first else rest
    if normed_output:
        modules += [nn.LayerNorm(8), nn.Unflatten(-1, (-1, 8)), nn.Softmax(-1), nn.Flatten(-2)]
    expected = nn.Sequential(*modules)(torch.tensor(np.array(x))).detach().numpy()
    np.testing.assert_allclose(net(x), expected, rtol=1e-5, atol=1e-5)


def test_a_dropout_mask_is_of_the_first_layers_outputs_before_their_normalisation(key):
    net = MLP.create(3, (4, 4), 2, key=key, init="torch", dropout=0.5)
    x = jax.random.normal(key, (6, 3))
    mask = jnp.arange(24).reshape(6, 4) % 3 > 0
    first = jnp.where(mask, 2 * net.layers[0](x), 0)
    rest = dataclasses.replace(net, layers=net.layers[1:], norms=net.norms[1:])
    expected = rest(nets.mish(net.norms[0](first)))
    np.testing.assert_allclose(net(x, mask), expected, rtol=1e-6, atol=1e-6)
    assert jnp.abs(net(x, mask) - net(x)).min() > 0


def test_matrices_in_bfloat16_add_up_in_float32(key):
    """Inputs and matrices are rounded to 8 bits, sums are not; all but the matrices stays."""
    net = MLP.create(64, [128], 32, key=key)
    coarse = nets.computing_in("bfloat16", net)
    x = jax.random.normal(key, (256, 64))
    exact, rounded = net(x), coarse(x)
    assert rounded.dtype == jnp.float32
    error = jnp.abs(rounded - exact).max() / jnp.abs(exact).max()
    assert 1e-4 < error < 3e-2
    # One layer against float64 sums of the rounded values: what differs is the order of a sum.
    layer = coarse.layers[0]
    inputs, kernel = (np.asarray(a.astype(jnp.bfloat16), float) for a in (x, layer.kernel))
    np.testing.assert_allclose(layer(x), inputs @ kernel + np.asarray(layer.bias), atol=1e-5)
    assert coarse.norms[0].scale.dtype == coarse.layers[0].bias.dtype == jnp.float32
