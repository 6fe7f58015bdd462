"""Worlds without physics whose values and best actions are known (after Jones 2021 and rejax).

Each isolates one thing that a learner may get wrong. A probe is numbers, not code, so that one
compiled program learns a whole set of them under `jax.vmap`.
"""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
import mujoco
from mjxwm_envs.core import Initial, Physics, SimState
from mjxwm_envs.env import Env
from mjxwm_envs.task import Task


class Analytic:
    """An engine that counts steps: qpos keeps its start, qvel is the last control, time goes on."""

    name = "analytic"
    n_substeps = 1
    differentiable = True
    derived = ()
    # Only its sizes and its control range are used.
    model = mujoco.MjModel.from_xml_string("""
        <mujoco>
          <worldbody><body><joint name="j"/><geom size=".1"/></body></worldbody>
          <actuator><motor joint="j" ctrllimited="true" ctrlrange="-1 1"/></actuator>
        </mujoco>""")

    def for_worlds(self, num_worlds: int) -> "Analytic":
        return self

    def check_devices(self, num_devices: int) -> None:
        """Any number will do."""

    def can_differ(self, name: str) -> bool:
        return False

    def reset(self, initial: Initial) -> SimState:
        zero = jnp.zeros_like(initial.qvel)
        physics = Physics(zero[0], initial.qpos, initial.qvel, initial.act, zero, {})
        return SimState(physics, hidden=())

    def step(self, sim: SimState, ctrl: jax.Array) -> SimState:
        physics = sim.physics
        after = physics._replace(time=physics.time + 1, qvel=ctrl, ctrl=ctrl)
        return sim._replace(physics=after)

    def reset_where(self, done: jax.Array, initial: Initial, sim: SimState) -> SimState:
        return jax.tree.map(lambda n, o: jnp.where(done, n, o), self.reset(initial), sim)


class Numbers(NamedTuple):
    """What a probe does. The observation is [sign, steps so far], each 0 where it is not shown."""

    sign: float = 0.0
    """1: an episode draws a sign, -1 or 1; 0: the sign is 0."""
    clock: float = 0.0
    """1: the policy sees the steps so far."""
    steps: float = 1.0
    """Steps until termination, infinity for none."""
    constant: float = 0.0
    """Reward of every step."""
    by_sign: float = 0.0
    """Reward per sign."""
    at_end: float = 0.0
    """Reward of the step that terminates."""
    cost: float = 0.0
    """Cost of the squared distance from the best action, `goal` + `goal_by_sign` * sign."""
    goal: float = 0.0
    goal_by_sign: float = 0.0


@dataclasses.dataclass(frozen=True)
class Probe(Task):
    """The task that the numbers describe; they may be traced. Cut, but not ended, after 3 steps."""

    numbers: Numbers = Numbers()
    ctrl_dt: float = 1.0
    sim_dt: float = 1.0
    episode_length: int = 3

    def initial(self, key):
        sign = jnp.where(jax.random.bernoulli(key), 1.0, -1.0) * self.numbers.sign
        return Initial(sign[None], jnp.zeros(1), jnp.zeros(0))

    def observe(self, physics):
        return jnp.stack([physics.qpos[0], self.numbers.clock * physics.time])

    def reward(self, before, action, after):
        n, sign = self.numbers, before.qpos[0]
        miss = action[0] - n.goal - n.goal_by_sign * sign
        reward = n.constant + n.by_sign * sign - n.cost * miss**2
        return reward + n.at_end * self.terminated(after), {}

    def terminated(self, physics):
        return physics.time >= self.numbers.steps


def make(numbers: Numbers) -> Env:
    """A probe as an environment."""
    return Env("probe", Probe(numbers=numbers), Analytic())


CONSTANT = Numbers(constant=1.0)
OBSERVATION = Numbers(sign=1.0, by_sign=1.0)
DELAYED = Numbers(clock=1.0, steps=2.0, at_end=1.0)
ACTION = Numbers(cost=1.0, goal=0.5)
BOTH = Numbers(sign=1.0, cost=1.0, goal_by_sign=0.5)
ENDLESS = Numbers(constant=1.0, steps=jnp.inf)
THREE_STEPS = Numbers(clock=1.0, constant=1.0, steps=3.0)

BY_NAME = {
    "constant": CONSTANT,
    "observation": OBSERVATION,
    "delayed": DELAYED,
    "action": ACTION,
    "both": BOTH,
    "endless": ENDLESS,
    "three steps": THREE_STEPS,
}
"""The probes whose values and best actions are known, which every learner has to find."""
