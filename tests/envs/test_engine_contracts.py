"""What the engines promise besides physics: gradients, buffer sizes, and refusals with a remedy."""

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
import pytest
from mjxwm_envs.core import Initial, Physics, SimState
from mjxwm_envs.engines.buffer_sizes import BufferSizes, RequestedSizes, largest_sizes
from mjxwm_envs.engines.mjx import Mjx
from mjxwm_envs.engines.native import Native
from mjxwm_envs.engines.warp import Warp
from mjxwm_envs.env import load_model
from mjxwm_envs.tasks.dm_control.cartpole import Cartpole
from mjxwm_envs.tasks.locomotion.hopper import Hopper
from mujoco import mjx

PENDULUM = """
<mujoco>
  <option timestep="0.01" iterations="{iterations}"/>
  <worldbody>
    <body>
      <joint name="hinge" axis="0 1 0" {limit}/>
      <geom type="capsule" size=".05" fromto="0 0 0 0 0 -.5" contype="0" conaffinity="0"/>
      <site name="tip" pos="0 0 -.5"/>
    </body>
  </worldbody>
  <actuator><motor joint="hinge"/></actuator>
  <sensor><accelerometer site="tip"/></sensor>
</mujoco>"""
LIMIT = 'limited="true" range="-60 60"'


def pendulum(iterations: int = 100, limit: str = "") -> mujoco.MjModel:
    return mujoco.MjModel.from_xml_string(PENDULUM.format(iterations=iterations, limit=limit))


def angle_after(engine, ctrl):
    start = Initial(jnp.array([1.04]), jnp.array([0.5]), jnp.zeros(0))
    return engine.step(engine.reset(start), ctrl).physics.qpos[0]


def test_engines_without_gradients_say_so_and_name_the_remedy():
    model = pendulum(limit=LIMIT)
    warp = Warp(model, 1)
    assert not Native(model, 1).differentiable
    assert not warp.differentiable
    with pytest.raises(ValueError, match="use engine='mjx'"):
        jax.eval_shape(jax.grad(lambda ctrl: angle_after(warp, ctrl)), jnp.ones(1))


def test_the_gradient_of_mjx_is_the_slope_of_native():
    model, h = pendulum(), 1e-4
    with jax.enable_x64(True):
        mjx_engine, native = Mjx(model, 3), Native(model, 3)
        assert mjx_engine.differentiable
        grad = jax.jit(jax.grad(lambda ctrl: angle_after(mjx_engine, ctrl)))(jnp.ones(1))[0]
        up, down = (float(angle_after(native, jnp.ones(1) + d)) for d in (h, -h))
    np.testing.assert_allclose(float(grad), (up - down) / (2 * h), rtol=1e-7)


def test_a_field_that_mjx_does_not_compute_is_refused_by_name():
    with pytest.raises(ValueError, match="'no_such_field' is no field of MjData"):
        Mjx(pendulum(), 1, ("no_such_field",))


def test_mjx_computes_acceleration_sensors_where_nothing_is_constrained():
    # Stock mjx.forward leaves them at zero in a model that can have no constraint.
    model = pendulum()
    engine, data = Mjx(model, 1, ("sensordata",)), mujoco.MjData(model)
    data.qvel[:] = 2
    mujoco.mj_step(model, data)
    start = Initial(jnp.zeros(1), jnp.full(1, 2.0), jnp.zeros(0))
    sim = jax.jit(lambda s: engine.step(engine.reset(s), jnp.zeros(1)))(start)
    sensed = sim.physics.derived["sensordata"]
    np.testing.assert_allclose(sensed, data.sensordata, rtol=1e-5, atol=1e-5)


