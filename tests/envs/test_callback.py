"""Host functions inside compiled programs: both ways of calling them agree."""

import jax
import jax.numpy as jnp
import mjxwm_envs as envs
import numpy as np
import pytest
from mjxwm_envs.engines import callback


def COPIED(*args, cpu, default):  # noqa: N802
    """The choice that a program on a GPU makes."""
    return default(*args)


@pytest.fixture(params=["direct", "copied"])
def way(request, monkeypatch):
    """The program's own buffers, as on a CPU, or copies, as where the program is on a GPU."""
    if request.param == "copied":
        monkeypatch.setattr(jax.lax, "platform_dependent", COPIED)
    return request.param


def test_a_host_function_of_a_tree(way):
    """Under vmap it is called once, with all rows."""
    seen = []

    def fill(out, fields, x):
        seen.append(x.shape)
        out["sum"][...] = fields["a"] + x.sum(-1)
        out["twice"][...] = 2 * x

    shapes = {
        "sum": jax.ShapeDtypeStruct((), jnp.float32),
        "twice": jax.ShapeDtypeStruct((3,), jnp.float32),
    }

    def one(a, x):
        return callback.on_host(fill, shapes, {"a": a}, x)

    a, x = jnp.arange(4.0), jnp.arange(12.0).reshape(4, 3)
    found = jax.jit(jax.vmap(one))(a, x)
    np.testing.assert_array_equal(found["sum"], a + x.sum(-1))
    np.testing.assert_array_equal(found["twice"], 2 * x)
    assert seen == [(4, 3)]


def test_the_native_engine_steps_either_way(monkeypatch):
    """Equal to the last bit."""

    def stepped():
        env = envs.make("hopper", "native")
        states = jax.jit(jax.vmap(env.reset))(jax.random.split(jax.random.key(0), 3))
        for _ in range(3):
            states = jax.jit(jax.vmap(env.step))(states, jnp.full((3, env.action_size), 0.3))
        return np.asarray(states.sim.hidden)

    direct = stepped()
    monkeypatch.setattr(jax.lax, "platform_dependent", COPIED)
    np.testing.assert_array_equal(stepped(), direct)
