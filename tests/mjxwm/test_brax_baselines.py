"""PPO and SAC of brax's parts: our worlds behind brax's interface, brax's numbers, known values."""

import dataclasses
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import probes
import pytest

from mjxwm import checkpoint, config, scores, train
from mjxwm.algos import brax_baselines
from mjxwm.algos.brax_baselines import PPO, SAC

pytest.importorskip("brax")

from mjxwm.algos.brax_baselines import ppo, sac
from mjxwm.algos.brax_baselines.env import BraxWorlds, init_normalizer

GAMMA = 0.8
SMALL_PPO = PPO(
    env_steps=40 * 16 * 24,
    worlds=16,
    unroll=6,
    batch=16,
    minibatches=4,
    epochs=4,
    gamma=GAMMA,
    lr=5e-3,
    entropy=0.0,
    reward_scaling=1.0,
    policy_layers=(16,),
    value_layers=(32,),
)
SMALL_SAC = SAC(
    env_steps=4096,
    worlds=16,
    unroll=8,
    updates_per_round=4,
    warmup=256,
    batch=64,
    gamma=GAMMA,
    tau=0.05,
    lr=1e-2,
    reward_scaling=20.0,
    layers=(32,),
    layer_norm=False,
)


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

    cfg = dataclasses.replace(SMALL_PPO, worlds=8, batch=4, entropy=0.01, lam=0.9, lr=1e-3)
    env, iterations, seed = probes.make(probes.BOTH._replace(clock=1.0)), 3, 7
    adapter = BraxWorlds(env)
    _, (normalizer, policy, value), _ = theirs.train(
        adapter,
        iterations * cfg.steps_per_iteration,
        wrap_env=False,
        num_envs=cfg.worlds,
        episode_length=3,
        learning_rate=cfg.lr,
        entropy_cost=cfg.entropy,
        discounting=cfg.gamma,
        unroll_length=cfg.unroll,
        batch_size=cfg.batch,
        num_minibatches=cfg.minibatches,
        num_updates_per_batch=cfg.epochs,
        normalize_observations=True,
        reward_scaling=cfg.reward_scaling,
        clipping_epsilon=cfg.clip,
        gae_lambda=cfg.lam,
        max_grad_norm=cfg.max_grad_norm,
        vf_loss_coefficient=cfg.value_coef,
        network_factory=lambda obs, act, preprocess_observations_fn: ppo.make_networks(
            cfg, adapter
        ),
        seed=seed,
        run_evals=False,
    )
    # Brax's keys, one after the other.
    key_nets, key = jax.random.split(jax.random.PRNGKey(seed))
    key, key_env, _ = jax.random.split(jax.random.fold_in(key, 0), 3)
    key_policy, key_value = jax.random.split(key_nets)
    parts = ppo.make_parts(cfg, env)
    state = ppo.init(parts, jax.random.key(0))
    params = state.params.replace(
        policy=parts.nets.policy_network.init(key_policy),
        value=parts.nets.value_network.init(key_value),
    )
    state = state._replace(
        params=params,
        worlds=adapter.reset(jax.random.split(key_env, cfg.worlds)),
        key=jax.random.split(jax.random.split(key)[0], 1)[0],
    )
    iterate = jax.jit(lambda s: ppo.iterate(parts, s))
    for _ in range(iterations):
        state, _ = iterate(state)
    assert_near((state.normalizer.mean, state.normalizer.std), (normalizer.mean, normalizer.std))
    assert_near((state.params.policy, state.params.value), (policy, value))
    assert far(state.params, params)