def test_warp_refuses_more_worlds_than_its_buffers_hold():
    engine = Warp(load_model(Hopper()), 4)
    view = Physics(jnp.zeros((2, 3)), *[jnp.zeros((2, 3, n)) for n in (6, 6, 0, 3)], {})
    sim, ctrl = SimState(view, jnp.zeros((2, 3, 6))), jnp.zeros((2, 3, 3))
    only_ctrl = jax.vmap(engine.step, in_axes=(None, 0))
    with pytest.raises(ValueError, match="3 worlds or more"):
        jax.eval_shape(only_ctrl, jax.tree.map(lambda x: x[0, 0], sim), ctrl[0])
    for capacity, total in ((1, 3), (3, 6)):
        step = jax.vmap(jax.vmap(engine.for_worlds(capacity).step))
        with pytest.raises(ValueError, match=rf"{total} worlds .* made for {capacity}; use env"):
            jax.eval_shape(step, sim, ctrl)
    large = engine.for_worlds(6)
    assert large is not engine
    assert large.for_worlds(2) is large
    jax.eval_shape(jax.vmap(jax.vmap(large.step)), sim, ctrl)


def test_a_world_that_exceeds_given_limits_turns_to_nan():
    # Dropped contacts would let a body sink through the floor with plausible numbers.
    model = load_model(Hopper())
    pressed = Initial(jnp.zeros(6).at[1].set(-0.06), jnp.zeros(6), jnp.zeros(0))
    for per_world, finite in ((BufferSizes(6, 27), True), (RequestedSizes(rows=4), False)):
        engine = Warp(model, 4, requested=per_world)
        qpos = jax.jit(engine.step)(engine.reset(pressed), jnp.zeros(3)).physics.qpos
        assert bool(jnp.isfinite(qpos).all()) is finite


def of(model: mujoco.MjModel) -> BufferSizes:
    impl = mjx.put_model(model, impl="warp")._impl
    return largest_sizes(model, impl.nxn_geom_pair_filtered, impl.nxn_pairid_filtered[:, 0])


def test_the_hopper_has_at_most_six_contacts_and_27_rows():
    model = load_model(Hopper())
    model.opt.disableflags = 0
    # Three capsules on a plane have two contacts each, each a pyramid of four rows; three limits.
    assert of(model) == BufferSizes(contacts=6, rows=6 * 4 + 3)


def test_the_cartpole_has_no_contact_and_one_row():
    model = load_model(Cartpole())
    model.opt.disableflags &= ~int(mujoco.mjtDisableBit.mjDSBL_AUTORESET)
    assert of(model) == BufferSizes(contacts=0, rows=1)


SHAPES = ("sphere", "capsule", "ellipsoid", "cylinder", "box")


@pytest.mark.parametrize("cone", ["pyramidal", "elliptic"])
def test_no_heap_of_bodies_exceeds_the_limits(cone):
    bodies = "".join(
        f'<body name="{s}{i}"><freejoint/><geom type="{s}" size=".1 .1 .1" condim="{c}"/></body>'
        for s in SHAPES
        for i, c in enumerate((3, 6))
    )
    model = mujoco.MjModel.from_xml_string(f"""
        <mujoco>
          <option cone="{cone}"/>
          <worldbody><geom type="plane" size="1 1 1"/>{bodies}</worldbody>
          <equality><weld body1="box0" body2="box1"/><connect body1="sphere0" anchor="0 0 0"/>
          </equality>
        </mujoco>""")
    bound, data, rng = of(model), mujoco.MjData(model), np.random.default_rng(0)
    most = BufferSizes(0, 0)
    for _ in range(200):
        data.qpos[:] = rng.normal(size=model.nq) * 0.05
        mujoco.mj_forward(model, data)
        most = BufferSizes(max(most.contacts, data.ncon), max(most.rows, data.nefc))
    assert bound.contacts >= most.contacts > 20
    assert bound.rows >= most.rows


def test_what_has_no_bound_is_refused_with_a_remedy():
    flex = mujoco.MjModel.from_xml_string("""
        <mujoco><worldbody><body name="b">
          <flexcomp name="f" type="grid" count="3 3 1" spacing=".1 .1 .1" dim="2" radius=".01"/>
        </body></worldbody></mujoco>""")
    with pytest.raises(ValueError, match="engine='native'"):
        largest_sizes(flex, np.zeros((0, 2), int), np.zeros(0, int))
