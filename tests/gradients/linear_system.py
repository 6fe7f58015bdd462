"""A linear system with quadratic rewards, in the place of simulator and model.

Its gradient is known: expectations over the noise of two steps are integrals that Gauss-Hermite
quadrature does.
"""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
from mjxwm_envs.core import Initial, Physics, SimState
from mjxwm_envs.env import Env
from mjxwm_envs.task import Task

from mjxwm.gradients import estimators, paths, sampling
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
