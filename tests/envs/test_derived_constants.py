"""What MuJoCo derives from masses, against C MuJoCo's own compiler on a model with those masses."""

import dataclasses

import jax
import jax.numpy as jnp
import mjxwm_envs as envs
import mujoco
import numpy as np
import pytest
from mjxwm_envs import Initial, Randomisation, Task
from mjxwm_envs.engines.derived_constants import derived_constants

TREE = """
<mujoco>
  <worldbody>
    <body name="base" pos="0 0 1"><freejoint/>
      <inertial mass="2" pos=".01 .02 .03" diaginertia=".02 .03 .04"/>
      <body name="arm" pos=".2 0 0"><joint name="ball" type="ball" armature=".003"/>
        <inertial mass=".7" pos=".05 0 .01" quat=".9 .1 .3 .2" diaginertia=".004 .005 .006"/>
        <body name="hand" pos=".1 0 0"><joint name="hinge" axis="0 1 1"/>
          <inertial mass=".3" pos="0 .03 0" diaginertia=".001 .002 .0025"/>
          <site name="palm" pos="0 .05 0"/>
        </body>
      </body>
      <body name="rail" pos="-.2 0 0"><joint name="slide" type="slide" axis="1 0 0"/>
        <inertial mass=".5" pos="0 0 0" diaginertia=".001 .001 .001"/>
        <site name="end"/>
      </body>
    </body>
    <body name="puck" pos="3 0 0">
      <joint type="slide" axis="1 0 0" armature=".1"/><joint type="slide" axis="0 1 0"/>
      <geom size=".1" mass=".4"/>
    </body>
    <body name="post" pos="5 0 0"><geom size=".1" mass="1"/></body>
  </worldbody>
  <tendon>
    <fixed armature=".02"><joint joint="hinge" coef="2"/><joint joint="slide" coef="-1"/></fixed>
    <spatial><site site="palm"/><site site="end"/></spatial>
  </tendon>
  <actuator>
    <motor joint="hinge" gear="3" armature=".01"/>
    <motor joint="ball" gear="1 2 3"/><motor site="palm"/>
    <muscle joint="slide" lengthrange="-.1 .1"/>
  </actuator>
</mujoco>"""
CONSTANTS = (
    "body_subtreemass",
    "body_invweight0",
    "dof_M0",
    "dof_invweight0",
    "tendon_invweight0",
    "actuator_acc0",
)


BODIES = {"tree": TREE, "hopper": envs.make("hopper", engine="native").task.mjcf()}


def heavier(xml, rng):
    """A model, and the same compiled with every body's mass and inertia multiplied."""
    spec = mujoco.MjSpec.from_string(xml)
    nominal, factor = spec.compile(), [1.0]
    for body in spec.bodies[1:]:
        factor.append(rng.uniform(0.3, 3))
        body.mass *= factor[-1]
        body.inertia *= factor[-1]
        for geom in body.geoms:
            geom.density *= factor[-1]
            geom.mass *= factor[-1]  # NaN where the density says it
    return nominal, spec.compile(), np.array(factor)


@pytest.mark.parametrize("name", BODIES)
def test_constants_are_those_of_a_model_compiled_with_these_masses(name):
    nominal, compiled, factor = heavier(BODIES[name], np.random.default_rng(0))
    np.testing.assert_allclose(compiled.body_mass, nominal.body_mass * factor, rtol=1e-12)
    fields = {k: jnp.asarray(getattr(compiled, k)) for k in ("body_mass", "body_inertia")}
    ours = jax.jit(lambda f: derived_constants(nominal, f))(fields)
    assert set(ours) == set(CONSTANTS[:4]) | {k for k in CONSTANTS[4:] if getattr(nominal, k).size}
    for constant, value in ours.items():
        true = getattr(compiled, constant)
        np.testing.assert_allclose(value, true, rtol=2e-5, atol=1e-9, err_msg=constant)
    assert np.abs(compiled.dof_invweight0 / nominal.dof_invweight0 - 1).max() > 0.1


def test_centres_axes_and_armatures_count_too():
    model, rng = mujoco.MjModel.from_xml_string(TREE), np.random.default_rng(1)
    other = mujoco.MjModel.from_xml_string(TREE)
    moving = slice(1, 4)  # of the others, MuJoCo knows that they only slide or stand
    other.body_ipos[moving] += rng.uniform(-0.03, 0.03, (3, 3))
    quat = rng.normal(size=(3, 4))
    other.body_iquat[moving] = quat / np.linalg.norm(quat, axis=1, keepdims=True)
    other.dof_armature[:-2] += rng.uniform(0, 0.1, model.nv - 2)
    other.tendon_armature[:] += rng.uniform(0, 0.1, 2)
    mujoco.mj_setConst(other, mujoco.MjData(other))
    names = ("body_ipos", "body_iquat", "dof_armature", "tendon_armature")
    ours = derived_constants(model, {k: jnp.asarray(getattr(other, k)) for k in names})
    for constant, value in ours.items():
        np.testing.assert_allclose(
            value, getattr(other, constant), rtol=3e-5, atol=1e-9, err_msg=constant
        )


