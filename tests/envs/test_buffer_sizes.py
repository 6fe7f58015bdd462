"""Room for contacts: what a task needs, what engine warp makes, and how to ask for less."""

import jax
import mjxwm_envs as envs
import mujoco
import numpy as np
import pytest
from mjxwm_envs.check import contact_counts
from mjxwm_envs.engines.buffer_sizes import BufferSizes
from mjxwm_envs.engines.warp_worlds import Sizes
from mjxwm_envs.env import load_model
from mjxwm_envs.tasks.locomotion.hopper import Hopper

from mjxwm import ConfigError
from mjxwm.runs import build
from mjxwm.runs.config import Config as RunConfig


def test_what_a_task_needs_is_what_c_mujoco_counts():
    env = envs.make("hopper", engine="native")
    actions = np.random.default_rng(0).uniform(-1, 1, (20, 4, 3)).astype(np.float32)
    need = contact_counts.count(env, actions, seed=3)
    # The same by hand: no episode ends within these steps.
    worlds = jax.jit(env.batch(4).reset)(jax.random.key(3))
    model, counts = load_model(Hopper()), []
    for world in range(4):
        data = mujoco.MjData(model)
        sim = jax.tree.map(lambda x, w=world: x[w], worlds.state.sim)
        data.qpos[:], data.qvel[:] = sim.physics.qpos, sim.physics.qvel
        for action in actions[:, world]:
            data.ctrl[:] = env.to_ctrl(action)
            mujoco.mj_step(model, data, env.engine.n_substeps)
            mujoco.mj_step1(model, data)
            counts.append((data.ncon, data.nefc))
    assert need.states == len(counts) == 80
    assert need.most == BufferSizes(*np.max(counts, axis=0))
    assert need.most.contacts >= need.usual.contacts


@pytest.mark.filterwarnings("ignore:engine='warp' without")
def test_room_is_asked_for_by_name():
    whole = envs.make("hopper", "warp").engine.buffer_sizes
    assert (
        whole == contact_counts.default_buffers(envs.make("hopper", "native")) == BufferSizes(6, 27)
    )
    env = envs.make("hopper", "warp", contacts_per_world=2)
    assert env.engine.buffer_sizes == BufferSizes(2, 27)
    assert env.for_worlds(8).engine._simulator._sizes == Sizes(16, 27)
    assert envs.make("hopper", "warp", rows_per_world=9).engine.buffer_sizes == BufferSizes(6, 9)
    for value in (0, -1, 2.5):
        with pytest.raises(ValueError, match=f"rows_per_world={value} is out of range"):
            envs.make("hopper", "warp", rows_per_world=value)


def test_room_is_for_engine_warp_and_for_our_own_tasks():
    with pytest.raises(ValueError, match="are for engine='warp', not for 'native'"):
        envs.make("hopper", "native", contacts_per_world=3)
    with pytest.raises(ConfigError, match="are for engine='warp', not for 'mjx'"):
        build.make_env(RunConfig("hopper", engine="mjx", rows_per_world=3))
    with pytest.raises(ValueError, match="foreign environment; contacts_per_world"):
        envs.make("gymnasium/Hopper-v5", contacts_per_world=3)
