"""What solref and solimp make of a constraint, and its derivative, are C MuJoCo's."""

import gradient_cases as cases
import jax
import mujoco
import numpy as np
import pytest
from gradient_cases import Point
from mjxwm_envs.engines import constraints
from mujoco import mjx
from test_rest_gradients import gradient

SOLREFS = (".02 1", ".05 .3", "-400 -20", "-900 0", "0 -3", ".02 -1", "-300 5", ".0001 1")
SOLIMPS = (
    ".9 .95 .01 .5 2",
    ".9 .95 .01 .5 2.5",
    ".2 .99 .01 .3 1.3",
    ".9 .95 .01 .5 1",
    ".9 .95 .01 0 3.7",
    ".9 .95 .01 1 1.5",
    ".9 .9 .01 .5 2.5",
    ".95 .5 .01 .7 2.2",
    ".3 .8 0 .5 2",
    "0 1 .01 .5 6.5",
    ".1 .9 .01 .001 15",
)
OFF = (0.0005, 0.0029, 0.0071, 0.0099, 0.03)
"""How far [rad] joints are beyond their limits: before and past midpoints, and past the width."""


@pytest.fixture(scope="module", autouse=True)
def double():
    with jax.enable_x64(True):
        yield


@pytest.fixture(scope="module")
def limits():
    """Hinges beyond their limits, one for each solref, solimp and distance: model and data."""
    bodies = "".join(
        f'<body><joint axis="0 0 1" range="-1 0" limited="true" solreflimit="{solref}" '
        f'solimplimit="{solimp}"/><geom size=".1" contype="0" conaffinity="0"/></body>'
        for i, solimp in enumerate(SOLIMPS)
        for solref in (SOLREFS[i % len(SOLREFS)], SOLREFS[-1 - i % len(SOLREFS)])
        for _ in OFF
    )
    text = f'<mujoco><compiler angle="radian"/><worldbody>{bodies}</worldbody></mujoco>'
    model = mujoco.MjModel.from_xml_string(text)
    data = mujoco.MjData(model)
    data.qpos[:] = np.tile(OFF, model.nq // len(OFF))
    mujoco.mj_forward(model, data)
    assert data.nefc == model.nq
    return model, data


def test_stiffness_and_damping_are_c_mujocos(limits):
    model, data = limits
    dmax = np.clip(model.jnt_solimp[:, 1], mujoco.mjMINIMP, mujoco.mjMAXIMP)
    stiffness, damping = constraints.reference(mjx.put_model(model), model.jnt_solref, dmax)
    np.testing.assert_allclose(stiffness, data.efc_KBIP[:, 0], rtol=1e-12)
    np.testing.assert_allclose(damping, data.efc_KBIP[:, 1], rtol=1e-12)


@pytest.mark.parametrize("mode", [jax.jacfwd, jax.jacrev])
def test_impedance_and_its_slope_are_c_mujocos(limits, mode):
    model, data = limits
    function = jax.jit(constraints.impedance)
    np.testing.assert_allclose(
        function(model.jnt_solimp, data.efc_pos), data.efc_KBIP[:, 2], rtol=1e-12
    )
    slope = jax.jit(mode(constraints.impedance, argnums=1))(model.jnt_solimp, data.efc_pos)
    np.testing.assert_allclose(np.diag(slope), data.efc_KBIP[:, 3], rtol=1e-9, atol=1e-12)


def test_randomised_settings_have_finite_slopes(limits):
    """With respect to solref and solimp, in single precision too."""
    model, data = limits
    sizes = np.clip(model.jnt_solimp[:, 1], 0.01, 0.99)
    with jax.enable_x64(False):
        put = mjx.put_model(model)
        # The last power underflows where it is not taken of a quotient.
        np.testing.assert_allclose(
            constraints.impedance(np.float32(model.jnt_solimp), np.float32(data.efc_pos)),
            data.efc_KBIP[:, 2],
            rtol=1e-5,
        )
        solimp, solref, pos = map(np.float32, (model.jnt_solimp, model.jnt_solref, data.efc_pos))
        by_solimp = jax.grad(lambda x: constraints.impedance(x, pos).sum())(solimp)
        by_solref = jax.grad(lambda x: constraints.reference(put, x, np.float32(sizes))[0].sum())(
            solref
        )
    assert np.isfinite(by_solimp).all()
    assert np.isfinite(by_solref).all()


STIFF = """
<mujoco>
  <option timestep=".004"/>
  <default><geom contype="0" conaffinity="0" density="400"/></default>
  <worldbody>
    <geom type="plane" size="0 0 1" contype="1"/>
    <body>
      <joint name="first" axis="0 1 0" range="-1 .1" limited="true" solimplimit=".8 .97 .02 .4 1.7"
        solreflimit="-800 -30" frictionloss=".02" solimpfriction=".3 .9 .01 .5 2.5"/>
      <geom type="capsule" size=".03" fromto="0 0 0 .3 0 0"/>
      <body pos=".3 0 0">
        <joint name="second" axis="0 1 0"/>
        <geom type="capsule" size=".03" fromto="0 0 0 .3 0 0"/>
      </body>
    </body>
    <body pos="2 0 .049">
      <joint name="lift" type="slide" axis="0 0 1"/>
      <geom size=".05" conaffinity="1" solimp=".8 .9 .003 .2 3"/>
    </body>
  </worldbody>
  <tendon>
    <fixed name="both" range="-1 .05" limited="true" solimplimit=".5 .9 .1 .6 1.4">
      <joint joint="first" coef="1"/><joint joint="second" coef="1"/>
    </fixed>
  </tendon>
  <equality>
    <joint joint1="second" joint2="lift" polycoef="0 .5 .2 0 0" solimp=".7 .95 .01 .5 4.2"/>
  </equality>
  <actuator><motor joint="first"/><motor joint="lift"/></actuator>
</mujoco>"""


@pytest.mark.slow
def test_a_step_with_powers_that_are_no_integers_has_the_gradient_of_c_mujoco():
    """Limits, friction, a tendon's limit, an equality and a contact, near and past their widths."""
    model = mujoco.MjModel.from_xml_string(STIFF)
    model.opt.iterations, model.opt.tolerance = 100, 1e-15
    function, rng = gradient(model), np.random.default_rng(0)
    for first, second, lift in ((0.0, 0.0, 0.0), (0.113, 0.02, -0.0007), (0.15, -0.3, 0.3)):
        point = Point(np.array([first, second, lift]), rng.normal(size=3), np.zeros(0),
                      rng.normal(size=(1, 2)))  # fmt: skip
        weights = rng.normal(size=6)
        found = cases.flat(function(point, weights))
        slope = cases.differences(model, point, weights, steps=1)
        assert cases.apart(found, slope.central) < 1e-6
