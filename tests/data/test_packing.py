"""What a GPU's loop stores in one array is what a CPU's loop stores in many."""

import jax
import jax.numpy as jnp
import mjxwm_envs as envs
import numpy as np
import pytest

from mjxwm.data import rollout
from mjxwm.data.packing import Packing
from mjxwm.maths import platform


@pytest.mark.parametrize("name", ["cpu", "gpu"])
def test_a_loop_s_trees_come_back_with_their_shapes_and_types(name):
    def step(total, x):
        total = total + x
        tree = {"flag": total > 4, "sum": total, "place": jnp.array([[1, 2], [3, 4]]) + total}
        return total, packing.pack(tree)

    with platform.compiling_for(name):
        packing = Packing(axes=0)
        _, stored = jax.lax.scan(step, jnp.zeros((), jnp.int32), jnp.arange(5))
        found = packing.unpack(stored)
    assert len(jax.tree.leaves(stored)) == (3 if name == "cpu" else 1)
    assert (found["flag"].dtype, found["sum"].dtype) == (bool, jnp.int32)
    np.testing.assert_array_equal(found["flag"], [False, False, False, True, True])
    np.testing.assert_array_equal(found["sum"], [0, 1, 3, 6, 10])
    np.testing.assert_array_equal(found["place"][:, 1, 0], [3, 4, 6, 9, 13])


def test_worlds_unroll_in_the_form_for_a_gpu_as_in_that_for_a_cpu(key):
    """The same steps, ends, start states and metrics, with one array of each kind, no branch."""
    worlds = envs.BatchEnv(envs.make("cartpole-swingup", "mjx", episode_length=6), 3)

    def run(key):
        noise = jax.random.normal(key, (10, 3, 1))
        start = worlds.reset(key, stagger=True)
        return rollout.unroll(worlds, lambda obs, n: jnp.tanh(obs[:, :1] + n), start, noise)

    found, text = {}, {}
    for name in ("cpu", "gpu"):
        with platform.compiling_for(name):
            text[name] = str(jax.make_jaxpr(run)(key))
            found[name] = jax.jit(run)(key)
    assert found["cpu"][1].truncated.any()
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5),
        *(jax.tree.map(_numbers, found[name]) for name in ("cpu", "gpu")),
    )
    assert " cond[" in text["cpu"]
    assert " cond[" not in text["gpu"]


def _numbers(x):
    return jax.random.key_data(x) if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else x
