"""PWM: its policy gradient, its bookkeeping, and what it promises to its caller."""

import dataclasses
import re

import jax
import jax.numpy as jnp
import numpy as np
import probes
import pytest
from jax.flatten_util import ravel_pytree

from envs.core import Env
from mjxwm import actor_critic, world_model
from mjxwm.algos import pwm
from mjxwm.nets import num_parameters
from mjxwm.ops import moments, returns

# A capacity that nothing else has, so that the buffer is recognisable in a compiled program.
ROWS = 4 * 24_683
TINY = pwm.Config(
    env_steps=10 * 3 * 4,
    worlds=3,
    unroll=4,
    warmup=2,
    capacity=3 * ROWS,
    update_ratio=2.0,
    batch=4,
    horizon=3,
    imagine_batch=5,
    imagine_horizon=3,
    critic_steps=2,
    gamma=0.9,
    model=world_model.Config(latent=8, simnorm_group=4, encoder=(6,), hidden=(7,)),
    policy=actor_critic.Config(actor=(6,), critic=(6,), critics=2),
)


def tweak(**changes) -> pwm.Config:
    return dataclasses.replace(TINY, **changes)


def noisy(tree, key):
    """Weights of size 0.5: no zeros, nothing so small that a gradient through it is noise."""
    flat, unravel = ravel_pytree(tree)
    return unravel(flat + 0.5 * jax.random.normal(key, flat.shape))


# The gradient of the policy


@pytest.fixture(scope="module")
def imagination():
    """Model, actor, critics, start and noise in double precision."""
    with jax.enable_x64(True):
        keys = jax.random.split(jax.random.key(0), 8)
        model = world_model.WorldModel(TINY.model, 2, 1, key=keys[0])
        actor = actor_critic.Actor(TINY.policy, 8, 1, key=keys[1])
        critics = actor_critic.make_critics(TINY.policy, 8, key=keys[2])
        nets = [noisy(n, k) for n, k in zip((model, actor, critics), keys[3:6], strict=True)]
        z = nets[0].encode(jax.random.normal(keys[6], (5, 2)))
        yield (*nets, z, jax.random.normal(keys[7], (3, 5, 1)))


def policy_gradient(imagination, detach: bool):
    model, actor, critics, z, noise = imagination
    config, (flat, unravel) = tweak(detach=detach), ravel_pytree(actor)

    def loss(flat):
        return pwm.actor_loss(config, unravel(flat), model, critics, z, noise)[0]

    return flat, unravel, jax.jit(loss), jax.jit(jax.grad(loss))(flat)


def slope(f, x, direction, h=1e-5):
    return (f(x + h * direction) - f(x - h * direction)) / (2 * h)


def directions(size):
    return jax.random.normal(jax.random.key(9), (5, size))


def test_the_policy_gradient_is_the_slope_of_the_imagined_return(imagination):
    with jax.enable_x64(True):
        flat, _, loss, gradient = policy_gradient(imagination, detach=False)
        assert flat.dtype == jnp.float64
        for d in directions(flat.size):
            # Central differences with h = 1e-5: errors of h^2 and of rounding over h, near 1e-10.
            np.testing.assert_allclose(gradient @ d, slope(loss, flat, d), rtol=1e-6)


def test_the_detached_gradient_is_the_slope_with_what_the_policy_sees_held_fixed(imagination):
    model, _, critics, z, noise = imagination
    with jax.enable_x64(True):
        flat, unravel, loss, gradient = policy_gradient(imagination, detach=True)
        seen = pwm.actor_loss(TINY, unravel(flat), model, critics, z, noise)[1][0].z

        @jax.jit
        def cut(flat):
            """The same rollout; the policy looks at what it saw before it was changed."""
            actor, state, rewards, going_on = unravel(flat), z, [], []
            for t in range(TINY.imagine_horizon):
                action = actor.sample(seen[t], noise[t])
                rewards.append(model.reward(state, action))
                state = model.predict(state, action)
                going_on.append(jax.nn.sigmoid(model.continue_logit(state)))
            last = actor_critic.value(critics, state) * TINY.value_unit
            discount = TINY.gamma * jnp.stack(going_on)
            return -returns.discounted_sum(jnp.stack(rewards), discount, last).mean()

        np.testing.assert_allclose(cut(flat), loss(flat), rtol=1e-12)
        for d in directions(flat.size):
            np.testing.assert_allclose(gradient @ d, slope(cut, flat, d), rtol=1e-6)


def test_detaching_changes_the_gradient_and_not_the_loss(imagination):
    with jax.enable_x64(True):
        flat, _, loss, whole = policy_gradient(imagination, detach=False)
        _, _, detached_loss, detached = policy_gradient(imagination, detach=True)
        assert loss(flat) == detached_loss(flat)
        # Feedback is faint in so small a model, but far above rounding in double precision.
        assert jnp.linalg.norm(whole - detached) > 1e-5 * jnp.linalg.norm(whole)


class Still:
    """A model in which nothing happens, nothing is earned and nothing ends."""

    def predict(self, z, action):
        return z

    def reward(self, z, action):
        return jnp.zeros(z.shape[:-1])

    def continue_logit(self, z):
        return jnp.full(z.shape[:-1], jnp.inf)


