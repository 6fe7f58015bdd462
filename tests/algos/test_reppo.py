"""REPPO's targets and losses, against what they are by hand."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import probes
import pytest

from mjxwm import ConfigError
from mjxwm.algos import reppo
from mjxwm.maths import hl_gauss
from mjxwm.types import Transition

NETS = reppo.NetworkConfig(actor=(8,), encoder=(8,), features=6, head=(8,), bins=41)
CONFIG = reppo.Config(
    worlds=2, unroll=3, minibatches=1, epochs=1, gamma=0.9, lam=0.6, reward_scaling=0.5,
    min_value=-10, max_value=10, entropy=0.2, networks=NETS,
)  # fmt: skip
TX = reppo.learner.optimizers(CONFIG)
T, B, OBS, ACTIONS = 3, 2, 2, 1


@pytest.fixture(scope="module")
def learner():
    init = jax.jit(lambda key: reppo.learner.init(CONFIG, TX, OBS, ACTIONS, key))
    return init(jax.random.key(0))


def trajectory(**changes):
    rng = np.random.default_rng(0)

    def normal(*shape):
        return jnp.asarray(rng.standard_normal(shape), jnp.float32)

    none = jnp.zeros((T, B), bool)
    steps = Transition(
        obs=normal(T, B, OBS), action=jnp.tanh(normal(T, B, ACTIONS)), reward=normal(T, B),
        terminated=none, truncated=none, valid=~none, next_obs=normal(T, B, OBS),
    )  # fmt: skip
    return steps._replace(**changes)


def at(t, world):
    """True at one step of one world."""
    return jnp.zeros((T, B), bool).at[t, world].set(True)


NOISE = jax.random.normal(jax.random.key(1), (T, B, ACTIONS))
# Compiled once for all tests: the sizes are the same.
targets = jax.jit(lambda learner, steps: reppo.targets(CONFIG, learner, steps, NOISE))
batch = jax.jit(lambda learner, steps: reppo.batch(CONFIG, learner, steps, NOISE))
critic_loss = jax.jit(lambda critic, data: reppo.critic_loss(CONFIG, critic, data))


@functools.partial(jax.jit, static_argnums=0)
def policy_loss(config, policy, critic, data):
    """((loss, metrics), gradient)."""

    def loss(policy):
        return reppo.policy_loss(config, policy, critic, data, NOISE)

    return jax.value_and_grad(loss, has_aux=True)(policy)


@jax.jit
def next_values(learner, steps):
    """Q(s', a') and alpha log pi(a'|s') of the actions that the noise gives after each step."""
    action, log_density = learner.policy.actor(steps.next_obs).sample(NOISE)
    logits = learner.critic(steps.next_obs, action).logits
    value = hl_gauss.decode(logits, CONFIG.min_value, CONFIG.max_value)
    return value, CONFIG.entropy * log_density


def plain_targets(learner, steps):
    """By hand, world by world, from the last step on."""
    q, penalty, steps = jax.device_get((*next_values(learner, steps), steps))
    target = np.zeros((T, B))
    for b in range(B):
        after = q[-1, b]  # the last step bootstraps
        for t in reversed(range(T)):
            mixed = (1 - CONFIG.lam) * q[t, b] + CONFIG.lam * after
            if steps.truncated[t, b] or (t + 1 < T and not steps.valid[t + 1, b]):
                mixed = q[t, b]
            going_on = 0.0 if steps.terminated[t, b] else CONFIG.gamma
            reward = CONFIG.reward_scaling * float(steps.reward[t, b])
            target[t, b] = after = reward + going_on * (mixed - penalty[t, b])
    return target


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"terminated": at(1, 0)},
        {"truncated": at(1, 0)},
        {"truncated": at(2, 1)},
        {"truncated": at(1, 0), "valid": ~at(1, 0)},
    ],
    ids=["goes on", "terminated", "truncated", "truncated at the last step", "diverged"],
)
def test_targets_are_soft_lambda_returns(learner, changes):
    """A termination is worth its reward alone; a time limit is none, and bootstraps.

    So does the step before one whose physics diverged.
    """
    steps = trajectory(**changes)
    target, features = targets(learner, steps)
    expected = np.where(steps.valid, plain_targets(learner, steps), target)
    np.testing.assert_allclose(target, expected, rtol=1e-4, atol=1e-5)
    assert features.shape == (T, B, NETS.features)
    if "terminated" in changes:
        np.testing.assert_allclose(target[1, 0], 0.5 * steps.reward[1, 0], rtol=1e-6)


def test_a_step_that_is_not_valid_changes_nothing(learner):
    """Neither do its numbers, NaN included: its weight is 0 in both losses."""
    losses = []
    for odd in (0.5, jnp.nan):
        steps = trajectory(valid=~at(1, 0), truncated=at(1, 0))
        steps = steps._replace(next_obs=steps.next_obs.at[1, 0].set(odd))
        data = batch(learner, steps)
        of_policy = policy_loss(CONFIG, learner.policy, learner.critic, data)
        losses.append((critic_loss(learner.critic, data)[0], of_policy[0][0]))
    assert np.isfinite(losses).all()
    np.testing.assert_allclose(*losses, rtol=1e-6)


def test_the_prediction_leaves_out_terminations(learner):
    """Nothing comes after one; after a time limit something does."""

    def missed(**changes):
        data = batch(learner, trajectory(**changes))
        return critic_loss(learner.critic, data)[1]["critic/prediction"]

    everything = missed()
    assert missed(terminated=at(1, 0)) < everything
    np.testing.assert_allclose(missed(truncated=at(1, 0)), everything, rtol=1e-5)


def test_the_divergence_is_that_of_samples_of_squashed_actions():
    old = reppo.Gaussian(jnp.array([0.3, -0.5]), jnp.array([0.4, 0.9]))
    new = reppo.Gaussian(jnp.array([0.1, 0.2]), jnp.array([0.6, 0.5]))
    noise = jax.random.normal(jax.random.key(0), (100_000, 2))
    _, log_old = old.sample(noise)
    # The same actions, as noise of the other policy.
    _, log_new = new.sample((old.mean + old.std * noise - new.mean) / new.std)
    np.testing.assert_allclose((log_old - log_new).mean(), old.divergence(new), rtol=0.02)
    assert float(old.divergence(old)) == 0


def test_log_densities_integrate_to_one():
    gaussian = reppo.Gaussian(jnp.array([0.4]), jnp.array([0.7]))
    action = jnp.linspace(-0.9999, 0.9999, 200_001)[:, None]
    _, log_density = gaussian.sample((jnp.arctanh(action) - gaussian.mean) / gaussian.std)
    np.testing.assert_allclose(jnp.exp(log_density).mean() * 2, 1, rtol=1e-3)


def far_from(data, policy):
    """The batch with another policy that collected, beyond the bound in the first world alone."""
    now = policy.actor(data.x)
    apart = jnp.array([1.0, 0.0])[:, None]
    return data._replace(old=now._replace(mean=now.mean + apart * now.std))


def test_states_beyond_the_bound_only_come_back(learner):
    """There the critic has no say, in the others the divergence none."""
    data = far_from(batch(learner, trajectory()), learner.policy)
    (_, metrics), _ = policy_loss(CONFIG, learner.policy, learner.critic, data)
    assert metrics["actor/held"] == 0.5

    def slope(critic, beta, weight):
        policy = learner.policy._replace(log_kl=jnp.log(beta))
        weighted = data._replace(weight=jnp.broadcast_to(weight, (T, B)))
        return jax.device_get(policy_loss(CONFIG, policy, critic, weighted)[1].actor)

    other = jax.tree.map(lambda x: 2 * x + 0.1, learner.critic)
    beyond, within = jnp.array([1.0, 0.0]), jnp.array([0.0, 1.0])

    def same(a, b):
        pairs = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
        return all(np.allclose(x, y, rtol=1e-4, atol=1e-7) for x, y in pairs)

    assert same(slope(learner.critic, 0.1, beyond), slope(other, 0.1, beyond))
    assert not same(slope(learner.critic, 0.1, beyond), slope(learner.critic, 0.2, beyond))
    assert not same(slope(learner.critic, 0.1, within), slope(other, 0.1, within))
    assert same(slope(learner.critic, 0.1, within), slope(learner.critic, 0.2, within))


@pytest.mark.parametrize("far", [False, True])
@pytest.mark.parametrize("wanted", [-100.0, 100.0])
def test_multipliers_move_towards_their_constraints(learner, far, wanted):
    """Too little entropy raises its weight, too much lowers it; likewise too large a divergence.

    The gradient is that of a descent: below 0 raises.
    """
    config = dataclasses.replace(CONFIG, target_entropy=wanted)
    data = batch(learner, trajectory())
    data = far_from(data, learner.policy) if far else data
    _, slope = policy_loss(config, learner.policy, learner.critic, data)
    assert (slope.log_entropy < 0) == (wanted > 0)
    assert (slope.log_kl < 0) == far


LONG = dataclasses.replace(CONFIG, epochs=200, lr=3e-3)


@pytest.fixture(scope="module")
def learn():
    """200 epochs on the same steps."""
    return jax.jit(functools.partial(reppo.learn, LONG, reppo.learner.optimizers(LONG)))


def test_learning_moves_policy_and_critic_towards_what_the_losses_want(learner, learn):
    """The critic's error falls, and the policy stays near the old one."""
    data = batch(learner, trajectory())
    new, metrics = learn(learner, data, jax.random.key(3))
    before, after = (
        critic_loss(critic, data)[1]["critic/error"] for critic in (learner.critic, new.critic)
    )
    assert after < 0.7 * before
    assert 0 < metrics["actor/kl"] < 3 * CONFIG.kl_bound
    assert metrics["guard/critic"] == metrics["guard/actor"] == 0


