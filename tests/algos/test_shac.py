"""SHAC, SAPO and APG: the window's return, its gradient, and what is learned.

Learning is tested on probe worlds, whose engine is a few lines of JAX, and the gradient on the
cartpole of the mjx engine.
"""

import dataclasses

import jax
import jax.numpy as jnp
import mjxwm_envs as envs
import numpy as np
import probes
import pytest
from jax.flatten_util import ravel_pytree
from mjxwm_envs.batch import BatchEnv
from shac_cases import GAMMA, NETS, TINY, column, tweak

from mjxwm.algos import shac
from mjxwm.algos.shac import learner as learners
from mjxwm.algos.shac.window import normal_entropy
from mjxwm.models import actor_critic


@pytest.mark.parametrize(
    ("terminated", "truncated", "expected"),
    [
        # Rewards 1, 2, 3 and the value 10 of where it leads, at the end alone.
        ((0, 0, 0), (0, 0, 0), 1 + GAMMA * 2 + GAMMA**2 * 3 + GAMMA**3 * 30),
        # After a termination nothing follows, and the discount starts anew.
        ((0, 1, 0), (0, 0, 0), 1 + GAMMA * 2 + 3 + GAMMA * 30),
        # A cut episode goes on with the value of the state before the reset.
        ((0, 0, 0), (0, 1, 0), 1 + GAMMA * 2 + GAMMA**2 * 20 + 3 + GAMMA * 30),
        ((0, 0, 1), (0, 0, 0), 1 + GAMMA * 2 + GAMMA**2 * 3),
    ],
)
def test_the_return_of_a_window_by_hand(terminated, truncated, expected):
    ends = [column(*x).astype(bool) for x in (terminated, truncated)]
    total = shac.segments(column(1, 2, 3), column(10, 20, 30), *ends, GAMMA)
    assert total == pytest.approx(expected)


def test_the_entropy_is_normalised_to_the_number_of_actions():
    noise = jnp.zeros((5, 7))
    constant = 7 * 0.5 * np.log(2 * np.pi * np.e)  # `Actor.entropy` leaves the Gaussian's out
    for entropy, normal in ((-7.0, 0.0), (7.0, 1.0), (-3.5, 0.25)):
        np.testing.assert_allclose(normal_entropy(jnp.full(5, entropy - constant), noise), normal)


def test_the_entropy_is_that_of_the_squashed_gaussian(key):
    """By the histogram of actions; so the target can be met from both sides."""
    config = actor_critic.Config(actor=(4,), init_std=0.5, min_std=0.1)
    actor = actor_critic.Actor.create(config, 2, 1, key=key)
    noise, x = jax.random.normal(key, (200_000, 1)), jnp.zeros((200_000, 2))
    entropy = normal_entropy(actor.entropy(x, noise), noise).mean()
    density, edges = np.histogram(actor.sample(x, noise), bins=400, density=True)
    kept = density > 0
    exact = -(density * np.log(np.where(kept, density, 1)) * np.diff(edges)).sum()
    assert entropy == pytest.approx((exact + 1) / 2, abs=5e-3)
    assert entropy > 0.25  # more than the target at an ordinary noise, less at a small one
    assert normal_entropy(jnp.asarray(np.log(0.1)), noise[0]) < 0.25


# Gradients


def test_gradients_that_are_not_finite_are_dropped_and_counted_and_long_ones_clipped():
    grads = jnp.array([[3.0, 4.0], [jnp.nan, 1.0], [0.3, 0.4], [jnp.inf, 0.0]])
    mean, metrics = shac.combine(grads, clip=1.0)  # type: ignore[arg-type]
    np.testing.assert_allclose(mean, np.array([0.9, 1.2]) / 2, rtol=1e-6)
    assert metrics["actor/nonfinite"] == 2
    assert metrics["actor/world_grad_max"] == pytest.approx(5)
    assert metrics["actor/world_grad_norm"] == pytest.approx((5 + 0.5) / 2)


def test_where_no_gradient_is_finite_there_is_none():
    mean, metrics = shac.combine(jnp.full((3, 2), jnp.nan), clip=1.0)  # type: ignore[arg-type]
    np.testing.assert_array_equal(mean, 0)
    assert metrics["actor/nonfinite"] == 3


@pytest.fixture(scope="module")
def cartpole():
    """(window's total as a function of flat parameters, their gradient), in double precision."""
    with jax.enable_x64(True):
        env = BatchEnv(envs.make("cartpole-swingup", engine="mjx"), 2)
        config = tweak(worlds=2, unroll=3)
        parts = {}
        for detach in (False, True):
            variant = dataclasses.replace(config, detach=detach)
            tx = learners.optimizers(variant)
            fresh = learners.init(variant, tx, 5, 1, jax.random.key(1))
            worlds = env.reset(jax.random.key(2))
            noise = jax.random.normal(jax.random.key(3), (3, 2, 1))
            flat, unravel = ravel_pytree(fresh.actor)
            flat = flat + 0.3 * jax.random.normal(jax.random.key(4), flat.shape)
            fresh = fresh._replace(actor=unravel(flat), target=_noisy(fresh.target))

            @jax.jit
            def total(x, variant=variant, fresh=fresh, worlds=worlds, noise=noise, unravel=unravel):
                actors = jax.tree.map(lambda p: jnp.broadcast_to(p, (2, *p.shape)), unravel(x))
                return shac.run(variant, env, fresh, actors, worlds, noise).total

            grads, _ = jax.jit(
                lambda w, c=variant, f=fresh, n=noise: shac.gradients(c, env, f, w, n)
            )(worlds)
            each = jnp.stack(
                [ravel_pytree(jax.tree.map(lambda g, i=i: g[i], grads))[0] for i in (0, 1)]
            )
            parts[detach] = (total, flat, -each)
        return parts


