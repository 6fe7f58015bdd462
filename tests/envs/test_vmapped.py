"""Several seeds in one program: a `vmap` of it takes one branch for all, and gives each its own."""

import dataclasses

import jax
import jax.numpy as jnp
import mjxwm_envs as envs
import numpy as np
import probes
import pytest
from mjxwm_envs import BatchEnv, vmapped

SEEDS, B = 3, 16


def test_a_batch_has_one_largest_number_and_a_number_alone_is_itself():
    numbers = jnp.array([[2, 7, 1], [3, 4, 4]])
    assert vmapped.largest(jnp.array(5)) == 5
    one_for_all = jax.vmap(jax.vmap(vmapped.largest))(numbers)
    np.testing.assert_array_equal(one_for_all, np.full((2, 3), 7))
    alone = jax.vmap(vmapped.largest, in_axes=0, out_axes=None)(numbers[0])
    assert alone.shape == ()  # no axis of the batch: what branches on it stays a branch


def test_gradients_pass_a_branch_on_the_largest():
    def power(x, number):
        return jax.lax.switch(vmapped.largest(number), [jnp.sin, lambda x: x**2], x)

    gradients = jax.vmap(jax.grad(power))(jnp.array([2.0, 3.0]), jnp.array([0, 1]))
    np.testing.assert_allclose(gradients, [4, 6])


@pytest.fixture(scope="module")
def batch():
    env = probes.make(probes.Numbers(sign=1, by_sign=1, steps=np.inf))
    return BatchEnv(dataclasses.replace(env, task=dataclasses.replace(env.task)), B)


def test_worlds_of_several_seeds_step_as_those_of_each_alone(batch):
    starts = [batch.reset(jax.random.key(seed)) for seed in range(SEEDS)]
    # None, two and all of a seed's worlds are in the last step of their episode: three branches.
    clocks = np.zeros((SEEDS, B), np.int32)
    clocks[1, [3, 9]] = clocks[2] = batch.env.episode_length - 1
    starts = [w._replace(clock=jnp.asarray(c)) for w, c in zip(starts, clocks, strict=True)]
    action = jnp.zeros((B, 1))
    alone = [jax.jit(batch.step)(worlds, action) for worlds in starts]
    stacked = jax.tree.map(lambda *x: jnp.stack(x), *starts)
    step = jax.vmap(batch.step, in_axes=(0, None))
    together = jax.jit(step)(stacked, action)
    assert [int(x[1].truncated.sum()) for x in alone] == [0, 2, B]
    for seed, expected in enumerate(alone):
        jax.tree.map(lambda x, y, s=seed: same(x[s], y), together, expected)
    branches = [e for e in jax.make_jaxpr(step)(stacked, action).eqns if e.primitive.name == "cond"]
    assert [branch.invars[0].aval.shape for branch in branches] == [()]


@pytest.mark.parametrize(
    "engine", ["native", *(pytest.param(name, marks=pytest.mark.slow) for name in ("mjx", "warp"))]
)
def test_an_engine_steps_the_worlds_of_several_seeds_in_one_batch(engine):
    """With the same trajectories as for one seed, resets included."""
    env = envs.make("cartpole-swingup", engine)

    def steps(env, key):
        batch = BatchEnv(env, 4)
        worlds = batch.reset(key)
        worlds = worlds._replace(clock=jnp.arange(4) + env.episode_length - 3)
        action = jnp.full((4, 1), 0.5)
        return jax.lax.scan(lambda w, _: batch.step(w, action), worlds, None, 4)[1]

    keys = jax.random.split(jax.random.key(0), SEEDS)
    together = jax.jit(jax.vmap(lambda key: steps(env.for_worlds(SEEDS * 4), key)))(keys)
    alone = jax.jit(lambda key: steps(env, key))
    for seed, key in enumerate(keys):
        expected = alone(key)
        assert expected.truncated.sum() == 4  # each of four worlds, in some step
        np.testing.assert_allclose(together.next_obs[seed], expected.next_obs, rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(together.truncated[seed], expected.truncated)


def same(x, y):
    if jnp.issubdtype(x.dtype, jax.dtypes.prng_key):
        x, y = jax.random.key_data(x), jax.random.key_data(y)
    np.testing.assert_array_equal(x, y)
