"""Rows of the conformance sweep: options and flags, which concern a whole model."""

from conformance import Row
from conformance_bodies import NO
from conformance_contacts import falling

ARM = (
    '<body name="b{n}" pos="{x} 0 0"><joint name="j{n}" axis="0 1 0" damping=".5" stiffness="3" '
    f'armature=".05"/><geom name="a{{n}}" type="capsule" size=".08 .2" pos=".2 .05 .1" {NO}/></body>'
)
MOTORS = (
    '<actuator><position joint="j{n}" kp="20" kv="2" forcerange="-3 3"/>'
    '<general joint="j{n}" dyntype="filter" dynprm=".05" gainprm="2" ctrlrange="-.4 .4"/></actuator>'
)
SLIDING = falling("sphere") + (
    '<body pos="{x} 5 0"><joint axis="0 1 0" range="-.02 .02" frictionloss=".1"/>'
    f'<geom size=".1" pos=".2 0 .1" {NO}/></body>'
)
EQUAL = SLIDING + (
    f'<body name="e{{n}}" pos="{{x}} 8 0"><joint/><geom size=".1" pos="0 .2 0" {NO}/></body>'
)
WELD = '<equality><connect body1="e{n}" anchor="0 .2 .1"/></equality>'
FLUID = '<body pos="{x} 0 0"><freejoint/><geom type="ellipsoid" size=".1 .2 .3" {shape}/></body>'
TWO = falling("sphere") + '<body pos="{x} 0 .34"><freejoint/><geom size=".1" {bit}/></body>'
SLIPPING = falling("box")


def _option(feature: str, option: str, world: str = ARM, **more) -> Row:
    more = {"after": MOTORS if world is ARM else "", "spread": 0.02, **more}
    return Row("options", feature, world, option=option, **more)


def _flag(feature: str, flag: str, world: str = ARM, **more) -> Row:
    more = {"after": MOTORS if world is ARM else "", "spread": 0.02, **more}
    return Row("flags", feature, world, flag=flag, **more)


def _both(feature: str, option: str, **more) -> Row:
    return _option(feature, option, SLIDING, spread=0.002, speed=0.3, **more)


def _loose(feature: str, flag: str, world: str = EQUAL, **more) -> Row:
    return _flag(feature, flag, world, after=WELD, spread=0.002, speed=0.3, **more)


LIQUID = 'density="500" viscosity=".3" wind=".5 -.2 .1"'

