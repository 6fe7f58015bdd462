"""Rows of the conformance sweep: sensors."""

from conformance import Row
from conformance_bodies import NO

SWING = (
    '<body name="b{n}" pos="{x} 0 0"><joint name="j{n}" axis="0 1 0" range="-.05 .05"/>'
    '<geom name="g{n}" size=".1" pos=".2 .05 .1" ' + NO + "/>"
    '<site name="s{n}" pos=".3 0 .1" euler=".1 .2 .3"/><camera name="c{n}" pos="0 -1 0" xyaxes="1 0 0 0 0 1" resolution="64 48"/>'
    '<body name="d{n}" pos=".4 0 0"><joint name="k{n}" type="ball"/>'
    '<geom name="h{n}" type="box" size=".1 .12 .14" pos=".1 0 0" '
    + NO
    + '/><site name="t{n}" pos=".1 .1 .1"/></body></body>'
    '<site name="w{n}" pos="{x} .3 .8"/>'
)
PARTS = (
    '<tendon><fixed name="t{n}" range="-.02 .02"><joint joint="j{n}" coef="1"/></fixed></tendon>'
    '<actuator><motor name="a{n}" joint="j{n}"/><motor name="e{n}" tendon="t{n}"/></actuator>'
)
BALL = (
    '<body name="b{n}" pos="{x} 0 .099"><freejoint/><geom name="g{n}" type="sphere" size=".1" {bit}/>'
    '<site name="s{n}" size=".11"/></body><geom name="f{n}" type="plane" size="1 1 1" pos="{x} 0 0" {bit}/>'
)


PAINT = '<material name="paint"/>'
WALL = (
    '<body pos="{x} 0 0"><joint axis="0 1 0"/><geom size=".1" contype="0" conaffinity="0"/>'
    '<site name="z{n}" pos="0 0 .2"/></body>'
    '<geom type="box" size=".5 .5 .1" pos="{x} 0 1" contype="0" conaffinity="0"/>'
)


def _row(feature: str, sensor: str, world: str = SWING, **more) -> Row:
    parts = PARTS if world is SWING else ""
    return Row("sensors", feature, world, f"{parts}<sensor>{sensor}</sensor>", sensed=True, **more)


def _touch(feature: str, sensor: str, **more) -> Row:
    return _row(feature, sensor, BALL, spread=0.0, speed=0.05, **more)


_OF_SITES = ("accelerometer", "velocimeter", "gyro", "force", "torque", "magnetometer")
_OF_FRAMES = (
    *("framepos", "framequat", "framexaxis", "frameyaxis", "framezaxis"),
    *("framelinvel", "frameangvel", "framelinacc", "frameangacc"),
)
_OBJECTS = (
    ("body", "d{n}"),
    ("xbody", "d{n}"),
    ("geom", "h{n}"),
    ("site", "t{n}"),
    ("camera", "c{n}"),
)


def _frames(kind: str) -> str:
    relative = "" if kind.endswith("acc") else ' reftype="site" refname="s{n}"'
    plain = "".join(f'<{kind} objtype="{o}" objname="{n}"/>' for o, n in _OBJECTS)
    return plain + f'<{kind} objtype="xbody" objname="d{{n}}"{relative}/>'