def test_multipliers_have_a_learning_rate_of_their_own(learner):
    """The first step of Adam is as long as the rate, whatever the gradient."""
    config = dataclasses.replace(CONFIG, lr=1e-3, multiplier_lr=0.05)
    tx = reppo.learner.optimizers(config).policy
    slope = jax.tree.map(jnp.ones_like, learner.policy)
    new, _, _ = jax.jit(lambda policy: tx.step(policy, slope, tx.init(policy)))(learner.policy)
    moved = jax.tree.map(np.subtract, *jax.device_get((learner.policy, new)))
    np.testing.assert_allclose([moved.log_entropy, moved.log_kl], 0.05, rtol=1e-3)
    for x in jax.tree.leaves(moved.actor):
        np.testing.assert_allclose(x, 1e-3, rtol=1e-2)


def test_updates_that_are_not_finite_are_skipped_and_counted(learner, learn):
    """And nothing changes, the multipliers neither."""
    data = batch(learner, trajectory())
    data = data._replace(x=data.x.at[0, 0].set(jnp.nan))
    new, metrics = learn(learner, data, jax.random.key(3))
    assert metrics["guard/critic"] == metrics["guard/actor"] == LONG.updates
    jax.tree.map(np.testing.assert_array_equal, new, learner)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"unroll": 8, "minibatches": 3}, "unroll=8 is not a multiple of minibatches=3"),
        ({"min_value": 5, "max_value": 5}, "min_value=5 is not below max_value=5"),
        ({"kl_bound": 0}, "kl_bound=0 is out of range"),
        ({"entropy": 0}, "entropy=0 is out of range"),
        ({"networks": reppo.NetworkConfig(bins=1)}, "bins=1 is out of range"),
    ],
)
def test_wrong_settings_are_refused(changes, says):
    with pytest.raises(ConfigError, match=says):
        reppo.make(dataclasses.replace(CONFIG, **changes), probes.make(probes.CONSTANT))
