"""Worlds stepped together do not see one another, on any engine and in any arrangement."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from engine_cases import ENGINES, B, Bouncer, actions, bouncer_starts, compiled
from mjxwm_envs.env import load_model


@pytest.mark.parametrize("name", ENGINES)
def test_reset_where_replaces_masked_worlds_and_touches_no_other(name):
    engine, reset, step = compiled(name, Bouncer(), derived=True)
    sim = step(reset(bouncer_starts()), actions(1, 1)[0])
    done = jnp.arange(B) < 3

    def poison(x):  # all bits set are NaN for floats and for native's bit pairs alike
        bad = jnp.array(jnp.nan if jnp.issubdtype(x.dtype, jnp.floating) else 2**32 - 1, x.dtype)
        return jnp.where(done.reshape(-1, *[1] * (x.ndim - 1)), bad, x)

    start = jax.tree.map(lambda x: x[::-1], bouncer_starts())
    result = jax.jit(jax.vmap(engine.reset_where))(done, start, jax.tree.map(poison, sim))
    fresh = reset(start)
    for got, new, old in zip(*map(jax.tree.leaves, (result, fresh, sim)), strict=True):
        np.testing.assert_array_equal(got[3:], old[3:])
        # Two compilations of one solve in float32: sqrt(eps), see test_engines.
        np.testing.assert_allclose(got[:3], new[:3], rtol=3e-4, atol=6e-4)
    assert float(jnp.abs(result.physics.ctrl[:3]).max()) == 0


@pytest.mark.parametrize("name", ["native", "mjx"])
def test_a_reset_does_not_depend_on_what_was_computed_before(name):
    # Engines keep scratch buffers; a fresh world must show nothing of the worlds before it.
    _, reset, step = compiled(name, Bouncer(), derived=True)
    first = reset(bouncer_starts())
    step(first, actions(1, 1)[0])
    for a, b in zip(*map(jax.tree.leaves, (first, reset(bouncer_starts()))), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", ["native", "warp"])
def test_one_world_and_nested_vmap_give_what_a_flat_vmap_gives(name):
    engine, reset, step = compiled(name, Bouncer(), derived=True)
    start, ctrl = bouncer_starts(), actions(1, 1)[0]
    sim = reset(start)
    flat = step(sim, ctrl).physics.qpos
    one = jax.jit(engine.step)(jax.tree.map(lambda x: x[1], sim), ctrl[1]).physics.qpos
    nested = jax.tree.map(lambda x: x.reshape(2, B // 2, *x.shape[1:]), (sim, ctrl))
    two = jax.jit(jax.vmap(jax.vmap(engine.step)))(*nested).physics.qpos
    np.testing.assert_allclose(one, flat[1], atol=5e-7)
    np.testing.assert_allclose(two.reshape(flat.shape), flat, atol=5e-7)


def test_a_diverged_world_shows_as_nan_and_leaves_the_others_alone():
    for name in ENGINES:
        _, reset, step = compiled(name, Bouncer(), derived=True)
        start, ctrl = bouncer_starts(), actions(1, 1)[0]
        clean = step(reset(start), ctrl).physics.qpos
        bad = start._replace(qvel=start.qvel.at[2].set(jnp.nan))
        qpos = step(reset(bad), ctrl).physics.qpos
        assert not np.isfinite(qpos[2]).all(), name
        others = np.arange(B) != 2
        np.testing.assert_allclose(qpos[others], clean[others], atol=5e-7, err_msg=name)


def test_buffers_are_sized_within_a_program_that_is_being_traced():
    # As an evaluation does: it makes its worlds while it is compiled.
    engine = ENGINES["warp"](load_model(Bouncer()), 2)
    traced = []

    def program(x):
        traced.append(engine.for_worlds(3))
        return x

    jax.eval_shape(program, 1.0)
    leaves = [x for x in jax.tree.leaves(traced[0]._template) if isinstance(x, jax.Array)]
    assert not any(isinstance(x, jax.core.Tracer) for x in leaves)