ROWS = (
    *(_row(kind, f'<{kind} site="t{{n}}"/>') for kind in _OF_SITES),
    *(_row(f"{kind} of bodies, geoms, sites, cameras", _frames(kind)) for kind in _OF_FRAMES),
    _row("jointpos, jointvel", '<jointpos joint="j{n}"/><jointvel joint="j{n}"/>'),
    _row("ballquat, ballangvel", '<ballquat joint="k{n}"/><ballangvel joint="k{n}"/>'),
    _row("tendonpos, tendonvel", '<tendonpos tendon="t{n}"/><tendonvel tendon="t{n}"/>'),
    _row(
        "actuatorpos, actuatorvel, actuatorfrc",
        '<actuatorpos actuator="a{n}"/><actuatorvel actuator="a{n}"/><actuatorfrc actuator="a{n}"/>',
    ),
    _row("jointactuatorfrc", '<jointactuatorfrc joint="j{n}"/>'),
    _row("tendonactuatorfrc", '<tendonactuatorfrc tendon="t{n}"/>'),
    _row("jointlimitpos", '<jointlimitpos joint="j{n}"/>'),
    _row("jointlimitvel", '<jointlimitvel joint="j{n}"/>'),
    _row("jointlimitfrc", '<jointlimitfrc joint="j{n}"/>'),
    _row("tendonlimitpos", '<tendonlimitpos tendon="t{n}"/>'),
    _row("tendonlimitvel", '<tendonlimitvel tendon="t{n}"/>'),
    _row("tendonlimitfrc", '<tendonlimitfrc tendon="t{n}"/>'),
    _row("subtreecom", '<subtreecom body="b{n}"/>'),
    _row("subtreelinvel", '<subtreelinvel body="b{n}"/>'),
    _row("subtreeangmom", '<subtreeangmom body="b{n}"/>'),
    _row("e_potential", "<e_potential/>"),
    _row("e_kinetic", "<e_kinetic/>"),
    _row("clock", "<clock/>"),
    _row("user", '<user dim="2"/>'),
    _row("camprojection", '<camprojection site="w{n}" camera="c{n}"/>'),
    _row("rangefinder", '<rangefinder site="w{n}"/>'),
    _row("rangefinder in a model with materials", '<rangefinder site="z{n}"/>', WALL, asset=PAINT),
    _row(
        "rangefinder before a cylinder",
        '<rangefinder site="z{n}"/>',
        WALL.replace('type="box"', 'type="cylinder"'),
        asset=PAINT,
    ),
    _row("insidesite", '<insidesite site="w{n}" objtype="xbody" objname="d{n}"/>'),
    _row(
        "distance, normal, fromto",
        '<distance geom1="g{n}" geom2="h{n}" cutoff="5"/><normal geom1="g{n}" geom2="h{n}" cutoff="5"/><fromto geom1="g{n}" geom2="h{n}" cutoff="5"/>',
    ),
    _row(
        "cutoff",
        '<jointvel joint="j{n}" cutoff=".3"/><accelerometer site="t{n}" cutoff="2"/><velocimeter site="t{n}" cutoff=".2"/>',
    ),
    _row(
        "cutoff of framelinacc and frameangacc",
        '<framelinacc objtype="site" objname="t{n}" cutoff="2"/><frameangacc objtype="site" objname="t{n}" cutoff="2"/>',
    ),
    _row("noise (no engine draws it)", '<jointvel joint="j{n}" noise=".3"/>'),
    _row(
        "delay, interval and nsample of a sensor",
        '<jointvel joint="j{n}" delay=".01" nsample="3"/>',
    ),
    _touch("touch", '<touch site="s{n}"/>'),
    _row(
        "touch in a site that is a cylinder",
        '<touch site="s{n}"/>',
        BALL.replace('size=".11"', 'type="cylinder" size=".11 .11"'),
        spread=0.0,
        speed=0.05,
    ),
    _touch(
        "contact, of two geoms",
        '<contact geom1="g{n}" geom2="f{n}" data="found force dist pos normal"/>',
    ),
    _touch(
        "contact, reduce maxforce",
        '<contact geom1="g{n}" geom2="f{n}" data="force" reduce="maxforce"/>',
    ),
    _touch("contact, reduce netforce", '<contact geom1="g{n}" data="force" reduce="netforce"/>'),
    _touch("contact, of a body", '<contact body1="b{n}" data="found force"/>'),
    _touch("contact, of a subtree", '<contact subtree1="b{n}" data="found force"/>'),
    _touch("contact, in a site", '<contact site="s{n}" data="found force"/>'),
    _touch(
        "force and torque under contacts",
        '<force site="s{n}"/><torque site="s{n}"/><accelerometer site="s{n}"/>',
    ),
)