def _noisy(tree):
    flat, unravel = ravel_pytree(tree)
    return unravel(flat + 0.3 * jax.random.normal(jax.random.key(9), flat.shape))


@pytest.mark.slow
def test_each_worlds_gradient_is_the_slope_of_its_own_return(cartpole):
    total, flat, each = cartpole[False]
    with jax.enable_x64(True):
        for seed in range(3):
            d = jax.random.normal(jax.random.key(seed), flat.shape)
            slopes = (total(flat + 1e-5 * d) - total(flat - 1e-5 * d)) / 2e-5
            np.testing.assert_allclose(each @ d, slopes, rtol=1e-6)


@pytest.mark.slow
def test_detaching_changes_the_gradient_and_not_the_return(cartpole):
    (total, flat, each), (cut, _, other) = cartpole[False], cartpole[True]
    with jax.enable_x64(True):
        np.testing.assert_array_equal(total(flat), cut(flat))
        assert jnp.linalg.norm(each - other) > 1e-4 * jnp.linalg.norm(each)


# Learning


PROBES = {
    "constant": probes.CONSTANT,
    "action": probes.ACTION,
    "both": probes.BOTH,
    "endless": probes.ENDLESS,
    "three steps": probes.THREE_STEPS,
}
LEARN = shac.Config(
    env_steps=8 * 8 * 200,
    worlds=8,
    unroll=8,
    gamma=GAMMA,
    actor_lr=1e-2,
    critic_lr=5e-3,
    critic_epochs=4,
    critic_batches=2,
    policy=NETS,
)
VARIANTS = {
    "shac": LEARN,
    "sapo": dataclasses.replace(
        LEARN,
        actor_value="mean",
        target_tau=1.0,
        entropy=1e-3,
        policy=dataclasses.replace(NETS, critics=2),
    ),
    "apg": dataclasses.replace(LEARN, bootstrap=False),
}


@pytest.fixture(scope="module", params=VARIANTS)
def learned(request):
    config = VARIANTS[request.param]

    def run(numbers, key):
        algorithm = shac.make(config, probes.make(numbers))
        state, _ = jax.lax.scan(
            lambda s, _: algorithm.iterate(s), algorithm.init(key), None, algorithm.iterations
        )
        obs = jnp.array([[0.0, 0], [0, 1], [1, 0], [-1, 0]])
        x = learners.moments.normalize(state.learner.obs, obs)
        value = actor_critic.value(state.learner.critic, x) * config.value_unit
        return value, algorithm.act(algorithm.policy(state), obs)[:, 0]

    numbers = jax.tree.map(lambda *x: jnp.array(x, float), *PROBES.values())
    keys = jax.random.split(jax.random.key(0), len(PROBES))
    values, actions = jax.device_get(jax.jit(jax.vmap(run))(numbers, keys))
    return (
        request.param,
        dict(zip(PROBES, values, strict=True)),
        dict(zip(PROBES, actions, strict=True)),
    )


def test_the_best_actions_are_learned(learned):
    _, _, actions = learned
    assert actions["action"][0] == pytest.approx(0.5, abs=0.1)
    assert actions["both"][2] == pytest.approx(0.5, abs=0.1)
    assert actions["both"][3] == pytest.approx(-0.5, abs=0.1)


def test_the_values_are_learned(learned):
    name, values, _ = learned
    if name == "apg":
        return  # it has none
    assert values["constant"][0] == pytest.approx(1.0, abs=0.1)
    # Cut after three steps, but not ended: the reward goes on for ever.
    assert values["endless"][0] == pytest.approx(1 / (1 - GAMMA), abs=0.25)
    assert values["three steps"][0] == pytest.approx(1 + GAMMA + GAMMA**2, abs=0.1)
    assert values["three steps"][1] == pytest.approx(1 + GAMMA, abs=0.1)


def test_a_tuned_weight_rises_while_the_entropy_is_below_its_target():
    config = tweak(entropy=0.1, tune_entropy=True, env_steps=12 * 100)
    algorithm = shac.make(config, probes.make(probes.CONSTANT))
    state = algorithm.init(jax.random.key(0))
    after, metrics = jax.jit(algorithm.iterate)(state)
    below = metrics["actor/entropy"] < 0.25
    assert below == (after.learner.log_entropy > state.learner.log_entropy)


# Refusals


def test_an_engine_without_gradients_is_refused_with_the_remedy():
    with pytest.raises(ValueError, match="engine='native' has no gradients; use engine='mjx'"):
        shac.make(TINY, envs.make("hopper", engine="native"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"unroll": 0}, "unroll=0 is out of range"),
        ({"gamma": 1.5}, "gamma=1.5 is out of range"),
        ({"tune_entropy": True}, "entropy=0.0 with tune_entropy"),
        ({"critic_batches": 0}, "critic_batches=0 is out of range"),
    ],
)
def test_settings_out_of_range_are_refused_by_name(change, message):
    with pytest.raises(ValueError, match=message):
        shac.validate(tweak(**change))
