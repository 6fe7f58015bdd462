"""Every estimator of the laboratory on a linear system with quadratic rewards, whose gradient is
known: expectations over the noise of two steps are integrals that Gauss-Hermite quadrature does.

The stand-in model is the system itself, so model and simulator have one gradient.
"""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import mjxwm_envs as envs
import mujoco
import numpy as np
import pytest
from mjxwm_envs.core import Initial, Physics, SimState
from mjxwm_envs.env import Env
from mjxwm_envs.task import Task

from mjxwm.gradients import (
    engine_gates,
    estimators,
    experiment,
    gates,
    laboratory,
    metrics,
    paths,
    sampling,
    strata,
)
from mjxwm.gradients.config import Config
from mjxwm.gradients.subject import Parameters, Subject, switches
from mjxwm.maths.moments import Moments

A = jnp.array([[1.0, 0.3], [-0.2, 0.9]])
B = jnp.array([[0.1], [0.8]])
Q = jnp.array([1.0, 0.5])
R = 0.2
GAMMA = 0.9
STD = 0.4
WORLDS = 3


def move(x, a):
    return A @ x + B @ a


def gain(x, a):
    """Reward of a step that leads to x."""
    return -(Q @ x**2) - R * a @ a


class Linear:
    """An engine: qpos and qvel are the state."""

    name = "linear"
    n_substeps = 1
    differentiable = True
    model = mujoco.MjModel.from_xml_string("""
        <mujoco>
          <worldbody><body><joint name="j"/><geom size=".1"/></body></worldbody>
          <actuator><motor joint="j" ctrllimited="true" ctrlrange="-1 1"/></actuator>
        </mujoco>""")

    def reset(self, initial):
        zero = jnp.zeros(())
        physics = Physics(zero, initial.qpos, initial.qvel, initial.act, jnp.zeros(1), {})
        return SimState(physics, ())

    def step(self, sim, ctrl):
        x = move(jnp.concatenate([sim.physics.qpos, sim.physics.qvel]), ctrl)
        return sim._replace(physics=sim.physics._replace(qpos=x[:1], qvel=x[1:], ctrl=ctrl))


@dataclasses.dataclass(frozen=True)
class Regulate(Task):
    ctrl_dt: float = 1.0
    sim_dt: float = 1.0
    episode_length: int = 100

    def observe(self, physics):
        return jnp.concatenate([physics.qpos, physics.qvel])

    def reward(self, before, action, after):
        return gain(self.observe(after), action), {}


class System(NamedTuple):
    """The system in the place of a learned model."""

    def encode(self, obs):
        return obs

    def predict(self, z, action):
        return move(z, action)

    def reward(self, z, action):
        return gain(move(z, action), action)

    def going_on(self, z):
        return jax.nn.sigmoid(jnp.full(z.shape[:-1], 50.0))


@jax.tree_util.register_dataclass
@dataclasses.dataclass
class Feedback:
    """A linear policy in the place of an actor."""

    weight: jax.Array

    def mean_net(self, z):
        return (z @ self.weight)[..., None]

    def std(self):
        return jnp.full(1, STD)


class Square(NamedTuple):
    """A critic: its value is -|z|^2."""

    scale: Any = jnp.ones(1)

    def __call__(self, z):
        return -self.scale[0] * (z**2).sum(axis=-1)


SUBJECT = Subject(
    actor=Feedback(jnp.array([0.3, -0.5])),  # type: ignore[arg-type]
    critic=jax.tree.map(lambda x: x[None], Square()),  # type: ignore[arg-type]
    model=System(),  # type: ignore[arg-type]
    obs=Moments(jnp.zeros(2), jnp.full(2, 1 - 1e-5), jnp.ones(())),
    reward_scale=jnp.ones(()),
    value_unit=jnp.ones(()),
    gamma=jnp.asarray(GAMMA),
)
ENV = Env("linear", Regulate(), Linear())  # type: ignore[arg-type]
START = jnp.array([[1.0, 0.0], [-0.5, 0.8], [0.2, -1.0]])
INITIAL = Initial(START[:, :1], START[:, 1:], jnp.zeros((WORLDS, 0)))
PLAN = jnp.array([[[0.2], [-0.4]], [[0.0], [0.3]], [[-0.6], [0.1]]])


def simulate(s, p, w, n, h):
    return paths.through_simulator(ENV, s, p, w, n, h)


def mix(s, p, w, n, h):
    return paths.hybrid(ENV, s, p, w, n, h)


def soft(s, p, w, n, h):
    return paths.through_simulator(ENV, s, p, w, n, h, paths.softened(ENV, ENV))


ESTIMATORS = {
    "zeroth order, simulator": (estimators.zeroth_order(simulate), False),
    "zeroth order, model": (estimators.zeroth_order(paths.through_model), True),
    "simulator": (estimators.first_order(simulate), False),
    "model": (estimators.first_order(paths.through_model), True),
    "hybrid": (estimators.first_order(mix), False),
    "soft": (estimators.first_order(soft), False),
    "smoothed by nothing": (estimators.first_order(simulate, lambda w, key, size: w), False),
}


