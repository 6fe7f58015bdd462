"""Derived fields are C MuJoCo's numbers or a refusal, never zeros that nobody computed."""

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
import pytest
from engine_cases import ENGINES
from mjxwm_envs.core import Initial
from mjxwm_envs.engines import derived_fields
from mjxwm_envs.engines.mjx import Mjx
from mjxwm_envs.engines.native import Native

# A leg presses a free box onto the floor; an arm hangs on a wall by a weld and swings.
LEGGED = """
<mujoco>
  <option timestep=".004" {option}/>
  <worldbody>
    <geom type="plane" size="3 3 .1"/>
    <body name="trunk" pos="0 0 .29">
      <freejoint/>
      <geom type="sphere" size=".1" mass="2"/>
      <body name="leg" pos=".15 0 0">
        <joint name="knee" axis="0 1 0" range="-40 40"/>
        <geom type="capsule" size=".04" fromto="0 0 0 .05 0 -.28" mass=".5"/>
      </body>
    </body>
    <body name="arm" pos="2 0 1">
      <joint axis="1 0 0" frictionloss=".02"/>
      <geom type="box" size=".05 .02 .2" pos="0 0 -.2"/>
    </body>
    <body name="hook" pos="2 1 1"><joint type="slide" axis="0 0 1"/><geom size=".05"/></body>
  </worldbody>
  <equality><weld body1="hook" active="true"/></equality>
  <actuator><motor joint="knee" gear="8" ctrlrange="-1 1"/></actuator>
</mujoco>"""
WORLDS = 4


def legged(option: str = "") -> mujoco.MjModel:
    return mujoco.MjModel.from_xml_string(LEGGED.format(option=option))


def rolled(engine, model, steps: int = 30):
    """The engine's worlds after a reset and after some steps, and the start and the controls."""
    rng = np.random.default_rng(4)
    qvel, ctrl = rng.normal(size=(WORLDS, model.nv)) * 0.4, rng.uniform(-1, 1, (WORLDS, model.nu))
    start = Initial(
        jnp.tile(jnp.asarray(model.qpos0), (WORLDS, 1)),
        jnp.asarray(qvel),
        jnp.zeros((WORLDS, model.na)),
    )
    first = sim = jax.jit(jax.vmap(engine.reset))(start)
    step = jax.jit(jax.vmap(engine.step))
    for _ in range(steps):
        sim = step(sim, jnp.asarray(ctrl))
    return first, sim, qvel, ctrl


def truth(model, qvel, ctrl, steps: int) -> mujoco.MjData:
    """What C MuJoCo has when its user calls these functions after `mj_step`."""
    model = derived_fields.with_energy(model)
    data = mujoco.MjData(model)
    data.qvel[:] = qvel
    if steps:
        data.ctrl[:] = ctrl
        mujoco.mj_step(model, data, steps)
    else:
        mujoco.mj_forward(model, data)
    mujoco.mj_rnePostConstraint(model, data)
    forces = {name: getattr(data, name).copy() for name in derived_fields.RNE}
    if steps:
        mujoco.mj_step1(model, data)  # positions and velocities of the new state
    mujoco.mj_subtreeVel(model, data)
    for name, value in forces.items():
        getattr(data, name)[:] = value
    return data


@pytest.mark.parametrize("integrator", ["Euler", "RK4", "implicit", "implicitfast", "discrete"])
def test_every_field_of_native_is_that_of_c_to_the_last_bit(integrator):
    # In several worlds: a field that nobody computes would show another world's numbers.
    model = legged(f'integrator="{integrator}"')
    names = sorted(derived_fields.NATIVE)
    with jax.enable_x64(True):
        first, after, qvel, ctrl = rolled(Native(model, 3, tuple(names)), model)
    for sim, steps in ((first, 0), (after, 90)):
        for world in range(WORLDS):
            data = truth(model, qvel[world], ctrl[world], steps)
            for name in names:
                ours, c = sim.physics.derived[name][world], np.asarray(getattr(data, name))
                np.testing.assert_array_equal(ours, c.reshape(ours.shape), err_msg=name)
    # Something does happen in those that were zero: a leg stands, an arm swings.
    for name in (*derived_fields.RNE, *derived_fields.SUBTREE, "energy"):
        assert (np.abs(after.physics.derived[name]).reshape(WORLDS, -1).max(axis=1) > 0.1).all()


