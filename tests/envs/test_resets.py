"""A reset is `mj_resetData`'s in every part of the state: episodes are a loop over `mj_step`."""

import dataclasses

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
import pytest
from mjxwm_envs.batch import BatchEnv
from mjxwm_envs.core import Initial
from mjxwm_envs.engines.mjx import Mjx
from mjxwm_envs.engines.native import Native
from mjxwm_envs.engines.warp import Warp
from mjxwm_envs.env import Env, load_model
from mjxwm_envs.task import Task

DELAYS = """
<mujoco>
  <worldbody>
    <body pos="0 0 1">
      <joint name="a" axis="0 1 0" damping=".1"/><geom type="capsule" size=".03 .1" pos=".1 0 0"/>
      <body pos=".2 0 0"><joint name="b" axis="0 1 0" range="-40 40"/><geom size=".05" mass="1"/>
      </body>
    </body>
  </worldbody>
  <actuator>
    <motor joint="a" ctrlrange="-1 1" delay=".035" nsample="6" interp="linear"/>
    <position joint="b" kp="2" ctrlrange="-1 1" delay=".08" nsample="9"/>
    <general joint="a" dyntype="filter" dynprm=".1" ctrlrange="-1 1" delay=".02" nsample="4"
      interp="cubic"/>
    <motor joint="b" ctrlrange="-1 1"/>
  </actuator>
  <sensor>
    <jointpos joint="a" delay=".03" nsample="5"/>
    <jointvel joint="b" delay=".045" nsample="8" interp="linear" interval=".02"/>
    <jointvel joint="a"/>
  </sensor>
</mujoco>"""
PLUGIN = """
<mujoco>
  <extension><plugin plugin="mujoco.pid"><instance name="pid">
    <config key="kp" value="4"/><config key="ki" value="3"/><config key="kd" value=".1"/>
    <config key="slewmax" value="2"/></instance></plugin></extension>
  <worldbody><body><joint name="a" axis="0 1 0" damping=".1"/><geom size=".1" pos=".1 0 0"/></body>
  </worldbody>
  <actuator><plugin joint="a" plugin="mujoco.pid" instance="pid" ctrlrange="-1 1" delay=".02"
    nsample="3" actdim="2"/></actuator>
</mujoco>"""


@dataclasses.dataclass(frozen=True)
class Reads(Task):
    """Shows the whole state, and what its sensors say; starts at random."""

    xml: str
    reads: tuple[str, ...]

    @property
    def derived(self):
        return self.reads

    def mjcf(self):
        return self.xml

    def initial(self, key):
        model = self.model()
        qpos = jnp.asarray(model.qpos0) + 0.05 * jax.random.normal(key, (model.nq,))
        return Initial(qpos, jnp.zeros(model.nv), jnp.zeros(model.na))

    def observe(self, physics):
        said = [physics.derived[name].ravel() for name in self.reads]
        return jnp.concatenate([physics.qpos, physics.qvel, physics.act, *said])

    def reward(self, before, action, after):
        return after.qpos[0], {}

    def terminated(self, physics):
        # Some worlds end before others do: partial resets.
        return jnp.abs(physics.qpos[0]) > 0.1


def episodes(model, steps, starts, actions, n_substeps, derived):
    """The observation after each step of one world, and the one that follows, from C MuJoCo."""
    data, low, high = mujoco.MjData(model), *model.actuator_ctrlrange.T
    scratch, seen = mujoco.MjData(model), []

    def start(obs):
        mujoco.mj_resetData(model, data)
        data.qpos[:] = obs[: model.nq]

    start(starts[0])
    for t in range(steps):
        data.ctrl[:] = low + (actions[t].astype(np.float64) + 1) * (high - low) / 2
        mujoco.mj_step(model, data, n_substeps)
        mujoco.mj_copyData(scratch, model, data)
        mujoco.mj_step1(model, scratch)
        read = [getattr(scratch, name).ravel() for name in derived]
        seen.append(np.concatenate([data.qpos, data.qvel, data.act, *read]))
        if starts[t + 1] is not None:
            start(starts[t + 1])
    return np.array(seen)


