"""The cost of gradients, on a puck that is pushed along the floor."""

import dataclasses
import json
import statistics

import jax
import numpy as np
import pytest
from mjxwm_envs.core import Initial
from mjxwm_envs.engines.mjx import Mjx
from mjxwm_envs.env import Env, load_model
from mjxwm_envs.task import Task

from mjxwm import ConfigError
from mjxwm.bench import gradients
from mjxwm.bench.unrolled import Unrolled


@dataclasses.dataclass(frozen=True)
class Puck(Task):
    """A ball that slides and rolls; its contact is one body's, so it compiles fast."""

    ctrl_dt: float = 0.02
    sim_dt: float = 0.01
    episode_length: int = 100
    integrator: str = "implicitfast"

    def mjcf(self):
        return f"""
        <mujoco>
          <option integrator="{self.integrator}"/>
          <worldbody>
            <geom type="plane" size="0 0 1"/>
            <body pos="0 0 .1">
              <joint name="x" type="slide" axis="1 0 0"/> <joint type="slide" axis="0 0 1"/>
              <joint axis="0 1 0"/>
              <geom size=".1" mass="1" friction=".5"/>
            </body>
          </worldbody>
          <actuator><motor joint="x" ctrlrange="-1 1" gear="8"/></actuator>
        </mujoco>"""

    def initial(self, key):
        return Initial(
            qpos=jax.numpy.array([0, -0.001, 0.0]),
            qvel=0.1 * jax.random.normal(key, (3,)),
            act=jax.numpy.zeros(0),
        )

    def observe(self, physics):
        return jax.numpy.concatenate([physics.qpos, physics.qvel])

    def reward(self, before, action, after):
        return after.qvel[0] - 0.1 * (action**2).sum(), {}

    def terminated(self, physics):
        return jax.numpy.zeros((), bool)


def puck(**changes):
    task = Puck(**changes)
    return Env("puck", task, Mjx(load_model(task), 2))


@pytest.fixture(scope="module")
def row():
    settings = gradients.Config(worlds=2, steps=3, iterations=8, warmup=2, samples=3)
    with jax.enable_x64(True):
        return gradients.measure(settings, puck())


@pytest.mark.slow
def test_both_gradients_are_the_same(row):
    assert row.cosine == pytest.approx(1, abs=1e-9)
    assert row.nonfinite == {"implicit": 0, "unrolled": 0}
    assert (row.precision, row.physics_steps) == ("float64", 2)


@pytest.mark.slow
def test_ratios_are_of_turns(row):
    seconds = {program.name: program.seconds for program in row.programs}
    assert list(seconds) == ["rollout", "implicit", "unrolled"]
    assert all(len(turns) == 3 and min(turns) > 0 for turns in seconds.values())
    turns = zip(seconds["unrolled"], seconds["implicit"], strict=True)
    assert row.to_unrolled == statistics.median(a / b for a, b in turns)
    assert json.dumps(row._asdict() | {"programs": []})
    text = gradients.table(row)
    assert "puck: 2 worlds, 3 control steps" in text
    assert f"gradient to rollout alone: {row.to_rollout:.2f}" in text


def test_the_peer_is_the_same_simulator(key):
    with jax.enable_x64(True):
        env = puck()
        engine = env.engine
        peer = Unrolled(engine.model, engine.n_substeps, engine.derived, 8)
        sim, ctrl = env.reset(key).sim, np.full(1, 0.9)
        one, other = jax.jit(lambda sim: (engine.step(sim, ctrl), peer.step(sim, ctrl)))(sim)
        np.testing.assert_allclose(one.physics.qvel, other.physics.qvel, rtol=1e-9, atol=1e-9)


def test_the_peer_says_what_it_lacks():
    with pytest.raises(ValueError, match="not available with the integrator RK4"):
        Unrolled(load_model(Puck(integrator="RK4")), 1, (), 8)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": 0}, "steps=0 is out of range"),
        ({"iterations": -1}, "iterations=-1 is out of range"),
        ({"task": "hoper"}, "did you mean 'hopper'"),
    ],
)
def test_mistakes_are_named(changes, message):
    with pytest.raises(ConfigError, match=message):
        gradients.run(gradients.Config(**changes))
