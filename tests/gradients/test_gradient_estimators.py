"""Every estimator of the laboratory on a linear system whose gradient is known.

The stand-in model is the system itself, so model and simulator have one gradient.
"""

import jax
import jax.numpy as jnp
import mjxwm_envs as envs
import numpy as np
import pytest
from linear_system import (
    ESTIMATORS,
    INITIAL,
    PLAN,
    START,
    SUBJECT,
    WORLDS,
    exact,
    sampled,
    simulate,
)

from mjxwm.gradients import estimators, gates, metrics, paths, sampling
from mjxwm.gradients.subject import Parameters, switches


@pytest.mark.parametrize("bootstrap", [False, True])
@pytest.mark.parametrize("level", ["plan", "actor"])
@pytest.mark.parametrize("name", ESTIMATORS)
def test_every_estimator_is_right_on_average(name, level, bootstrap):
    found = sampled(name, level, bootstrap, samples=4096 if "zeroth" in name else 512)
    error = found.sums.mean - exact(level, bootstrap)
    standard = np.sqrt(found.sums.var / found.sums.count[:, None])
    assert np.isfinite(found.norms).all()
    assert (np.abs(error) < 4 * standard + 1e-6).all()


def test_the_baseline_is_all_that_values_tell_of_returns_and_nothing_of_its_own():
    """A return that is a line of the value is predicted; nobody's own return moves its baseline."""
    rng = np.random.default_rng(0)
    value = jnp.asarray(rng.normal(size=(8, 3)))
    to_go = 2 + 3 * value
    np.testing.assert_allclose(estimators._baseline(to_go, value), to_go, atol=1e-5)
    still = jnp.zeros_like(value)  # nothing is told: the other half's mean
    np.testing.assert_allclose(
        estimators._baseline(to_go, still)[:4], np.tile(to_go[4:].mean(axis=0), (4, 1)), rtol=1e-5
    )
    moved = estimators._baseline(to_go.at[2].add(5.0), value)
    np.testing.assert_array_equal(moved[:4], estimators._baseline(to_go, value)[:4])


def test_first_order_gradients_of_model_and_simulator_are_the_same_number():
    one, other = (sampled(name, "actor", True) for name in ("simulator", "model"))
    np.testing.assert_allclose(one.sums.mean, other.sums.mean, rtol=1e-4)
    np.testing.assert_allclose(one.sums.var, other.sums.var, rtol=1e-3, atol=1e-6)


def test_cutting_the_feedback_leaves_what_actions_do_at_once():
    # With two steps and no value, only the first action's effect through the second is cut.
    cut = sampled("simulator", "actor", False, attached=False)
    whole = sampled("simulator", "actor", False)
    assert np.abs(cut.sums.mean - whole.sums.mean).max() > 0.01


def test_a_shorter_horizon_ignores_what_comes_later():
    (plan,) = sampling.measure(
        ESTIMATORS["simulator"][0], SUBJECT, Parameters(SUBJECT.actor, PLAN), INITIAL,
        switches(1, feedback=False, bootstrap=True), sampling.Sampling(8, 8, 0), level="plan",
    )  # fmt: skip
    assert (plan.sums.mean[:, 1] == 0).all()
    assert (plan.sums.mean[:, 0] != 0).all()