def constant_critics(value: float):
    critics = actor_critic.make_critics(TINY.policy, 8, key=jax.random.key(0))
    critics = jax.tree.map(jnp.zeros_like, critics)
    last = critics.net.layers[-1].bias[...]
    return jax.tree.map(lambda x: x + value if x is last else x, critics)


@pytest.mark.parametrize("horizon", [1, 4, 16])
def test_the_terminal_value_weighs_gamma_to_the_horizon(horizon):
    actor = actor_critic.Actor(TINY.policy, 8, 1, key=jax.random.key(0))
    noise = jnp.zeros((horizon, 2, 1))
    args = (TINY, actor, Still(), constant_critics(3.0), jnp.ones((2, 8)), noise)
    loss, (_, total) = pwm.actor_loss(*args)
    expected = 0.9**horizon * 3.0 * TINY.value_unit
    np.testing.assert_allclose(-loss, expected, rtol=1e-5)
    np.testing.assert_allclose(total, expected, rtol=1e-5)


# Bookkeeping


def test_a_value_of_one_stands_for_a_reward_of_one_for_ever():
    assert tweak(gamma=0.99).value_unit == pytest.approx(100)
    assert tweak(gamma=0.0).value_unit == 1


@pytest.mark.parametrize("field", ["worlds", "unroll", "update_ratio"])
def test_updates_follow_the_data(field):
    config = pwm.Config()
    assert config.updates == round(64 * 64 * 16 / (256 * 16))
    double = dataclasses.replace(config, **{field: 2 * getattr(config, field)})
    assert double.updates == 2 * config.updates
    # Larger updates are fewer.
    assert dataclasses.replace(config, batch=512).updates == config.updates // 2


def test_the_budget_counts_every_env_step():
    algorithm = pwm.make(TINY, probes.make(probes.BOTH))
    assert algorithm.env_steps(0) == TINY.warmup * 12
    assert algorithm.env_steps(algorithm.iterations) == TINY.env_steps


def test_a_constant_reward_is_a_number_of_moderate_size():
    for reward in (1.0, -3.0, 100.0):
        seen = moments.update(moments.init(), jnp.full(50, reward))
        learner = pwm.Learner(*[None] * len(pwm.Learner._fields))._replace(reward=seen)
        assert abs(reward / pwm.reward_scale(TINY, learner)) <= 10.001


def test_the_defaults_are_valid():
    pwm.validate(pwm.Config())


ABOVE_ZERO = [
    *("env_steps", "worlds", "unroll", "warmup", "batch", "horizon", "imagine_batch"),
    *("imagine_horizon", "model_steps", "critic_steps", "update_ratio"),
    *("model_lr", "actor_lr", "critic_lr"),
]


@pytest.mark.parametrize("field", ABOVE_ZERO)
def test_what_must_be_positive_is_refused_by_name(field):
    with pytest.raises(ValueError, match=rf"^{field}=0 is out of range; it must be above 0$"):
        pwm.validate(tweak(**{field: 0}))


@pytest.mark.parametrize("field", ["gamma", "lam", "target_tau"])
@pytest.mark.parametrize("value", [-0.1, 1.5])
def test_what_must_be_a_share_is_refused_by_name(field, value):
    with pytest.raises(ValueError, match=rf"{field}={value} is out of range; .* \[0, 1\]"):
        pwm.validate(tweak(**{field: value}))


def test_a_warmup_shorter_than_a_window_is_refused_with_both_remedies():
    with pytest.raises(ValueError, match=r"raise warmup or lower horizon"):
        pwm.validate(tweak(warmup=1, horizon=4))
    pwm.validate(tweak(warmup=1, horizon=3))


def test_a_capacity_below_one_window_is_refused_with_the_least():
    with pytest.raises(ValueError, match=r"capacity=11 is out of range; it must be at least 12"):
        pwm.validate(tweak(capacity=11))


# The compiled program


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
    obs = jnp.ones((4, 2))
    first, again = algorithm.act(state, obs), algorithm.act(state, obs)
    np.testing.assert_array_equal(first, again)
    sampled = algorithm.act(state, obs, jax.random.key(1))
    assert sampled.shape == first.shape == (4, 1)
    assert (sampled != first).any()


def test_the_replay_is_written_in_place_by_the_whole_program(program):
    algorithm, init, _, _ = program
    state = jax.eval_shape(init, jax.random.key(0))
    assert state.replay.obs.shape[0] == ROWS
    compiled = jax.jit(algorithm.iterate, donate_argnums=0).lower(state).compile()
    copies = re.findall(rf".*\[{ROWS},\S* copy\(.*", compiled.as_text())
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
    for part in (state.learner.actor, state.learner.model, state.replay.action):
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
    rows = state.replay.size[0]
    invalid = np.asarray(state.replay.flags[:, :rows] & 4) > 0
    assert 0.3 < invalid.mean() <= 0.5
    # The observation and the action that led there are real and are kept.
    assert (np.asarray(state.replay.obs)[:, :rows][invalid][:, 1] == 1).all()
    assert (metrics["collect/diverged"] > 0).all()
