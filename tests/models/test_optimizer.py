"""optax on networks: steps are optax's, and networks stay networks."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from mjxwm.maths import platform
from mjxwm.models.nets import MLP, Linear, num_parameters
from mjxwm.models.optimizer import Optimizer, moved_towards, norm


def test_a_step_is_that_of_optax_on_the_arrays(key):
    layer = Linear.create(3, 2, "torch", key=key)
    gradient = jax.grad(lambda net: (net(jnp.ones(3)) ** 2).sum())(layer)
    tx = optax.chain(optax.clip_by_global_norm(0.1), optax.adamw(0.01))
    optimizer = Optimizer(tx)
    after, state, _ = optimizer.step(layer, gradient, optimizer.init(layer))

    arrays, slopes = ({"bias": x.bias, "kernel": x.kernel} for x in (layer, gradient))
    steps, expected_state = tx.update(slopes, tx.init(arrays), arrays)
    expected = optax.apply_updates(arrays, steps)
    assert isinstance(after, Linear)
    np.testing.assert_array_equal(after.kernel, expected["kernel"])
    np.testing.assert_array_equal(after.bias, expected["bias"])
    for a, b in zip(jax.tree.leaves(state), jax.tree.leaves(expected_state), strict=True):
        np.testing.assert_array_equal(a, b)


def test_packed_steps_are_those_of_the_trees(key):
    """Three steps of clipped Adam on one vector, as on a GPU, and array by array."""
    keys = jax.random.split(key, 3)
    net = MLP.create(3, (5, 4), 2, key=keys[0], init="torch")
    x = jax.random.normal(keys[1], (7, 3))
    optimizer = Optimizer(optax.chain(optax.clip_by_global_norm(0.1), optax.adam(0.01)))

    def trained(net, state):
        for _ in range(3):
            gradient = jax.grad(lambda net: (net(x) ** 2).sum())(net)
            net, state, _ = optimizer.step(net, gradient, state)
        return net, state

    start = optimizer.init(net)
    expected = jax.jit(trained)(net, start)
    with platform.compiling_for("gpu"):
        packed = optimizer.packed(net, start)
        after, state = jax.jit(trained)(net, packed)
        state = optimizer.unpacked(net, state)
        gradient = jax.grad(lambda net: (net(x) ** 2).sum())(net)
        length = norm(gradient)
    vectors = [x for x in jax.tree.leaves(packed) if x.ndim]
    assert [x.shape for x in vectors] == 2 * [(num_parameters(net),)]
    assert jax.tree.structure((after, state)) == jax.tree.structure(expected)
    for a, b in zip(jax.tree.leaves((after, state)), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-7)
        one = optimizer.init(x)
        assert optimizer.packed(x, one) is one  # its count looks like its moments
    np.testing.assert_allclose(length, optax.tree.norm(gradient), rtol=1e-6)
    assert optimizer.packed(net, ()) == ()
    assert optimizer.packed(net, start) is start  # on a CPU


def test_a_target_network_moves_a_share_of_the_way(key):
    slow, fast = (Linear.create(3, 2, "torch", key=k) for k in jax.random.split(key))
    moved = moved_towards(slow, fast, 0.25)
    assert isinstance(moved, Linear)
    expected = slow.kernel + 0.25 * (fast.kernel - slow.kernel)
    np.testing.assert_allclose(moved.kernel, expected, rtol=1e-6)
    np.testing.assert_array_equal(moved_towards(slow, fast, 1.0).bias, fast.bias)


@pytest.mark.parametrize("form", ["cpu", "gpu"])
def test_a_step_that_is_not_finite_changes_nothing(form, key):
    """Whatever is broken, the gradient, the loss or the optimiser; array by array and packed."""
    net = MLP.create(2, (3,), 1, key=key, init="torch")
    optimizer = Optimizer(optax.chain(optax.clip_by_global_norm(1.0), optax.adam(0.1)))
    sound = jax.tree.map(jnp.ones_like, net)
    with platform.compiling_for(form):
        state = optimizer.packed(net, optimizer.init(net))
        nan = jax.tree.map(lambda x: x * jnp.nan if x.dtype == jnp.float32 else x, state)
        broken = dataclasses.replace(sound, layers=jax.tree.map(lambda x: x / 0, sound.layers))
        step = jax.jit(optimizer.step)
        for gradient, before, loss in (
            (broken, state, 0.0),
            (sound, state, jnp.inf),
            (sound, nan, 0.0),
        ):
            after, moments, skipped = step(net, gradient, before, loss)
            assert skipped == 1
            jax.tree.map(np.testing.assert_array_equal, (after, moments), (net, before))
        after, _, skipped = step(net, sound, state, 0.0)
    assert skipped == 0
    assert any(map(np.any, jax.tree.leaves(jax.tree.map(jnp.not_equal, after, net))))
