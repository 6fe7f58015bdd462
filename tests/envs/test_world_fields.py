"""Worlds with model fields of their own, against C MuJoCo on a model compiled with them."""

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
import pytest
from mjxwm_envs import Initial, engines

# Frames that coincide with their body's, of which MuJoCo's compiler takes note.
ARM = """
<mujoco>
  <option timestep=".005"/>
  <worldbody>
    <geom type="plane" size="0 0 1"/>
    <body pos="0 0 .3"><joint axis="0 1 0" damping=".1"/>
      <inertial mass="1" pos="{ipos}" diaginertia=".02 .03 .04"/>
      <geom type="sphere" size=".1" pos="{geom_pos}"/>
      <site name="s" pos="{site_pos}"/>
    </body>
  </worldbody>
  <actuator><motor site="s" gear="1 0 0 0 0 0"/></actuator>
  <sensor><framepos objtype="site" objname="s"/></sensor>
</mujoco>"""
NOMINAL = {"ipos": ".1 0 0", "geom_pos": "0 0 0", "site_pos": "0 0 0"}
OTHERS = {"geom_pos": ".2 0 -.25", "site_pos": "0 .1 -.2", "ipos": ".05 .02 -.1"}


def steps(xml, fields, engine_name="native", count=30):
    """Positions and sensors after `count` physics steps at full control."""
    model = mujoco.MjModel.from_xml_string(xml)
    engine = engines.make(engine_name, model, count, ("sensordata",))
    start = Initial(jnp.zeros(1), jnp.zeros(1), jnp.zeros(0), (), fields)
    sim = jax.jit(engine.step)(jax.jit(engine.reset)(start), jnp.ones(1))
    return np.append(sim.physics.qpos, sim.physics.derived["sensordata"])


@pytest.mark.parametrize("part", OTHERS)
def test_a_frame_of_its_own_counts_where_the_file_has_it_at_the_body_s(part):
    place = np.array(OTHERS[part].split(), float)
    name = "body_ipos" if part == "ipos" else part
    model = mujoco.MjModel.from_xml_string(ARM.format(**NOMINAL))
    whole = jnp.asarray(getattr(model, name)).at[-1].set(place)
    ours = steps(ARM.format(**NOMINAL), {name: whole})
    true = steps(ARM.format(**NOMINAL | {part: OTHERS[part]}), {})
    np.testing.assert_allclose(ours, true, atol=1e-6)
    assert np.abs(true - steps(ARM.format(**NOMINAL), {})).max() > 1e-3


def test_a_world_without_fields_after_one_with_them_is_the_nominal_one():
    model = mujoco.MjModel.from_xml_string(ARM.format(**NOMINAL))
    engine = engines.make("native", model, 10, ())
    step = jax.jit(engine.step)
    nominal, heavy = (
        engine.reset(Initial(jnp.zeros(1), jnp.zeros(1), jnp.zeros(0), (), fields))
        for fields in ({}, {"body_mass": jnp.array([0.0, 50.0])})
    )
    first = step(nominal, jnp.ones(1)).physics.qpos
    assert step(heavy, jnp.ones(1)).physics.qpos != first
    assert step(nominal, jnp.ones(1)).physics.qpos == first


def test_a_centre_of_mass_that_the_compiler_built_upon_is_refused_by_name():
    ball = """<mujoco><worldbody><body name="ball"><freejoint/><geom size=".1"/></body></worldbody>
    </mujoco>"""
    model = mujoco.MjModel.from_xml_string(ball)
    engine = engines.make("native", model, 1, ())
    start = Initial(jnp.asarray(model.qpos0), jnp.zeros(6), jnp.zeros(0))
    with pytest.raises(ValueError, match=r"body_ipos cannot differ between worlds .* body ball"):
        engine.reset(start._replace(fields={"body_ipos": jnp.asarray(model.body_ipos)}))
