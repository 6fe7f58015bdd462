"""Episodes of many worlds: how they end, what is reported, and where the next ones start."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from mjxwm_envs import BatchEnv, Env, Initial, Task
from mjxwm_envs.engines.mjx import Mjx
from mjxwm_envs.engines.native import Native
from mjxwm_envs.env import load_model

B = 4


@dataclasses.dataclass(frozen=True)
class Slider(Task):
    """A mass pushed along a rail, without friction: everything can be computed by hand."""

    ctrl_dt: float = 0.01
    sim_dt: float = 0.01
    episode_length: int = 5
    end: float = np.inf
    """Termination beyond this position [m]."""

    def mjcf(self):
        return """
        <mujoco>
          <worldbody>
            <body><joint name="rail" type="slide" axis="1 0 0"/><geom size=".1" mass="1"/></body>
          </worldbody>
          <actuator><motor joint="rail" ctrllimited="true" ctrlrange="-3 3"/></actuator>
        </mujoco>"""

    def initial(self, key):
        return Initial(jax.random.uniform(key, (1,)), jnp.ones(1), jnp.zeros(0))

    def observe(self, physics):
        return jnp.concatenate([physics.qpos, physics.qvel])

    def reward(self, before, action, after):
        terms = {"one": jnp.ones(()), "position": 0 * after.qpos[0]}
        return terms["one"] + terms["position"], terms

    def terminated(self, physics):
        return physics.qpos[0] > self.end


def make(engine=Native, action_repeat=1, **fields) -> BatchEnv:
    task = Slider(**fields)
    return BatchEnv(Env("slider", task, engine(load_model(task), 1), action_repeat), B)


def run(batch: BatchEnv, steps: int, key, worlds=None):
    """The worlds after `steps` idle steps, and every Step on a leading axis."""
    worlds = jax.jit(batch.reset)(key) if worlds is None else worlds
    action = jnp.zeros((B, 1))
    step = jax.jit(batch.step)
    records = []
    for _ in range(steps):
        worlds, record = step(worlds, action)
        records.append(record)
    return worlds, jax.tree.map(lambda *x: jnp.stack(x), *records)


def test_a_time_limit_truncates_and_does_not_terminate(key):
    _, steps = run(make(episode_length=5), 11, key)
    last = np.isin(np.arange(11), (4, 9))[:, None] & np.ones(B, bool)
    np.testing.assert_array_equal(steps.truncated, last)
    assert not steps.terminated.any()
    assert steps.valid.all()


def test_a_termination_is_not_a_truncation_even_at_the_time_limit(key):
    _, steps = run(make(episode_length=1, end=-1.0), 3, key)
    assert steps.terminated.all()
    assert not steps.truncated.any()


def test_return_and_length_count_from_the_start_of_each_episode(key):
    worlds, steps = run(make(episode_length=3), 5, key)
    np.testing.assert_array_equal(steps.episode_length[:, 0], [1, 2, 3, 1, 2])
    np.testing.assert_array_equal(steps.episode_return[:, 0], [1, 2, 3, 1, 2])
    np.testing.assert_array_equal(worlds.steps, [2] * B)


def test_next_obs_is_the_observation_before_the_reset(key):
    batch = make(episode_length=2)
    start = jax.jit(batch.reset)(key)
    worlds, steps = run(batch, 2, key, start)
    # Speed 1 m/s for two steps of 0.01 s, whatever the reset did afterwards.
    np.testing.assert_allclose(steps.next_obs[1, :, 0], start.obs[:, 0] + 0.02, atol=1e-6)
    assert (jnp.abs(worlds.obs[:, 0] - steps.next_obs[1, :, 0]) > 1e-4).all()
    np.testing.assert_array_equal(worlds.state.sim.physics.time, 0)


def test_start_states_differ_between_worlds_and_between_resets(key):
    batch = make(episode_length=1)
    worlds, starts = jax.jit(batch.reset)(key), []
    for _ in range(3):
        starts.append(worlds.obs[:, 0])
        worlds, _ = run(batch, 1, key, worlds)
    assert len(np.unique(np.concatenate(starts))) == 3 * B


def test_staggered_clocks_spread_the_time_limits(key):
    batch = make(episode_length=1000)
    assert len(np.unique(batch.reset(key, stagger=True).clock)) == B
    assert not batch.reset(key).clock.any()


def test_an_action_is_clipped_and_mapped_onto_the_control_range(key):
    batch = make()
    worlds, _ = batch.step(batch.reset(key), jnp.array([[-9.0], [-1.0], [0.5], [9.0]]))
    np.testing.assert_allclose(worlds.state.sim.physics.ctrl[:, 0], [-3, -3, 1.5, 3])


def test_action_repeat_adds_rewards_up_to_and_including_the_termination(key):
    batch = make(action_repeat=3, end=1.5, episode_length=300)
    assert batch.env.episode_length == 100
    worlds = jax.jit(batch.reset)(key)
    # At 1 m/s the first world passes the end in the second of the three control steps.
    initial = Initial(
        jnp.array([[1.485], [0.0], [0.0], [0.0]]), jnp.ones((B, 1)), jnp.zeros((B, 0))
    )
    sim = jax.vmap(batch.env.engine.reset)(initial)
    worlds = worlds._replace(state=worlds.state._replace(sim=sim))
    _, steps = run(batch, 1, key, worlds)
    np.testing.assert_array_equal(steps.reward[0], [2, 3, 3, 3])
    np.testing.assert_array_equal(steps.terms["one"][0], [2, 3, 3, 3])
    np.testing.assert_array_equal(steps.terminated[0], [True, False, False, False])


def poison(engine, worlds, world: int, value: float):
    """`worlds` with one of them at a velocity of `value`, in the view and behind it."""
    sim = worlds.state.sim
    qvel, hidden = sim.physics.qvel.at[world].set(value), sim.hidden
    if engine.name == "native":  # time, qpos, qvel, warm start in double precision
        rows = engine.rows(sim).copy()
        rows[world, 2] = value
        words = rows.view(np.uint32)
        hidden = jnp.concatenate([words, jnp.zeros((len(words), 2), jnp.uint32)], axis=1)
    sim = sim._replace(physics=sim.physics._replace(qvel=qvel), hidden=hidden)
    return worlds._replace(state=worlds.state._replace(sim=sim))


@pytest.mark.parametrize(
    ("engine", "value"), [(Native, np.nan), (Native, 1e300), (Mjx, np.nan), (Mjx, 1e30)]
)
def test_a_diverged_world_is_reset_and_marked_and_no_other_is_touched(engine, value, key):
    batch = make(engine, episode_length=100)
    start, world = jax.jit(batch.reset)(key), 2
    others = np.arange(B) != world
    clean_worlds, clean = run(batch, 1, key, start)
    worlds, steps = run(batch, 1, key, poison(batch.env.engine, start, world, value))
    np.testing.assert_array_equal(steps.valid[0], others)
    np.testing.assert_array_equal(steps.truncated[0], ~others)
    assert not steps.terminated.any()
    assert steps.reward[0, world] == 0
    for leaf in jax.tree.leaves((steps.next_obs, steps.terms, worlds.obs)):
        assert np.isfinite(leaf).all()
    assert worlds.obs[world, 1] == 1  # the start velocity: a fresh world
    for got, expected in zip(
        *map(jax.tree.leaves, (worlds.state, clean_worlds.state)), strict=True
    ):
        np.testing.assert_array_equal(got[others], expected[others])
    np.testing.assert_array_equal(steps.next_obs[0, others], clean.next_obs[0, others])


def test_a_batch_sizes_the_engine_for_its_worlds():
    class Sized(Native):
        def for_worlds(self, num_worlds):
            self.asked_for = num_worlds
            return self

    assert make(Sized).world.engine.asked_for == B