def test_sac_is_brax_s_number_for_number(brax_runs):
    from brax.training.agents.sac import train as theirs

    cfg = dataclasses.replace(SMALL_SAC, unroll=6, warmup=32, batch=8, layer_norm=True)
    env, seed = probes.make(probes.BOTH._replace(clock=1.0)), 3
    adapter = BraxWorlds(env)
    steps = (cfg.warmup_rounds + cfg.unroll) * cfg.worlds
    _, (normalizer, policy), _ = theirs.train(
        adapter,
        steps,
        episode_length=3,
        wrap_env_fn=lambda env, **_: env,
        num_envs=cfg.worlds,
        num_eval_envs=2,
        learning_rate=cfg.lr,
        discounting=cfg.gamma,
        seed=seed,
        batch_size=cfg.batch,
        normalize_observations=True,
        reward_scaling=cfg.reward_scaling,
        tau=cfg.tau,
        min_replay_size=cfg.warmup,
        max_replay_size=cfg.rows,
        grad_updates_per_step=cfg.updates_per_round,
        network_factory=lambda **_: sac.make_parts(cfg, env).nets,
    )
    # Brax's keys, one after the other.
    rng, _ = jax.random.split(jax.random.PRNGKey(seed))
    key_nets, key = jax.random.split(rng)
    key, key_buffer, key_env, _ = jax.random.split(jax.random.fold_in(key, 0), 4)
    key_warm, key = jax.random.split(key)
    parts = sac.make_parts(cfg, env)
    fresh = sac.init_learner(parts, key_nets)
    state = sac.init(parts, jax.random.key(0))._replace(
        learner=fresh,
        worlds=adapter.reset(jax.random.split(key_env, cfg.worlds)),
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


PROBES = {
    "constant": probes.CONSTANT,
    "observation": probes.OBSERVATION,
    "delayed": probes.DELAYED,
    "action": probes.ACTION,
    "both": probes.BOTH,
    "endless": probes.ENDLESS,
    "three steps": probes.THREE_STEPS,
}
START, SECOND, THIRD, PLUS, MINUS = STATES = ((0, 0), (0, 1), (0, 2), (1, 0), (-1, 0))


def learn(make_parts, init, iterate, act, iterations):
    """Values and deterministic actions in every probe, learned side by side by one program."""

    def run(numbers, key):
        parts = make_parts(probes.make(numbers))
        state, _ = jax.lax.scan(lambda s, _: iterate(parts, s), init(parts, key), None, iterations)
        return act(parts, state, jnp.array(STATES, float))

    numbers = jax.tree.map(lambda *x: jnp.array(x, float), *PROBES.values())
    keys = jax.random.split(jax.random.key(0), len(PROBES))
    learned = jax.device_get(jax.jit(jax.vmap(run))(numbers, keys))
    return {
        (probe, state): [x[i, j] for x in learned]
        for i, probe in enumerate(PROBES)
        for j, state in enumerate(STATES)
    }


@pytest.fixture(scope="module")
def ppo_learned():
    def act(parts, state, obs):
        value = parts.nets.value_network.apply(state.normalizer, state.params.value, obs)
        return value, ppo.make(SMALL_PPO, probes.make(probes.BOTH)).act(state, obs)[:, 0]

    return learn(
        lambda env: ppo.make_parts(SMALL_PPO, env),
        ppo.init,
        ppo.iterate,
        act,
        SMALL_PPO.iterations,
    )


@pytest.mark.parametrize(
    ("probe", "state", "truth"),
    [
        # One step of reward 1, then nothing: the end must not be bootstrapped from.
        ("constant", START, 1.0),
        ("observation", PLUS, 1.0),
        ("observation", MINUS, -1.0),
        ("delayed", START, GAMMA),
        ("delayed", SECOND, 1.0),
        # Cut after 3 steps, but not ended: the reward goes on for ever.
        ("endless", START, 1 / (1 - GAMMA)),
        # Ended after 3 steps: a finite sum.
        ("three steps", START, 1 + GAMMA + GAMMA**2),
        ("three steps", SECOND, 1 + GAMMA),
        ("three steps", THIRD, 1.0),
    ],
)
def test_ppo_learns_the_value(ppo_learned, probe, state, truth):
    assert abs(ppo_learned[probe, state][0] - truth) < 0.1


BEST = [("action", START, 0.5), ("both", PLUS, 0.5), ("both", MINUS, -0.5)]


@pytest.mark.parametrize(("probe", "state", "truth"), BEST)
def test_ppo_learns_the_best_action(ppo_learned, probe, state, truth):
    assert abs(ppo_learned[probe, state][1] - truth) < 0.1


@pytest.fixture(scope="module")
def sac_learned():
    def act(parts, state, obs):
        action = sac.make(SMALL_SAC, probes.make(probes.BOTH)).act(state, obs)
        values = parts.nets.q_network.apply(state.normalizer, state.learner.critics, obs, action)
        alpha = jnp.broadcast_to(jnp.exp(state.learner.log_alpha), len(obs))
        return values.min(axis=1) / SMALL_SAC.reward_scaling, action[:, 0], alpha

    return learn(
        lambda env: sac.make_parts(SMALL_SAC, env),
        sac.init,
        sac.iterate,
        act,
        SMALL_SAC.iterations,
    )


@pytest.mark.parametrize(
    ("probe", "state", "rewards", "bonus"),
    [
        ("constant", START, 1.0, 0.0),
        ("observation", PLUS, 1.0, 0.0),
        ("observation", MINUS, -1.0, 0.0),
        ("delayed", START, GAMMA, GAMMA),
        ("delayed", SECOND, 1.0, 0.0),
        ("endless", START, 1 / (1 - GAMMA), GAMMA / (1 - GAMMA)),
        ("three steps", START, 1 + GAMMA + GAMMA**2, GAMMA + GAMMA**2),
        ("three steps", SECOND, 1 + GAMMA, GAMMA),
        ("three steps", THIRD, 1.0, 0.0),
    ],
)
def test_sac_learns_the_value(sac_learned, probe, state, rewards, bonus):
    # Where actions are free the best policy is uniform on [-1, 1]: each later step is worth the
    # temperature times ln 2 more.
    value, _, alpha = sac_learned[probe, state]
    entropy = alpha * np.log(2) / SMALL_SAC.reward_scaling
    assert abs(value - (rewards + bonus * entropy)) < 0.1


@pytest.mark.parametrize(("probe", "state", "truth"), BEST)
def test_sac_learns_the_best_action(sac_learned, probe, state, truth):
    assert abs(sac_learned[probe, state][1] - truth) < 0.1


def test_every_env_step_is_counted(key):
    # Episodes of three steps: as many steps as the budget says, the warm-up included.
    env = probes.make(probes.ENDLESS)
    for algorithm, worlds in ((ppo.make(SMALL_PPO, env), 16), (sac.make(SMALL_SAC, env), 16)):
        _, metrics = jax.jit(algorithm.iterate)(jax.jit(algorithm.init)(key))
        steps = algorithm.env_steps(1) - algorithm.env_steps(0)
        # The first and the last episode of a world are cut by the iteration's ends.
        assert abs(3 * metrics["collect/episodes"] - steps) <= 3 * worlds
        assert metrics["collect/return_sum"] == metrics["collect/length_sum"]
    assert ppo.make(SMALL_PPO, env).env_steps(0) == 0
    assert sac.make(SMALL_SAC, env).env_steps(0) == SMALL_SAC.warmup
    assert ppo.make(SMALL_PPO, env).env_steps(SMALL_PPO.iterations) == SMALL_PPO.env_steps


TINY = {
    "ppo": PPO(
        env_steps=3 * 64,
        worlds=8,
        unroll=4,
        batch=8,
        minibatches=2,
        epochs=1,
        policy_layers=(8,),
        value_layers=(8,),
    ),
    "sac": SAC(env_steps=5 * 64, worlds=8, warmup=64, updates_per_round=1, batch=8, layers=(8,)),
}


@pytest.fixture
def probe_env(monkeypatch):
    """Runs are of a probe, which compiles quickly."""
    monkeypatch.setattr(train, "make_env", lambda cfg: probes.make(probes.BOTH))


@pytest.mark.parametrize("name", TINY)
def test_a_checkpoint_holds_all_that_matters(name, probe_env, tmp_path, key):
    trainer = train.build(train.Config(algorithm=name, algo=TINY[name]))
    state, _ = trainer.iterate(trainer.init(key))
    checkpoint.save(tmp_path, 1, state)
    restored = checkpoint.restore(tmp_path, jax.eval_shape(trainer.algorithm.init, key))
    straight, resumed = (trainer.iterate(s)[0] for s in (state, restored))
    jax.tree.map(lambda a, b: np.testing.assert_array_equal(bits(a), bits(b)), straight, resumed)


def bits(x):
    return jax.random.key_data(x) if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else x


def test_a_run_is_read_and_evaluated_later(probe_env, tmp_path):
    cfg = train.Config(
        algorithm="ppo", algo=TINY["ppo"], evaluations=0, episodes=2, checkpoints=0, video=False
    )
    run = train.new_run(cfg, "ppo", "run", tmp_path)
    result = train.train(cfg, run)
    assert config.load_yaml(train.Config, run.config) == cfg
    _, evaluation, iteration = train.evaluate_run(run)
    assert iteration == result.iteration == 3
    np.testing.assert_array_equal(evaluation.episode_return, result.evaluation.episode_return)
    assert scores.read(run).end_return == pytest.approx(evaluation.episode_return.mean())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (PPO(worlds=100), "batch=512 x minibatches=16 = 8192 segments are not a multiple of"),
        (PPO(gamma=1.5), r"gamma=1.5 is out of range; it must be in \[0, 1\]"),
        (PPO(max_grad_norm=0.0), "max_grad_norm=0.0 is out of range"),
        (PPO(policy_layers=(8, 0)), "policy_layers=.* sizes must be above 0"),
        (PPO(entropy=-1.0), "entropy=-1.0 is out of range; it must not be negative"),
        (SAC(warmup=0), "warmup=0 is out of range; it must be above 0"),
        (SAC(capacity=10), "capacity=10 is out of range; it must be at least worlds=128"),
    ],
)
def test_a_value_out_of_range_is_named(settings, message):
    with pytest.raises(ValueError, match=message):
        brax_baselines.validate(settings)


def test_without_brax_the_remedy_is_named(monkeypatch):
    monkeypatch.delitem(sys.modules, "mjxwm.algos.brax_baselines.ppo")
    monkeypatch.setitem(sys.modules, "brax.envs.base", None)
    monkeypatch.delitem(sys.modules, "mjxwm.algos.brax_baselines.env")
    with pytest.raises(ValueError, match=r"pip install 'mjxwm\[baselines\]'"):
        brax_baselines.make_ppo(SMALL_PPO, probes.make(probes.BOTH))


def test_the_rest_does_without_brax():
    code = "import mjxwm.cli, mjxwm.train, sys; print([m for m in sys.modules if 'brax.' in m])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
