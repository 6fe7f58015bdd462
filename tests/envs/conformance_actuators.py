"""Rows of the conformance sweep: actuators, and what is delayed."""

from conformance import Row
from conformance_bodies import NO, PAIR, hinge, with_joint


def _row(feature: str, actuator: str, world: str = "", **more) -> Row:
    after = f"<actuator>{actuator}</actuator>" + more.pop("after", "")
    return Row("actuators", feature, world or hinge('damping=".1"'), after, **more)


def general(attributes: str, target: str = 'joint="j{n}"') -> str:
    return f'<general name="a{{n}}" {target} {attributes}/>'


AFFINE = 'gaintype="affine" gainprm="2 .3 .2" biastype="affine" biasprm=".1 -2 -.3"'
CRANK = (
    '<body pos="{x} 0 0"><joint name="j{n}" axis="0 1 0"/>'
    f'<geom size=".1" pos=".1 0 .1" {NO}/><site name="c{{n}}" pos=".2 0 0"/></body>'
    '<site name="d{n}" pos="{x} 0 -.6" zaxis="0 0 1"/>'
)
TIP = hinge() + '<site name="f{n}" pos="{x} .2 .3" euler=".3 .2 .1"/>'
FREE = (
    '<body name="b{n}" pos="{x} 0 .1"><freejoint/><geom type="sphere" size=".1" {bit}/></body>'
    '<geom type="box" size=".5 .5 .1" pos="{x} 0 -.098" {bit}/>'
)
TENDON = (
    '<tendon><fixed name="t{n}"><joint joint="j{n}" coef="1"/>'
    '<joint joint="k{n}" coef="-.6"/></fixed></tendon>'
)
CORD = '<tendon><spatial name="t{n}"><site site="s{n}"/><site site="w{n}"/></spatial></tendon>'
CORD_WORLD = PAIR + '<site name="w{n}" pos="{x} .3 .8"/>'
LENGTHS = 'lengthrange="-1 1"'

ROWS = (
    _row("motor, gear", '<motor joint="j{n}" gear="3"/>'),
    _row("position, kp and kv", '<position joint="j{n}" kp="20" kv="2"/>'),
    _row("position, dampratio", '<position joint="j{n}" kp="20" dampratio="1"/>'),
    _row("position, timeconst", '<position joint="j{n}" kp="20" timeconst=".05"/>'),
    _row(
        "position, inheritrange",
        '<position joint="j{n}" kp="20" inheritrange="1"/>',
        hinge('range="-1 1"'),
    ),
    _row("velocity", '<velocity joint="j{n}" kv="3"/>'),
    _row("intvelocity", '<intvelocity joint="j{n}" kp="20" kv="1" actrange="-1 1"/>'),
    _row("damper", '<damper joint="j{n}" kv="2" ctrlrange="0 1"/>'),
    _row("cylinder", '<cylinder joint="j{n}" area="2" timeconst=".1" bias=".1 -1 -.2"/>'),
    _row("muscle", f'<muscle joint="j{{n}}" {LENGTHS} range=".7 1.1" force="20"/>'),
    _row("muscle, tausmooth", f'<muscle joint="j{{n}}" {LENGTHS} force="20" tausmooth=".3"/>'),
    _row(
        "muscle on a spatial tendon",
        f'<muscle tendon="t{{n}}" {LENGTHS.replace("-1 1", ".3 2")} force="20"/>',
        CORD_WORLD,
        after=CORD,
    ),
    _row("gain and bias affine", general(AFFINE)),
    _row("dyntype integrator", general('dyntype="integrator" gainprm="2"')),
    _row("dyntype filter", general('dyntype="filter" dynprm=".05" gainprm="2"')),
    _row("dyntype filterexact", general('dyntype="filterexact" dynprm=".05" gainprm="2"')),
    _row("dyntype muscle", general('dyntype="muscle" dynprm=".02 .04" gainprm="2"')),
    _row("dyntype user (without a callback)", general('dyntype="user" actdim="2" gainprm="2"')),
    _row("gaintype user (without a callback)", general('gaintype="user" gainprm="2"')),
    _row("actrange", general('dyntype="integrator" actlimited="true" actrange="0 .5" gainprm="2"')),
    _row("actearly", general('dyntype="filter" dynprm=".05" actearly="true" gainprm="2"')),
    _row("actdim", general('dyntype="user" actdim="3" gainprm="2"')),
    _row("ctrlrange", general('ctrlrange="-.2 .2" gainprm="2"')),
    _row("forcerange", general('forcerange="-.3 .3" gainprm="2"')),
    _row("transmission to a slide joint", general('gainprm="2"'), with_joint("slide")),
    _row("transmission to a ball joint", general('gear="1 2 3"'), with_joint("ball")),
    _row("transmission to a free joint", general('gear="1 2 3 4 5 6"'), with_joint("free")),
    _row(
        "position servo of a ball joint",
        '<position joint="j{n}" kp="5" gear="1 2 3"/>',
        with_joint("ball"),
    ),
    _row("jointinparent", general('gear="1 2 3"', 'jointinparent="j{n}"'), with_joint("ball")),
    _row("transmission to a site", general('gear="1 2 3 .1 .2 .3"', 'site="s{n}"')),
    _row(
        "transmission to a site, refsite",
        general('gear="1 2 3 .1 .2 .3"', 'site="s{n}" refsite="f{n}"'),
        TIP,
    ),
    _row(
        "position servo of a site",
        '<position site="s{n}" refsite="f{n}" kp="5" gear="0 0 0 1 0 0"/>',
        TIP,
    ),
    _row(
        "transmission to a fixed tendon",
        general('gainprm="2"', 'tendon="t{n}"'),
        PAIR,
        after=TENDON,
    ),
    _row(
        "transmission to a spatial tendon",
        general('gainprm="2"', 'tendon="t{n}"'),
        CORD_WORLD,
        after=CORD,
    ),
    _row(
        "slider-crank",
        general('gainprm="2"', 'cranksite="c{n}" slidersite="d{n}" cranklength=".7"'),
        CRANK,
    ),
    _row(
        "adhesion to a body",
        '<adhesion body="b{n}" gain="5" ctrlrange="0 1"/>',
        FREE,
        spread=0.0,
        speed=0.01,
    ),
    _row(
        "so3 servo",
        '<general joint="j{n}" gaintype="so3" biastype="so3" gainprm="5" biasprm="0 -5 -.5"/>',
        with_joint("ball"),
    ),
    _row(
        "pid",
        '<general joint="j{n}" gaintype="pid" dyntype="pid" biastype="affine" gainprm="5 1" biasprm="0 -5 -1"/>',
    ),
    _row("dcmotor", '<dcmotor joint="j{n}" motorconst=".5" resistance="2"/>'),
    _row(
        "dcmotor, inductance",
        '<dcmotor joint="j{n}" motorconst=".5" resistance="2" inductance=".1"/>',
    ),
    _row("damping of an actuator", '<motor joint="j{n}" damping="2"/>'),
    _row("damping of an actuator, polynomial", '<motor joint="j{n}" damping="2 1 .5"/>'),
    _row("armature of an actuator", '<motor joint="j{n}" armature=".3"/>'),
    _row(
        "actuatorgroupdisable", general('gainprm="2" group="3"'), option='actuatorgroupdisable="3"'
    ),
    _row("several actuators of a joint", general('gainprm="2"') + '<motor joint="j{n}"/>'),
    _row("delay and nsample of an actuator", '<motor joint="j{n}" delay=".01" nsample="3"/>'),
    _row("delay, interpolated", '<motor joint="j{n}" delay=".012" nsample="4" interp="linear"/>'),
)