def test_nothing_inertial_nothing_derived():
    model = mujoco.MjModel.from_xml_string(TREE)
    assert derived_constants(model, {"geom_size": jnp.asarray(model.geom_size)}) == {}


STANDING = """
<mujoco>
  <option timestep=".004"/>
  <worldbody>
    <geom type="plane" size="0 0 1"/>
    <body name="box" pos="0 0 .1"><freejoint/><geom type="sphere" size=".1" mass="1"/>
      <body pos="0 0 .2"><joint axis="0 1 0" range="-20 20" limited="true"/>
        <geom type="capsule" size=".03" fromto="0 0 0 .3 0 0" mass=".5"/></body>
    </body>
  </worldbody>
</mujoco>"""
MASSES = [0.0, 6.0, 0.2]


@dataclasses.dataclass(frozen=True)
class Loaded(Task):
    """A task of a user's own that gives each world other masses, and nothing that follows."""

    ctrl_dt: float = 0.02
    sim_dt: float = 0.004
    episode_length: int = 50

    def mjcf(self):
        return STANDING

    def initial(self, key):
        model = self.model()
        inertia = model.body_inertia * (np.array(MASSES) / np.maximum(model.body_mass, 1))[:, None]
        fields = {"body_mass": jnp.array(MASSES), "body_inertia": jnp.asarray(inertia)}
        return Initial(jnp.asarray(model.qpos0), jnp.zeros(model.nv), jnp.zeros(0), (), fields)

    def observe(self, physics):
        return jnp.concatenate([physics.qpos, physics.qvel])

    def reward(self, before, action, after):
        return after.qpos[2], {}


def test_a_task_s_own_masses_sink_into_the_floor_as_in_c_mujoco():
    env = envs.make(f"{__name__}:Loaded", engine="native")
    state, step = jax.jit(env.reset)(jax.random.key(0)), jax.jit(env.step)
    for _ in range(10):
        state = step(state, jnp.zeros(0))
    after = {}
    for constants in ("their own", "nominal"):
        model = env.engine.model.__copy__()
        for name in ("body_mass", "body_inertia"):
            getattr(model, name)[:] = state.sim.fields[name]
        data = mujoco.MjData(model)
        if constants == "their own":
            mujoco.mj_setConst(model, data)
            mujoco.mj_resetData(model, data)
        mujoco.mj_step(model, data, 50)
        after[constants] = data.qpos.copy()
    np.testing.assert_allclose(state.sim.physics.qpos, after["their own"], atol=2e-6)
    assert np.abs(after["nominal"] - after["their own"]).max() > 1e-4


def test_masses_of_what_is_not_covered_are_refused():
    discrete = STANDING.replace('timestep=".004"', 'timestep=".004" integrator="discrete"')
    model = mujoco.MjModel.from_xml_string(discrete)
    with pytest.raises(ValueError, match=r"body_mass cannot differ .* integrator='discrete'"):
        derived_constants(model, {"body_mass": jnp.asarray(model.body_mass)})


def test_a_field_is_not_given_twice():
    env = envs.make(f"{__name__}:Loaded", engine="native", randomise=Randomisation(mass=(0.5, 2.0)))
    with pytest.raises(ValueError, match="body_mass cannot be randomised here"):
        env.initial(jax.random.key(0))


SMALL = ("hopper", "ant", "anymal", "walker-run", "humanoid-run", "fish-swim", "cup-catch")
LARGE = ("quadruped-run", "dog-run", "myo-hand-key-turn", "muscle-humanoid")


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL + LARGE)
def test_shipped_bodies_in_both_precisions(name):
    nominal = envs.make(name, engine="native").engine.model
    other, rng = nominal.__copy__(), np.random.default_rng(2)
    factor = rng.uniform(0.5, 2, nominal.nbody)
    other.body_mass[:] *= factor
    other.body_inertia[:] *= factor[:, None]
    mujoco.mj_setConst(other, mujoco.MjData(other))
    for double, tolerance in ((True, 1e-12), (False, 2e-5)):
        with jax.enable_x64(double):
            fields = {k: jnp.asarray(getattr(other, k)) for k in ("body_mass", "body_inertia")}
            for constant, value in jax.jit(lambda f: derived_constants(nominal, f))(fields).items():
                true = getattr(other, constant)
                np.testing.assert_allclose(value, true, rtol=tolerance, atol=1e-12)