@pytest.mark.parametrize("name", ["zeroth order, simulator", "model"])
def test_all_horizons_are_measured_on_one_set_of_paths(name):
    """Each is what it would be alone, on the same noise: paths are longer, the objective is not."""
    estimator, in_model = ESTIMATORS[name]
    rows = ((1, False), (1, True), (2, True))

    def found(rows):
        return sampling.measure(
            estimator, SUBJECT, Parameters(SUBJECT.actor, PLAN), START if in_model else INITIAL,
            switches([h for h, _ in rows], feedback=False, bootstrap=[v for _, v in rows]),
            sampling.Sampling(64, 8, 0), level="plan",
        )  # fmt: skip

    for one, row in zip(found(rows), rows, strict=True):
        (alone,) = found([row])
        np.testing.assert_allclose(one.sums.mean, alone.sums.mean, rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(one.norms, alone.norms, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("block", [1, 2, 3])
def test_blocks_of_start_states_have_noise_of_their_own(block):
    """Means over all samples are those of the states, whatever number is computed at once."""
    estimator, _ = ESTIMATORS["simulator"]
    (found,) = sampling.measure(
        estimator, SUBJECT, Parameters(SUBJECT.actor, PLAN), INITIAL, switches(2, feedback=False),
        sampling.Sampling(512, 64, 0, block=block), level="plan",
    )  # fmt: skip
    assert found.norms.shape == found.heads.shape == (WORLDS, 512)
    error = found.sums.mean - exact("plan", True)
    assert (np.abs(error) < 4 * np.sqrt(found.sums.var / 512) + 1e-6).all()
    assert len({x.tobytes() for x in found.norms}) == WORLDS


def test_statistics_say_that_an_unbiased_estimator_is_unbiased():
    truth = sampled("zeroth order, simulator", "plan", False, samples=4096)
    first = sampled("simulator", "plan", False)
    found = metrics.by_state(first.sums, truth.sums)(np.arange(WORLDS))
    assert abs(found["bias2"]) < 0.01 * found["truth2"]
    assert found["cosine"] == pytest.approx(1, abs=0.03)
    assert first.sums.var.sum() < truth.sums.var.sum()


def test_smoothing_moves_every_sample_s_start():
    """Of a quadratic return the smoothed gradient is the gradient; only its variance grows."""

    def perturb(world, key, size):
        return world._replace(qpos=world.qpos + size * jax.random.normal(key, world.qpos.shape))

    estimator = estimators.first_order(simulate, perturb)
    found = {}
    for size in (0.0, 0.5):
        (found[size],) = sampling.measure(
            estimator, SUBJECT, Parameters(SUBJECT.actor, PLAN), INITIAL,
            switches(2, feedback=False, bootstrap=False, smoothing=size),
            sampling.Sampling(2048, 64, 0, few=100), level="plan",
        )  # fmt: skip
    apart = found[0.5].sums.mean - found[0.0].sums.mean
    error = np.sqrt(found[0.5].sums.var / 2048)
    assert (np.abs(apart) < 4 * error + 1e-3).all()
    assert (found[0.5].sums.var.sum(axis=1) > found[0.0].sums.var.sum(axis=1)).all()


def test_an_early_mean_is_that_of_the_first_samples():
    args = (SUBJECT, Parameters(SUBJECT.actor, PLAN), INITIAL, switches(2, feedback=False))
    estimator = ESTIMATORS["simulator"][0]
    draw = sampling.Sampling
    (many,) = sampling.measure(estimator, *args, draw(64, 8, 0, few=12), level="plan")
    assert many.norms.shape == (WORLDS, 64)
    assert (many.heads <= many.norms + 1e-6).all()
    (first,) = sampling.measure(estimator, *args, sampling.Sampling(16, 8, 0, few=16), level="plan")
    np.testing.assert_allclose(first.early, first.sums.mean, rtol=1e-5)
    assert np.abs(many.early - first.early).max() > 0


def test_a_hybrid_gradient_needs_none_of_the_engine():
    """The native engine is a call to C, through which no tangent can pass."""
    env = envs.make("cartpole-swingup", "native")
    subject = jax.tree.map(lambda x: x + 0.1, gates.untrained(env, 0))  # its heads start at zero
    key = jax.random.key(0)
    initial = jax.vmap(env.task.initial)(jax.random.split(key, 2))
    (found,) = sampling.measure(
        estimators.first_order(lambda s, p, w, n, h: paths.hybrid(env, s, p, w, n, h)),
        subject, Parameters(subject.actor, jnp.zeros((2, 3, 1))), initial, switches(3),
        sampling.Sampling(4, 4, 0), level="actor",
    )  # fmt: skip
    assert np.isfinite(found.norms).all()
    assert (found.norms > 0).all()
