"""optax on networks: steps are optax's, and networks stay networks."""

import jax
import jax.numpy as jnp
import numpy as np
import optax

from mjxwm.models.nets import Linear
from mjxwm.models.optimizer import Optimizer, moved_towards


def test_a_step_is_that_of_optax_on_the_arrays(key):
    layer = Linear.create(3, 2, "torch", key=key)
    gradient = jax.grad(lambda net: (net(jnp.ones(3)) ** 2).sum())(layer)
    tx = optax.chain(optax.clip_by_global_norm(0.1), optax.adamw(0.01))
    optimizer = Optimizer(tx)
    after, state = optimizer.step(layer, gradient, optimizer.init(layer))

    arrays, slopes = ({"bias": x.bias, "kernel": x.kernel} for x in (layer, gradient))
    steps, expected_state = tx.update(slopes, tx.init(arrays), arrays)
    expected = optax.apply_updates(arrays, steps)
    assert isinstance(after, Linear)
    np.testing.assert_array_equal(after.kernel, expected["kernel"])
    np.testing.assert_array_equal(after.bias, expected["bias"])
    for a, b in zip(jax.tree.leaves(state), jax.tree.leaves(expected_state), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_target_network_moves_a_share_of_the_way(key):
    slow, fast = (Linear.create(3, 2, "torch", key=k) for k in jax.random.split(key))
    moved = moved_towards(slow, fast, 0.25)
    assert isinstance(moved, Linear)
    expected = slow.kernel + 0.25 * (fast.kernel - slow.kernel)
    np.testing.assert_allclose(moved.kernel, expected, rtol=1e-6)
    np.testing.assert_array_equal(moved_towards(slow, fast, 1.0).bias, fast.bias)
