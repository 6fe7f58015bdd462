import dataclasses
import json
import statistics

import jax
import mjxwm_envs as envs
import numpy as np
import pytest
from mjxwm_envs.engines.mjx import Mjx

from mjxwm import ConfigError
from mjxwm.algos import pwm
from mjxwm.bench import iteration, simulation
from mjxwm.bench.bare import bare_simulator
from mjxwm.models import actor_critic, world_model

ALGO = pwm.Config(
    unroll=4,
    warmup=2,
    horizon=4,
    capacity=100,
    model=world_model.Config(latent=8, encoder=(8,), hidden=(8,)),
    policy=actor_critic.Config(actor=(8,), critic=(8,), critics=1),
)


def config(**changes):
    return simulation.Config(**{"worlds": (8,), "steps": 6, "samples": 3, "warmup": 4, **changes})


def test_rows_and_table():
    capacity = 100_000
    algo = dataclasses.replace(ALGO, capacity=capacity)
    rows = simulation.run(config(engine=("native",)), algo)
    assert [row.worlds for row in rows] == [8]
    for row in rows:
        assert (row.engine, row.task, len(row.samples)) == ("native", "hopper", 3)
        assert row.threads >= 1
        ratios = [bare / collection for collection, bare in row.samples]
        assert row.ratio == statistics.median(ratios) > 0
        # Six steps are two unrolls of four, on four physics steps each.
        collection, bare = (statistics.median(s) for s in zip(*row.samples, strict=True))
        assert row.control_steps_per_s == pytest.approx(row.worlds * 8 / collection)
        assert row.physics_steps_per_s == pytest.approx(4 * row.control_steps_per_s)
        assert row.bare_physics_steps_per_s == pytest.approx(row.worlds * 32 / bare)
        # The replay is in it once, for the program writes into it in place.
        spec = envs.make("hopper", "native").spec
        replay = capacity * 4 * (spec.obs_size + spec.action_size + 1)
        assert replay < row.memory < 1.2 * replay
    assert json.loads(json.dumps([row._asdict() for row in rows]))[0]["ratio"] == rows[0].ratio
    text = simulation.table(rows)
    assert text.splitlines()[0].split()[:3] == ["engine", "task", "worlds"]
    assert f"{rows[0].ratio:.2f}" in text.splitlines()[1]


def test_the_bare_simulator_goes_where_the_engine_goes(key):
    env = envs.make_task("cartpole-swingup", "mjx")
    state = jax.jit(jax.vmap(env.reset))(jax.random.split(key, 2))
    controls = jax.random.uniform(key, (3, 2, 1), minval=-1, maxval=1)

    def step(sim, ctrl):
        return jax.vmap(env.engine.step)(sim, ctrl), None

    sim, _ = jax.jit(lambda sim: jax.lax.scan(step, sim, controls))(state.sim)
    assert isinstance(env.engine, Mjx)
    bare = jax.jit(jax.vmap(env.engine.bare_steps, in_axes=(0, 1)))(state.sim, controls)
    np.testing.assert_allclose(bare, sim.physics.qpos, rtol=1e-5, atol=1e-6)


def test_warps_own_loop_goes_where_the_engine_goes(key):
    """The loop without JAX takes the same substeps, also from another state than the last one."""
    env = envs.make_task("cartpole-swingup", "warp").for_worlds(2)
    reset, step = jax.jit(jax.vmap(env.reset)), jax.jit(jax.vmap(env.engine.step))
    controls = jax.random.uniform(key, (3, 2, 1), minval=-1, maxval=1)
    bare = bare_simulator(env, 2)
    for seed in (0, 1):
        start = reset(jax.random.split(jax.random.key(seed), 2)).sim
        assert bare(start, controls) > 0
        sim = start
        for ctrl in controls:
            sim = step(sim, ctrl)
        np.testing.assert_allclose(bare.buffers.field("qpos").numpy(), sim.physics.qpos, atol=1e-6)
        assert np.abs(sim.physics.qpos - start.physics.qpos).max() > 1e-3
    with pytest.raises(ValueError, match="take a task without randomisation"):
        bare(start._replace(fields={"body_mass": np.ones((2, 3))}), controls)


@pytest.mark.gpu
def test_warps_own_loop_captures_one_graph():
    """Later calls replay it, whatever JAX does with its own arrays between them."""
    env = envs.make_task("hopper", "warp").for_worlds(64)
    reset = jax.jit(jax.vmap(env.reset))
    starts = [reset(jax.random.split(jax.random.key(seed), 64)).sim for seed in range(3)]
    bare, controls = bare_simulator(env, 64), jax.numpy.zeros((4, 64, 3))
    bare(starts[0], controls)
    with simulation._captures() as captures:
        for start in starts:
            bare(start, controls)
    assert captures == []


@pytest.mark.slow
def test_where_the_time_goes_on_engine_warp(tmp_path):
    """An iteration's environment has buffers for the worlds of the preset."""
    (tmp_path / "warp.yaml").write_text("base: debug\nengine: warp\n")
    report = iteration.run(
        iteration.Config(str(tmp_path / "warp.yaml"), worlds=4, iterations=1, samples=1)
    )
    assert {s.name for s in report.series} >= {"collection", "physics", "updates"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"samples": 0}, "samples=0 is out of range"),
        ({"worlds": (8, 0)}, "worlds=0 is out of range"),
        ({"task": "hoper"}, "did you mean 'hopper'"),
        ({"engine": ("nativ",)}, "did you mean 'native'"),
    ],
)
def test_mistakes_are_named(changes, message):
    with pytest.raises(ConfigError, match=message):
        simulation.run(config(**changes), ALGO)
