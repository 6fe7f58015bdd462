"""What an engine lacks is said when it is made: the feature, the element that has it, a way out."""

import mujoco
import pytest
from engine_cases import ENGINES
from mjxwm_envs.check import first_cause
from mjxwm_envs.engines.native import Native

ARM = """
<mujoco>
  <option density="{density}" integrator="{integrator}"><flag {flags}/></option>
  <worldbody>
    <body>
      <joint name="elbow" axis="0 1 0" {joint}/>
      <geom name="bone" type="ellipsoid" size=".1 .05 .2" {geom}/>
      <site name="palm" pos="0 0 .2"/>
    </body>
    <site name="wall" pos="1 0 0"/>
  </worldbody>
  <tendon><spatial name="cord" {tendon}><site site="palm"/><site site="wall"/></spatial></tendon>
  <actuator><general name="motor" joint="elbow" {actuator}/></actuator>
</mujoco>"""


def arm(**parts: str) -> mujoco.MjModel:
    fields = dict.fromkeys(("joint", "geom", "tendon", "actuator"), "")
    fields |= {"density": "0", "integrator": "Euler", "flags": 'contact="enable"'}
    return mujoco.MjModel.from_xml_string(ARM.format(**fields | parts))


@pytest.mark.parametrize(
    ("engine", "parts", "said"),
    [
        ("mjx", {"joint": 'stiffness="1 0 2"'}, "polynomial stiffness .joint 'elbow'"),
        ("mjx", {"joint": 'damping="0 .1"'}, "polynomial damping .joint 'elbow'"),
        ("mjx", {"tendon": 'stiffness="0 5"'}, "polynomial stiffness .tendon 'cord'"),
        ("mjx", {"tendon": 'damping="1 5"'}, "polynomial damping .tendon 'cord'"),
        ("mjx", {"actuator": 'damping=".3"'}, "damping of actuators .actuator 'motor'"),
        ("warp", {"actuator": 'armature=".3"'}, "armature of actuators .actuator 'motor'"),
        ("mjx", {"geom": 'fluidshape="ellipsoid"', "density": "9"}, "ellipsoids .geom 'bone'"),
        ("mjx", {"geom": 'surfacevel="1 0 0 0 0 0"'}, "moving surfaces .geom 'bone'"),
        ("mjx", {"geom": 'adhesion="1"'}, "adhesion of contacts .geom 'bone'"),
        ("mjx", {"flags": 'override="enable"'}, "overridden .*<flag override='enable'/>"),
        ("mjx", {"integrator": "discrete"}, "the discrete integrator"),
        ("native", {"flags": 'sleep="enable"'}, "sleeping .* remove it"),
        ("mjx", {"flags": 'sleep="enable"'}, "sleeping .* remove it"),
        ("warp", {"flags": 'sleep="enable"'}, "sleeping .* remove it"),
    ],
)
def test_a_refusal_names_the_feature_the_element_and_the_way_out(engine, parts, said):
    with pytest.raises(ValueError, match=said) as caught:
        ENGINES[engine](arm(**parts), 1)
    message = str(caught.value)
    assert f"engine={engine!r}" in message
    assert "\n" not in message
    if "sleep" not in said:
        assert "use engine='native'" in message
        Native(arm(**parts), 1)


def test_a_feature_that_makes_no_difference_is_not_refused():
    # An ellipsoid in a vacuum; a spatial tendon where nobody reads the forces on bodies.
    ENGINES["mjx"](arm(geom='fluidshape="ellipsoid"'), 1, ("cacc",))
    with pytest.raises(ValueError, match=r"tendons in cfrc_ext .* \(tendon 'cord'"):
        ENGINES["mjx"](arm(), 1, ("cfrc_ext",))


def test_a_reason_is_the_first_error_and_not_the_traceback_around_it():
    error = RuntimeError("on its way")
    error.__cause__ = ZeroDivisionError("in a task's own function\nsecond line")
    assert first_cause(error) == "ZeroDivisionError: in a task's own function"
    wrapped = (
        "INTERNAL: Error when calling buffer callback: Traceback (most recent call last):\n"
        "  File \"a.py\", line 1, in f\n    g()\nKeyError: 'x'\n\n"
        "During handling of the above exception, another exception occurred:\n\n"
        "Traceback (most recent call last):\n  File ...\nOSError: later"
    )
    assert first_cause(RuntimeError(wrapped)) == "KeyError: 'x'"


def test_what_differs_but_is_usable_is_warned_of_by_name():
    hung = """
    <mujoco>
      <worldbody>
        <body name="hand" mocap="true"/>
        <body name="cup"><freejoint/><geom size=".1"/></body>
      </worldbody>
      <equality><weld name="grip" body1="hand" body2="cup"/></equality>
    </mujoco>"""
    model = mujoco.MjModel.from_xml_string(hung)
    with pytest.warns(UserWarning, match="engine='warp' .*weld constraints .*'grip'"):
        ENGINES["warp"](model, 1)