@pytest.mark.parametrize("action_repeat", [1, 2])
@pytest.mark.parametrize(
    ("xml", "derived"), [(DELAYS, ()), (DELAYS, ("sensordata",)), (PLUGIN, ()), (PLUGIN, ("xpos",))]
)
def test_native_s_episodes_are_mj_step_s_bit_by_bit(xml, derived, action_repeat):
    task = Reads(0.02, 0.005, 3 * action_repeat, xml, derived)
    model, num_worlds, steps = load_model(task), 5, 10
    with jax.enable_x64(True):
        env = Env("reads", task, Native(model, 4, derived), action_repeat)
        batch = BatchEnv(env, num_worlds)
        worlds = jax.jit(batch.reset)(jax.random.key(0))
        # Powers of two: the way from actions to controls is the same number in any order.
        rng = np.random.default_rng(0)
        actions = rng.integers(-4, 5, (steps, num_worlds, model.nu)) / 4
        first, step = np.asarray(worlds.obs), jax.jit(batch.step)
        next_obs, fresh = [], []
        for action in actions:
            worlds, result = step(worlds, jnp.asarray(action))
            next_obs.append(np.asarray(result.next_obs))
            done = np.asarray(result.terminated | result.truncated)
            fresh.append(
                [o if d else None for o, d in zip(np.asarray(worlds.obs), done, strict=True)]
            )
    ends = np.array([[f is not None for f in row] for row in fresh])
    assert ends.sum() > 2 * num_worlds
    assert (ends.any(1) & ~ends.all(1)).any()
    for world in range(num_worlds):
        starts = [first[world], *(row[world] for row in fresh)]
        expected = episodes(model, steps, starts, actions[:, world], 4 * action_repeat, derived)
        np.testing.assert_array_equal(np.array(next_obs)[:, world], expected)


MOCAP = """
<mujoco>
  <worldbody>
    <body name="hand" mocap="true" pos=".1 0 1" quat="1 0 .2 0"><geom size=".02"/></body>
    <body name="other" mocap="true" pos="0 .3 1"><geom size=".02"/></body>
    <body name="ball" pos="0 .1 .9"><freejoint/><geom size=".05" contype="0"/></body>
  </worldbody>
  <equality>
    <weld body1="hand" body2="ball" active="{hand}"/>
    <connect body1="other" body2="ball" anchor="0 0 0" active="{other}"/>
  </equality>
</mujoco>"""


@pytest.mark.parametrize("make", [Native, Warp, pytest.param(Mjx, marks=pytest.mark.slow)])
def test_mocap_poses_and_active_equalities_are_those_of_the_world_s_own_model(make):
    model = mujoco.MjModel.from_xml_string(MOCAP.format(hand="true", other="false"))
    own = mujoco.MjModel.from_xml_string(MOCAP.format(hand="false", other="true"))
    nominal, moved = np.array(model.body_pos), np.array(model.body_pos)
    moved[[1, 2]] += [[0, 0.02, 0.01], [0.02, 0, -0.01]]
    turned = np.array(model.body_quat)
    turned[1] = [1, 0.03, 0.2, 0]
    fields = {
        "body_pos": np.stack([nominal, moved]),
        "body_quat": np.stack([model.body_quat, turned]),
        "eq_active0": np.stack([model.eq_active0, own.eq_active0]),
    }
    qpos = np.tile(model.qpos0, (2, 1))
    engine = make(model, 2, ("xpos",)).for_worlds(2)
    fields = jax.tree.map(jnp.asarray, fields)
    start = Initial(jnp.asarray(qpos), jnp.zeros((2, 6)), jnp.zeros((2, 0)), (), fields)
    sim = jax.jit(jax.vmap(engine.reset))(start)
    step = jax.jit(jax.vmap(engine.step))
    for _ in range(3):
        sim = step(sim, jnp.zeros((2, 0)))
    own.body_pos[:], own.body_quat[:] = moved, turned
    for world, body in enumerate((model, own)):
        data = mujoco.MjData(body)
        mujoco.mj_step(body, data, 6)
        mujoco.mj_kinematics(body, data)
        np.testing.assert_allclose(sim.physics.qpos[world], data.qpos, atol=1e-5)
        np.testing.assert_allclose(sim.physics.derived["xpos"][world], data.xpos, atol=1e-5)
        if world:
            assert np.abs(sim.physics.qvel[1] - sim.physics.qvel[0]).max() > 0.1