def exact(level, bootstrap):
    """The gradient of the expected return at every start, by quadrature over both steps' noise."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    weights = jnp.asarray(np.outer(weights, weights) / weights.sum() ** 2).reshape(-1)
    noise = jnp.stack(jnp.meshgrid(nodes, nodes, indexing="ij"), -1).reshape(-1, 2)

    def total(weight, plan, x, noise):
        value = 0.0
        for t in range(2):
            mean = plan[t] + (x @ weight if level == "actor" else 0.0)
            a = jnp.tanh(mean + STD * noise[t])
            x = move(x, a)
            value += GAMMA**t * gain(x, a)
        return value - bootstrap * GAMMA**2 * (x**2).sum()

    def expected(weight, plan, x):
        return weights @ jax.vmap(lambda n: total(weight, plan, x, n))(noise)

    plan = PLAN if level == "plan" else jnp.zeros_like(PLAN)
    slopes = jax.vmap(jax.grad(expected, argnums=(0, 1)), (None, 0, 0))
    found = slopes(SUBJECT.actor.weight, plan, START)
    return np.asarray(found[0 if level == "actor" else 1]).reshape(WORLDS, -1)


def sampled(name, level, bootstrap, attached=True, samples=512):
    estimator, in_model = ESTIMATORS[name]
    plan = PLAN if level == "plan" else jnp.zeros_like(PLAN)
    (found,) = sampling.measure(
        estimator,
        SUBJECT,
        Parameters(SUBJECT.actor, plan),
        START if in_model else INITIAL,
        switches(2, feedback=level == "actor", attached=attached, bootstrap=bootstrap),
        sampling.Sampling(samples, chunk=64, seed=3),
        level=level,
        levels=("plan", "actor"),
    )
    return found


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


@pytest.fixture
def laboratory_of_the_system(monkeypatch):
    """The experiment with this system in the place of engines, and gates that need engines out."""
    four: Any = jax.tree.map(lambda x: jnp.tile(x, (4, 1)), INITIAL)
    starts = strata.Starts(four, ("free",) * 12)
    monkeypatch.setattr(experiment, "worlds", lambda *_: laboratory.Worlds(ENV, ENV, ENV))
    monkeypatch.setattr(experiment, "check_sizes", lambda *_: None)
    monkeypatch.setattr(experiment, "_engine_gates", lambda *_: [])
    monkeypatch.setattr(strata, "play", lambda *_: None)
    monkeypatch.setattr(strata, "choose", lambda *_: starts)


def test_a_report_of_the_system_says_that_model_and_simulator_are_one(laboratory_of_the_system):
    config = Config(
        horizon=2, horizons=(1,), estimators=("zeroth_simulator", "simulator", "model"),
        levels=("plan",), landscape=False, states=5, samples=64, truth=2048, steps=10,
    )  # fmt: skip
    ticks = []
    found = experiment.run(config, experiment.Task("linear", {}, 1), SUBJECT, ticks.append)
    assert len(ticks) == laboratory.ticks(config, laboratory.entries(config, ENGINES)) == 48
    assert {g.name: g.passed for g in found.gates} == {
        "G3 single step": True, "G5 finite": True, "Truth": True,
    }  # fmt: skip
    assert dict(found.gates[-1].by_horizon) == {1: True, 2: True}
    for horizon in (1, 2):
        for name in ("simulator", "model"):
            assert found.horizons[horizon][name]["cosine"].value == pytest.approx(1, abs=0.05)
    ahead = found.ahead["plan"]["cosine"]
    assert abs(ahead.value) < 1e-3  # one noise, one gradient
    assert found.actor == {}
    columns = found.states.horizons[1]["model"]
    assert sorted(columns) == ["inner", "norm2", "variance"]
    assert len(columns["inner"]) == len(found.states.stratum) == 12


ENGINES = laboratory.Worlds(ENV, ENV, ENV)


def test_resolution_is_judged_at_every_horizon(monkeypatch):
    """Another engine with twice the gain of an action, in the place of half the physics step."""
    monkeypatch.setattr(laboratory, "on", lambda env, model, substeps: (ENV, TWICE)[substeps == 2])
    config = Config(horizon=2, horizons=(1,), levels=("plan",), states=3)
    starts = strata.Starts(INITIAL, ("free",) * WORLDS)
    bench = laboratory.Bench(SUBJECT, starts, START, PLAN)
    gate = engine_gates.resolution(config, ENV, bench, ESTIMATORS["simulator"][0])
    assert gate.passed is False
    assert gate.verdict.endswith("limited by the time-stepper")
    assert dict(gate.by_horizon) == {1: False, 2: False}
    for row in gate.figures.values():
        assert row["iterations"]["most"] == 0
        assert row["step"]["median"] > 0.5


class Twice(Linear):
    def step(self, sim, ctrl):
        return super().step(sim, 2 * ctrl)


TWICE = dataclasses.replace(ENV, engine=Twice())