ROWS = (
    _option("integrator Euler", 'integrator="Euler"'),
    _option("integrator RK4", 'integrator="RK4"'),
    _option("integrator RK4 with contacts", 'integrator="RK4"', SLIDING, spread=0.002, speed=0.3),
    _option("integrator implicit", 'integrator="implicit"'),
    _option("integrator implicitfast", 'integrator="implicitfast"', corrected=("mjx",)),
    _option("integrator discrete", 'integrator="discrete"'),
    _both("cone pyramidal", 'cone="pyramidal"'),
    _both("cone elliptic", 'cone="elliptic"'),
    _option(
        "cone elliptic with condim 1",
        'cone="elliptic"',
        falling("sphere", geom='condim="1"', ground='condim="1"'),
        spread=0.002,
        speed=0.3,
    ),
    _both("impratio", 'impratio="5"'),
    _both("impratio, elliptic", 'impratio="5" cone="elliptic"'),
    _both("solver Newton", 'solver="Newton"'),
    _both("solver CG", 'solver="CG" iterations="500" ls_iterations="100"'),
    _both("solver PGS", 'solver="PGS" iterations="1000"'),
    _both("jacobian dense", 'jacobian="dense"'),
    _both("jacobian sparse", 'jacobian="sparse"'),
    _option(
        "noslip_iterations",
        'noslip_iterations="5" cone="elliptic"',
        SLIPPING,
        spread=0.0,
        speed=0.3,
    ),
    _option("timestep", 'timestep=".013"'),
    _option("gravity", 'gravity="1 -2 3"'),
    _option(
        "magnetic",
        'magnetic="1 2 3"',
        '<body pos="{x} 0 0"><joint/><geom size=".1" pos=".1 0 0"/><site name="s{n}"/></body>',
        after='<sensor><magnetometer site="s{n}"/></sensor>',
        sensed=True,
    ),
    _option("density, viscosity, wind (inertia boxes)", LIQUID, FLUID.replace("{shape}", NO)),
    _option(
        "fluidshape ellipsoid", LIQUID, FLUID.replace("{shape}", NO + ' fluidshape="ellipsoid"')
    ),
    _option(
        "fluid with implicitfast",
        LIQUID + ' integrator="implicitfast"',
        FLUID.replace("{shape}", NO),
    ),
    _option(
        "muscle with implicitfast",
        'integrator="implicitfast"',
        after='<actuator><muscle joint="j{n}" lengthrange="-1 1" force="50"/></actuator>',
        corrected=("mjx",),
    ),
    _option(
        "bodies in fast rotation with implicitfast",
        'integrator="implicitfast"',
        '<body pos="{x} 0 0"><joint type="ball" damping=".1"/><geom type="box" size=".1 .2 .3" pos=".1 0 0" '
        + NO
        + "/></body>",
        speed=5,
    ),
    _both("ccd_iterations, ccd_tolerance", 'ccd_iterations="20" ccd_tolerance="1e-4"'),
    _both("o_margin, o_solref, o_solimp (without the flag)", 'o_margin=".1" o_solref=".1 1"'),
    _flag("override", 'override="enable"', SLIDING, spread=0.002, speed=0.3),
    _flag("energy", 'energy="enable"'),
    _flag("fwdinv", 'fwdinv="enable"', SLIDING, spread=0.002, speed=0.3),
    _flag("invdiscrete", 'invdiscrete="enable"'),
    _flag("sleep", 'sleep="enable"'),
    _flag("diagexact", 'diagexact="enable"', SLIDING, spread=0.002, speed=0.3),
    _flag("ipc", 'ipc="enable"', SLIDING, option='integrator="discrete" solver="CG"'),
    _loose("constraint", 'constraint="disable"'),
    _loose("equality", 'equality="disable"'),
    _loose("frictionloss", 'frictionloss="disable"'),
    _loose("limit", 'limit="disable"'),
    _loose("contact", 'contact="disable"'),
    _flag("spring", 'spring="disable"'),
    _flag("damper", 'damper="disable"'),
    _flag("spring and damper", 'spring="disable" damper="disable"'),
    _flag(
        "spring disabled, gravcomp",
        'spring="disable"',
        ARM.replace("<joint", "<joint", 1).replace('pos="{x} 0 0"', 'pos="{x} 0 0" gravcomp="1"'),
    ),
    _flag(
        "spring and damper disabled, gravcomp",
        'spring="disable" damper="disable"',
        ARM.replace('pos="{x} 0 0"', 'pos="{x} 0 0" gravcomp="1"'),
    ),
    _flag(
        "spring disabled, in a fluid",
        'spring="disable"',
        FLUID.replace("{shape}", NO),
        option=LIQUID,
    ),
    _flag(
        "damper disabled, implicitfast",
        'damper="disable"',
        option='integrator="implicitfast"',
        corrected=("mjx",),
    ),
    _flag("gravity", 'gravity="disable"'),
    _flag("clampctrl", 'clampctrl="disable"'),
    _loose("warmstart", 'warmstart="disable"'),
    _flag(
        "filterparent",
        'filterparent="disable"',
        '<body pos="{x} 0 0"><joint axis="0 1 0"/><geom size=".1" {bit}/><body pos=".15 0 0"><joint axis="0 1 0"/><geom size=".1" pos=".03 0 0" {bit}/></body></body>',
        speed=0.3,
    ),
    _flag("actuation", 'actuation="disable"'),
    _flag(
        "refsafe",
        'refsafe="disable"',
        falling("sphere", geom='solref=".002 1" solmix="1e9"'),
        spread=0.002,
        speed=0.1,
    ),
    _flag("sensor", 'sensor="disable"'),
    _loose("midphase", 'midphase="disable"'),
    _flag("eulerdamp", 'eulerdamp="disable"'),
    _flag("nativeccd", 'nativeccd="disable"', SLIDING, spread=0.002, speed=0.3),
    _flag("island", 'island="disable"', TWO, spread=0.002, speed=0.3),
    _flag("multiccd", 'multiccd="disable"', SLIDING, spread=0.002, speed=0.3),
)
