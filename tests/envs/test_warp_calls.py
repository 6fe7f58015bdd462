"""One call of Warp for a control step is MuJoCo Warp's own loop, and leaves nothing behind."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import warp
from engine_cases import B, Bouncer, actions, bouncer_starts, compiled
from mjxwm_envs.core import Initial
from mjxwm_envs.engines import warp_worlds
from mjxwm_envs.engines.mjx_model import for_mjx
from mjxwm_envs.engines.warp import Warp
from mjxwm_envs.env import load_model
from mujoco.mjx.third_party import mujoco_warp

pytestmark = pytest.mark.filterwarnings("ignore:engine='warp'")

SENSORS = {"jointpos": 0, "framelinvel": slice(1, 4), "accelerometer": slice(4, 7), "touch": 7}


def own_loop(model, starts, controls, n_substeps):
    """States and derived fields after each control step, by MuJoCo Warp alone."""
    found = []
    with warp.ScopedDevice("cpu"):
        m, d = mujoco_warp.put_model(model), mujoco_warp.make_data(model, nworld=B, nconmax=8)
        m.opt.tolerance = warp.array([model.opt.tolerance], dtype=float)
        d.qpos.assign(np.asarray(starts.qpos))
        d.qvel.assign(np.asarray(starts.qvel))
        for ctrl in controls:
            d.ctrl.assign(np.asarray(ctrl))
            for _ in range(n_substeps):
                mujoco_warp.step(m, d)
            state = [d.qpos.numpy().copy(), d.qvel.numpy().copy()]
            state += [d.sensordata.numpy().copy(), d.actuator_force.numpy().copy()]
            kept = {k: warp.clone(getattr(d, k)) for k in ("qacc_warmstart", "qacc")}
            mujoco_warp.forward(m, d)
            state += [d.sensordata.numpy().copy(), d.xpos.numpy().copy(), d.cvel.numpy().copy()]
            state.append(d.qfrc_bias.numpy().copy())
            for name, array in kept.items():
                warp.copy(getattr(d, name), array)
            found.append(state)
    return found


def test_a_control_step_is_mujoco_warp_s_own_loop_bit_by_bit():
    task = Bouncer()
    engine, reset, step = compiled("warp", task, derived=True)
    starts, controls = bouncer_starts(), actions(1, 6)
    model = for_mjx(engine.model, engine.derived)
    sim = reset(starts)
    for ctrl, expected in zip(
        controls, own_loop(model, starts, controls, engine.n_substeps), strict=True
    ):
        sim = step(sim, ctrl)
        qpos, qvel, sensors, force, refreshed, xpos, cvel, bias = expected
        physics, read = sim.physics, sim.physics.derived
        np.testing.assert_array_equal(physics.qpos, qpos)
        np.testing.assert_array_equal(physics.qvel, qvel)
        # Positions and velocities are of the new state, accelerations of the last physics step.
        for name in ("jointpos", "framelinvel"):
            where = SENSORS[name]
            np.testing.assert_array_equal(read["sensordata"][:, where], refreshed[:, where])
        for name in ("accelerometer", "touch"):
            where = SENSORS[name]
            np.testing.assert_array_equal(read["sensordata"][:, where], sensors[:, where])
        np.testing.assert_array_equal(read["actuator_force"], force)
        np.testing.assert_array_equal(read["xpos"], xpos)
        np.testing.assert_array_equal(read["cvel"], cvel)
        np.testing.assert_array_equal(read["qfrc_bias"], bias)


def test_a_world_that_diverged_leaves_nothing_for_the_next_episode():
    _, reset, step = compiled("warp", Bouncer(), derived=True)
    starts, ctrl = bouncer_starts(), actions(1, 1)[0]
    expected = step(reset(starts), ctrl)
    lost = reset(starts._replace(qpos=starts.qpos.at[::2].set(jnp.nan)))
    assert np.isnan(step(lost, ctrl).physics.qpos[::2]).any(axis=1).all()
    again = step(reset(starts), ctrl)
    jax.tree.map(np.testing.assert_array_equal, again, expected)


def test_worlds_of_worlds_are_worlds():
    _, reset, step = compiled("warp", Bouncer(), derived=True)
    engine = compiled("warp", Bouncer(), derived=True)[0]
    sim, ctrl = reset(bouncer_starts()), actions(1, 1)[0]
    flat = step(sim, ctrl)
    split = jax.tree.map(lambda x: x.reshape(2, B // 2, *x.shape[1:]), (sim, ctrl))
    nested = jax.jit(jax.vmap(jax.vmap(engine.step)))(*split)
    joined = jax.tree.map(lambda x: x.reshape(B, *x.shape[2:]), nested)
    jax.tree.map(np.testing.assert_array_equal, joined, flat)


def test_a_control_step_is_one_call_and_passes_the_state_alone():
    """However many substeps; the text of the program says which arrays go in and out."""
    for n_substeps in (1, 5):
        engine = Warp(load_model(Bouncer()), n_substeps).for_worlds(B)
        sim = jax.eval_shape(jax.vmap(engine.reset), bouncer_starts())
        text = jax.jit(jax.vmap(engine.step)).lower(sim, actions(1, 1)[0]).as_text()
        calls = [line for line in text.splitlines() if "mujoco_warp_" in line]
        assert len(calls) == 1
        ins, outs = calls[0].split(" : ")[-1].split(" -> ")
        # qpos, qvel, ctrl, time, warm start; the last two of them, the first two, and overflows
        assert (ins.count("tensor"), outs.count("tensor")) == (5, 5)


def test_the_same_model_has_the_same_calls_in_every_process():
    """Else compiled programs would not be found in the cache."""

    def names():
        engine = Warp(load_model(Bouncer()), 2).for_worlds(B)
        sim = jax.eval_shape(jax.vmap(engine.reset), bouncer_starts())
        return jax.jit(jax.vmap(engine.step)).lower(sim, actions(1, 1)[0]).as_text()

    assert names() == names()


def test_buffers_are_freed_and_made_again(monkeypatch):
    _, reset, step = compiled("warp", Bouncer(), derived=True)
    monkeypatch.setattr(warp_worlds, "_MOST", 1)
    sim, ctrl = reset(bouncer_starts()), actions(1, 1)[0]
    expected = step(sim, ctrl)
    other = Warp(load_model(Bouncer()), 1).for_worlds(2)
    qpos, qvel, act = (x[:2] for x in bouncer_starts()[:3])
    start = Initial(qpos, qvel, act)
    jax.block_until_ready(jax.jit(jax.vmap(other.step))(jax.vmap(other.reset)(start), ctrl[:2]))
    assert len(warp_worlds._kept) == 1
    jax.tree.map(np.testing.assert_array_equal, step(sim, ctrl), expected)
