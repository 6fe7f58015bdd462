"""PPO and SAC of brax's parts: our worlds behind brax's interface, and brax's numbers."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import probes
import pytest
from brax_small import SMALL_PPO, SMALL_SAC

pytest.importorskip("brax")

from mjxwm.algos.baselines import ppo, sac
from mjxwm.algos.baselines.config import validate
from mjxwm.algos.baselines.env import BraxWorlds, init_normalizer


def walk(env, worlds, steps, key):
    """The state after each step of random actions, time first."""
    adapter = BraxWorlds(env)
    start = adapter.reset(jax.random.split(key, worlds))
    actions = jax.random.uniform(key, (steps, worlds, adapter.action_size), minval=-1)

    def step(state, action):
        state = adapter.step(state, action)
        return state, state

    return start, jax.lax.scan(step, start, actions)[1]


def test_a_time_limit_is_a_truncation_and_an_end_a_termination(key):
    _, cut = walk(probes.make(probes.ENDLESS), 5, 12, key)
    assert cut.done.sum() > 10
    np.testing.assert_array_equal(cut.done, cut.info["truncation"])
    # Ends after two steps, before the limit of three: but for those whose clock began late.
    _, ended = walk(probes.make(probes.DELAYED), 5, 12, key)
    terminated = ended.info["step"].terminated
    assert terminated.sum() > 20
    np.testing.assert_array_equal(ended.done - ended.info["truncation"], terminated)
    np.testing.assert_array_equal(ended.reward, terminated)


def test_the_observation_is_of_the_fresh_start_and_the_last_one_is_kept(key):
    _, states = walk(probes.make(probes.ENDLESS._replace(clock=1.0)), 4, 12, key)
    done = np.asarray(states.done, bool)
    assert (states.obs[done][:, 1] == 0).all()
    lengths = states.info["step"].episode_length
    np.testing.assert_array_equal(states.info["step"].next_obs[..., 1], lengths)


def test_every_episode_starts_afresh(key):
    # Brax's own wrapper would show each world the sign that it was reset to first, for ever.
    start, states = walk(probes.make(probes.OBSERVATION), 4, 40, key)
    signs = np.asarray(states.obs[..., 0])
    assert (np.abs(signs.mean(axis=0)) < 0.7).all()
    assert start.obs.shape == (4, 2)


def test_raw_and_typed_keys_give_the_same_worlds(key):
    adapter = BraxWorlds(probes.make(probes.OBSERVATION))
    typed = adapter.reset(jax.random.split(key, 6))
    raw = adapter.reset(jax.random.key_data(jax.random.split(key, 6)))
    np.testing.assert_array_equal(typed.obs, raw.obs)


@pytest.fixture
def brax_runs(monkeypatch):
    """Brax 0.14.2 calls a function that jax 0.10 no longer has."""

    def replicated(tree, devices):
        return jax.tree.map(lambda x: jnp.stack([x] * len(devices)), tree)

    monkeypatch.setattr(jax, "device_put_replicated", replicated, raising=False)


def test_ppo_is_brax_s_number_for_number(brax_runs):
    from brax.training.agents.ppo import train as theirs

    config = dataclasses.replace(SMALL_PPO, worlds=8, batch=4, entropy=0.01, lam=0.9, lr=1e-3)
    env, iterations, seed = probes.make(probes.BOTH._replace(clock=1.0)), 3, 7
    adapter = BraxWorlds(env)
    _, (normalizer, policy, value), _ = theirs.train(
        adapter,
        iterations * config.steps_per_iteration,
        wrap_env=False,
        num_envs=config.worlds,
        episode_length=3,
        learning_rate=config.lr,
        entropy_cost=config.entropy,
        discounting=config.gamma,
        unroll_length=config.unroll,
        batch_size=config.batch,
        num_minibatches=config.minibatches,
        num_updates_per_batch=config.epochs,
        normalize_observations=True,
        reward_scaling=config.reward_scaling,
        clipping_epsilon=config.clip,
        gae_lambda=config.lam,
        max_grad_norm=config.max_grad_norm,
        vf_loss_coefficient=config.value_coef,
        network_factory=lambda obs, act, preprocess_observations_fn: ppo.make_networks(
            config, adapter
        ),
        seed=seed,
        run_evals=False,
    )
    # Brax's keys, one after the other.
    key_nets, key = jax.random.split(jax.random.PRNGKey(seed))
    key, key_env, _ = jax.random.split(jax.random.fold_in(key, 0), 3)
    key_policy, key_value = jax.random.split(key_nets)
    parts = ppo.make_parts(config, env)
    state = ppo.init(parts, jax.random.key(0))
    params = state.params.replace(
        policy=parts.nets.policy_network.init(key_policy),
        value=parts.nets.value_network.init(key_value),
    )
    state = state._replace(
        params=params,
        worlds=adapter.reset(jax.random.split(key_env, config.worlds)),
        key=jax.random.split(jax.random.split(key)[0], 1)[0],
    )
    iterate = jax.jit(lambda s: ppo.iterate(parts, s))
    for _ in range(iterations):
        state, _ = iterate(state)
    assert_near((state.normalizer.mean, state.normalizer.std), (normalizer.mean, normalizer.std))
    assert_near((state.params.policy, state.params.value), (policy, value))
    assert far(state.params, params)


@pytest.mark.slow
def test_sac_is_brax_s_number_for_number(brax_runs):
    from brax.training.agents.sac import train as theirs

    config = dataclasses.replace(SMALL_SAC, unroll=6, warmup=32, batch=8, layer_norm=True)
    env, seed = probes.make(probes.BOTH._replace(clock=1.0)), 3
    adapter = BraxWorlds(env)
    steps = (config.warmup_rounds + config.unroll) * config.worlds
    _, (normalizer, policy), _ = theirs.train(
        adapter,
        steps,
        episode_length=3,
        wrap_env_fn=lambda env, **_: env,
        num_envs=config.worlds,
        num_eval_envs=2,
        learning_rate=config.lr,
        discounting=config.gamma,
        seed=seed,
        batch_size=config.batch,
        normalize_observations=True,
        reward_scaling=config.reward_scaling,
        tau=config.tau,
        min_replay_size=config.warmup,
        max_replay_size=config.rows,
        grad_updates_per_step=config.updates_per_round,
        network_factory=lambda **_: sac.make_parts(config, env).nets,
    )
    # Brax's keys, one after the other.
    rng, _ = jax.random.split(jax.random.PRNGKey(seed))
    key_nets, key = jax.random.split(rng)
    key, key_buffer, key_env, _ = jax.random.split(jax.random.fold_in(key, 0), 4)
    key_warm, key = jax.random.split(key)
    parts = sac.make_parts(config, env)
    fresh = sac.init_learner(parts, key_nets)
    state = sac.init(parts, jax.random.key(0))._replace(
        learner=fresh,
        worlds=adapter.reset(jax.random.split(key_env, config.worlds)),
        normalizer=init_normalizer(adapter),
        buffer=parts.buffer.init(jax.random.split(key_buffer, 1)[0]),
        key=jax.random.split(jax.random.split(key)[0], 1)[0],
    )
    key_warm = jax.random.split(key_warm, 1)[0]
    state = jax.jit(lambda s: sac.iterate(parts, sac.warm_up(parts, s, key_warm))[0])(state)
    assert_near((state.normalizer.mean, state.normalizer.std), (normalizer.mean, normalizer.std))
    assert_near(state.learner.policy, policy)
    assert far(state.learner.policy, fresh.policy)


def assert_near(ours, theirs):
    # Two compiled programs may round differently.
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), ours, theirs)


def far(a, b):
    return max(jax.tree.leaves(jax.tree.map(lambda a, b: float(jnp.abs(a - b).max()), a, b))) > 0.01


def test_ppo_starts_with_the_deviation_that_is_set_and_means_near_0(key):
    config = dataclasses.replace(SMALL_PPO, init_std=0.1)
    algorithm = ppo.make(config, probes.make(probes.OBSERVATION))
    policy = algorithm.policy(algorithm.init(key))
    obs = jax.random.normal(key, (2000, 2))
    assert jnp.abs(algorithm.agent.act(policy, obs)).max() < 0.05
    drawn = jnp.arctanh(algorithm.agent.act(policy, obs, key))
    assert drawn.std() == pytest.approx(0.1, rel=0.1)


def test_a_deviation_below_the_least_is_refused():
    with pytest.raises(ValueError, match=r"init_std=0.001 is out of range; it must be above 0.001"):
        validate(dataclasses.replace(SMALL_PPO, init_std=0.001))
