"""PWM as a compiled program, and what it promises to its caller."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import probes
import pytest
from jax.flatten_util import ravel_pytree
from mjxwm_envs.env import Env
from pwm_cases import BLOCKS, TINY, tweak

from mjxwm.algos import pwm
from mjxwm.models.nets import num_parameters


@pytest.fixture(scope="module")
def program():
    """(algorithm, jitted init, jitted iterate, the list of its traces)."""
    algorithm, traces = pwm.make(TINY, probes.make(probes.BOTH)), []

    def iterate(state):
        traces.append(1)
        return algorithm.iterate(state)

    return algorithm, jax.jit(algorithm.init), jax.jit(iterate, donate_argnums=0), traces


@pytest.fixture(scope="module")
def three(program):
    """The state after three iterations, and the metrics of each."""
    _, init, iterate, traces = program
    state, metrics = init(jax.random.key(0)), []
    for _ in range(3):
        state, m = iterate(state)
        metrics.append(m)
    assert len(traces) == 1, "iterate was traced again: what it returns differs from what it takes"
    assert iterate._cache_size() == 1
    return state, metrics


def test_an_iteration_changes_every_network_and_counts_itself(program, three):
    _, init, _, _ = program
    start, (state, metrics) = init(jax.random.key(0)), three
    assert state.iteration == 3
    for name in ("model", "actor", "critic", "target"):
        before, after = (ravel_pytree(getattr(s.learner, name))[0] for s in (start, state))
        assert (before != after).any(), name
        assert jnp.isfinite(after).all(), name
    for m in metrics:
        assert all(jnp.isfinite(x) for x in m.values())
        assert all(x.shape == () and "/" in name for name, x in m.items())


def test_the_replay_holds_what_was_collected(program, three):
    algorithm, _, _, _ = program
    state, _ = three
    assert state.replay.size * TINY.worlds == algorithm.env_steps(3)
    assert state.learner.reward.count == algorithm.env_steps(3)


def test_without_a_key_actions_are_deterministic(program, three):
    algorithm, state = program[0], three[0]
    policy, obs = algorithm.policy(state), jnp.ones((4, 2))
    first, again = algorithm.act(policy, obs), algorithm.act(policy, obs)
    np.testing.assert_array_equal(first, again)
    sampled = algorithm.act(policy, obs, jax.random.key(1))
    assert sampled.shape == first.shape == (4, 1)
    assert (sampled != first).any()


def test_each_world_has_its_share_of_the_noise_in_collection(three):
    state = three[0]
    env = probes.make(probes.BOTH).batch(TINY.worlds)
    steps = state.replay.head + jnp.arange(TINY.unroll)
    noise = {}
    for most in (0.0, 1.0):
        config = tweak(noise_range=(0.01 * most, most))
        after, _ = jax.jit(lambda key, c=config: pwm.collect(c, env, state, key))(jax.random.key(0))
        columns, _ = after.replay.at(steps)
        mean = pwm.learner.act(state.learner, columns.obs, None)
        noise[most] = np.abs(np.arctanh(columns.action) - np.arctanh(mean)).mean(axis=(0, 2))
    assert noise[0.0].max() < 1e-5
    plain = TINY.policy.init_std
    assert noise[1.0][0] < 0.03 * plain
    assert noise[1.0][1] < 0.3 * plain
    assert noise[1.0][2] > 0.3 * plain


@pytest.mark.parametrize("updates", [1, 2])
def test_the_replay_is_written_in_place_by_the_whole_program(updates):
    config = tweak(update_ratio=float(updates))
    assert config.updates == updates
    algorithm = pwm.make(config, probes.make(probes.BOTH))
    state = jax.eval_shape(algorithm.init, jax.random.key(0))
    assert state.replay.rows.shape[0] == BLOCKS
    compiled = jax.jit(algorithm.iterate, donate_argnums=0).lower(state).compile()
    copies = re.findall(rf".*\[{BLOCKS},\S* copy\(.*", compiled.as_text())
    assert not copies
    assert compiled.memory_analysis().temp_size_in_bytes < state.replay.flags.size


class Diverging(probes.Analytic):
    """Physics that is not a number after every second step."""

    def step(self, sim, ctrl):
        after = super().step(sim, ctrl).physics
        broken = jnp.where(after.time == 2, jnp.nan, after.qvel)
        return sim._replace(physics=after._replace(qvel=broken))


class Exposed(probes.Probe):
    """A task that shows the velocity and pays for it, so that NaN would get everywhere."""

    def observe(self, physics):
        return jnp.stack([physics.qvel[0], physics.time])

    def reward(self, before, action, after):
        return after.qvel[0], {"speed": after.qvel[0]}


@pytest.fixture(scope="module")
def seeds():
    """Two seeds side by side, after one iteration in worlds that diverge."""
    env = Env("diverging", Exposed(numbers=probes.ENDLESS), Diverging())
    algorithm = pwm.make(tweak(capacity=200), env)

    def run(key):
        return algorithm.iterate(algorithm.init(key))

    return jax.jit(jax.vmap(run))(jax.random.split(jax.random.key(0), 2))


def test_seeds_under_vmap_learn_apart(seeds):
    state, metrics = seeds
    actions = state.replay.columns(state.replay.rows).action
    for part in (state.learner.actor, state.learner.model, actions):
        flat = np.concatenate([np.reshape(x, (2, -1)) for x in jax.tree.leaves(part)], axis=1)
        assert (flat[0] != flat[1]).mean() > 0.1
    assert metrics["model/loss"].shape == (2,)
    assert num_parameters(state.learner.actor) == 2 * (8 * 6 + 6 + 2 * 6 + 6 + 1 + 1)


def test_nan_never_enters_the_replay_or_the_learner(seeds):
    state, metrics = seeds
    for leaf in jax.tree.leaves((state.replay, state.learner, metrics, state.worlds.state.obs)):
        if jnp.issubdtype(leaf.dtype, jnp.inexact):
            assert jnp.isfinite(leaf).all()
    # Worlds diverge at the second step of an episode, unless the time limit cut it before that.
    blocks = state.replay.size[0] // state.replay.flags.shape[-1]
    invalid = np.asarray(state.replay.flags[:, :blocks] & 4) > 0
    assert 0.3 < invalid.mean() <= 0.5
    # The observation and the action that led there are real and are kept.
    assert (np.asarray(state.replay.rows)[:, :blocks][invalid][:, 1] == 1).all()
    assert (metrics["collect/diverged"] > 0).all()