def test_contact_forces_follow_a_world_s_own_mass():
    model, fields = legged(), jnp.asarray(legged().body_mass)
    mass = jnp.stack([fields, fields.at[1].multiply(2)])
    engine = Native(model, 2, ("cfrc_ext",))

    def standing(mass):
        start = Initial(jnp.asarray(model.qpos0), jnp.zeros(model.nv), jnp.zeros(0))
        sim = engine.reset(start._replace(fields={"body_mass": mass}))
        return jax.lax.fori_loop(0, 400, lambda _, s: engine.step(s, jnp.zeros(1)), sim)

    ext = jax.jit(jax.vmap(standing))(mass).physics.derived["cfrc_ext"]
    weight = 9.81 * mass[:, 1:3].sum(axis=1)
    np.testing.assert_allclose(ext[:, 1:3, 5].sum(axis=1), weight, rtol=2e-2)


SWING = """
<mujoco>
  <worldbody>
    <body>
      <joint axis="0 1 0" damping=".1"/><geom size=".1" pos=".3 0 0"/>
      <body pos=".5 0 0"><joint axis="1 1 0"/><geom type="box" size=".1 .2 .1" /></body>
    </body>
  </worldbody>
</mujoco>"""


@pytest.mark.parametrize("body", ["swing", pytest.param("legged", marks=pytest.mark.slow)])
def test_mjx_computes_forces_and_momenta_as_c_does(body):
    model = legged() if body == "legged" else mujoco.MjModel.from_xml_string(SWING)
    names = (*sorted(derived_fields.RNE), *sorted(derived_fields.SUBTREE))
    with jax.enable_x64(True):
        first, after, qvel, ctrl = rolled(Mjx(model, 3, names), model, steps=2)
    for sim, steps in ((first, 0), (after, 6)):
        for world in range(WORLDS):
            data = truth(model, qvel[world], ctrl[world], steps)
            for name in names:
                c = getattr(data, name)
                size = max(1, np.abs(c).max())
                error = np.abs(sim.physics.derived[name][world] - c).max()
                assert error < 1e-6 * size, name


@pytest.mark.slow
def test_the_gradient_of_a_contact_force_is_that_of_central_differences():
    model = legged()

    def force(engine, ctrl):
        start = Initial(
            jnp.asarray(model.qpos0), jnp.full(model.nv, 0.1), jnp.zeros(0, jnp.result_type(float))
        )
        sim = engine.reset(start)
        for _ in range(3):
            sim = engine.step(sim, ctrl)
        return jnp.sum(sim.physics.derived["cfrc_ext"] * jnp.arange(1.0, 7))

    with jax.enable_x64(True):
        mjx, native = Mjx(model, 4, ("cfrc_ext",)), Native(model, 4, ("cfrc_ext",))
        gradient = float(jax.jit(jax.grad(lambda c: force(mjx, c)))(jnp.full(1, 0.3))[0])
        up, down = (float(force(native, jnp.full(1, 0.3 + h))) for h in (1e-5, -1e-5))
    np.testing.assert_allclose(gradient, (up - down) / 2e-5, rtol=1e-5)


@pytest.mark.parametrize("name", list(ENGINES))
@pytest.mark.parametrize(
    ("field", "said"),
    [
        ("qfrc_inverse", "inverse dynamics .* declare that"),
        ("efc_force", "varies in size .* declare a <contact>, <jointlimitfrc>"),
        ("contact", "varies in size .* declare a <contact>, <touch>"),
        ("solver_fwdinv", "not computed by engine="),
        ("cfrc_ex", "no field of MjData; did you mean 'cfrc_ext'"),
        ("body", "no field of MjData"),
    ],
)
def test_what_no_step_computes_is_refused_when_the_engine_is_made(name, field, said):
    with pytest.raises(ValueError, match=f"'{field}' .*{said}"):
        ENGINES[name](legged(), 1, (field,))


@pytest.mark.parametrize(
    ("name", "field", "said"),
    [
        ("warp", "cfrc_ext", "<touch>, <contact> or <force> sensor .* use engine='native'"),
        ("warp", "subtree_linvel", "<subtreelinvel> sensor .* use engine='native'"),
        ("mjx", "energy", "<e_potential> or <e_kinetic>.*, or use engine='native'"),
        ("mjx", "nefc", "not computed by engine='mjx'; use engine='native'"),
    ],
)
def test_a_refusal_names_the_sensor_and_the_engine_that_has_the_field(name, field, said):
    with pytest.raises(ValueError, match=said):
        ENGINES[name](legged(), 1, (field,))


def test_every_public_field_of_mjdata_is_computed_or_refused():
    model = legged()
    data = mujoco.MjData(model)
    names = [n for n in dir(data) if not n.startswith("_") and not callable(getattr(data, n))]
    assert len(names) > 200
    for name in set(names) - derived_fields.NATIVE:
        with pytest.raises(ValueError, match=name):
            Native(model, 1, (name,))
    Native(model, 1, tuple(derived_fields.NATIVE))
