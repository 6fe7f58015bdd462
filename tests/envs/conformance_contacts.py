"""Rows of the conformance sweep: geoms in pairs, and the attributes of contacts."""

import functools

import mujoco
from conformance import Row, compiled

TETRAHEDRON = '<mesh name="tetra" vertex="0 0 .25  .2 0 -.1  -.1 .17 -.1  -.1 -.17 -.1"/>'
HILLS = '<hfield name="hills" nrow="4" ncol="4" size="1 1 .2 .1" elevation="0 1 0 0 1 0 .5 0 0 .3 0 1 .2 0 1 0"/>'
SHAPES = {
    "sphere": 'type="sphere" size=".15"',
    "capsule": 'type="capsule" size=".08 .12" euler="0 1.3 {turn}"',
    "ellipsoid": 'type="ellipsoid" size=".2 .15 .1"',
    "cylinder": 'type="cylinder" size=".15 .1"',
    "box": 'type="box" size=".15 .12 .1"',
    "mesh": 'type="mesh" mesh="tetra"',
}
GROUND = {
    "plane": 'type="plane" size="2 2 .1"',
    "hfield": 'type="hfield" hfield="hills"',
    **SHAPES,
}


def falling(
    shape: str, on: str = "plane", geom: str = "", ground: str = "", deep: float = 0.004
) -> str:
    """A free body that reaches into what is fixed below it; `deep` is by how much [m]."""
    return _placed(shape, on, geom, ground).replace("{z}", f"{_height(shape, on) - deep:.6f}")


def _placed(shape: str, on: str, geom: str = "", ground: str = "") -> str:
    below, above = GROUND[on].replace("{turn}", "0"), SHAPES[shape].replace("{turn}", "1")
    return (
        f'<geom name="f{{n}}" pos="{{x}} 0 0" {below} {{bit}} {ground}/>'
        f'<body name="b{{n}}" pos="{{x}} 0 {{z}}"><freejoint/>'
        f'<geom name="g{{n}}" {above} {{bit}} {geom}/></body>'
    )


@functools.cache
def _height(shape: str, on: str) -> float:
    """Where the body begins to touch, by C MuJoCo, halving an interval."""
    row = Row("", "", _placed(shape, on).replace("{z}", "2"), asset=TETRAHEDRON + HILLS)
    model = compiled([row])
    data, low, high = mujoco.MjData(model), 0.0, 1.0
    for _ in range(20):
        data.qpos[2] = (low + high) / 2
        mujoco.mj_forward(model, data)
        low, high = (data.qpos[2], high) if data.ncon else (low, data.qpos[2])
    return low


def _pair(shape: str, on: str, **more) -> Row:
    asset = TETRAHEDRON * ("mesh" in (shape, on)) + HILLS * (on == "hfield")
    return Row(
        "pairs of geoms",
        f"{on} and {shape}",
        falling(shape, on),
        asset=asset,
        speed=0.3,
        spread=0.003,
        **more,
    )


def _contact(feature: str, world: str, **more) -> Row:
    return Row("contacts", feature, world, speed=more.pop("speed", 0.3), spread=0.003, **more)


_KINDS = tuple(GROUND)
_CORRECTED = {
    ("plane", "capsule"): ("mjx",),
    ("plane", "box"): ("mjx",),
    ("plane", "mesh"): ("mjx",),
    ("capsule", "capsule"): ("mjx",),
}
PAIRS = tuple(
    _pair(shape, on, corrected=_CORRECTED.get((on, shape), ()))
    for on in _KINDS
    for shape in SHAPES
    if on in ("plane", "hfield") or _KINDS.index(on) <= _KINDS.index(shape)
)

LEVEL = (
    '<body pos="{x} 0 .2"><freejoint/><geom type="capsule" size=".1 .2" euler="0 1.5708 0" {bit}/></body>'
    '<geom type="capsule" size=".1 .3" euler="0 1.5708 0" pos="{x} 0 .004" {bit}/>'
)
ROWS = (
    *PAIRS,
    Row(
        "pairs of geoms", "capsules in parallel", LEVEL, speed=0.02, spread=0.0, corrected=("mjx",)
    ),
    _contact("condim 1", falling("sphere", geom='condim="1"', ground='condim="1"')),
    _contact("condim 3", falling("sphere", geom='condim="3"')),
    _contact("condim 4", falling("sphere", geom='condim="4" friction="1 .05 .01"')),
    _contact("condim 6", falling("sphere", geom='condim="6" friction="1 .05 .01"')),
    _contact(
        "friction of two geoms", falling("sphere", geom='friction=".3"', ground='friction=".7"')
    ),
    _contact(
        "priority",
        falling("sphere", geom='friction=".3" priority="1" condim="1"', ground='friction=".7"'),
    ),
    _contact(
        "solmix", falling("sphere", geom='solmix="3" solref=".05 .5"', ground='solref=".02 1"')
    ),
    _contact("solref negative", falling("sphere", geom='solref="-500 -10" solmix="1e9"')),
    _contact(
        "solimp, power and midpoint",
        falling("sphere", geom='solimp=".5 .95 .01 .3 3" solmix="1e9"'),
    ),
    _contact(
        "solimp, a power that is not whole",
        falling("sphere", geom='solimp=".5 .95 .01 .3 2.5" solmix="1e9"'),
    ),
    _contact("margin", falling("sphere", geom='margin=".05"', deep=-0.02)),
    _contact("gap", falling("sphere", geom='margin=".05" gap=".03"', deep=-0.01)),
    _contact(
        "margin of a mesh", falling("mesh", geom='margin=".05"', deep=-0.02), asset=TETRAHEDRON
    ),
    _contact(
        "pair, with its own parameters",
        falling("sphere"),
        after='<contact><pair geom1="f{n}" geom2="g{n}" condim="4" friction=".5 .3 .01 .001 .001" solref=".03 .8" margin=".02" gap=".01"/></contact>',
    ),
    _contact(
        "pair, solreffriction",
        falling("sphere"),
        after='<contact><pair geom1="f{n}" geom2="g{n}" solreffriction="-20 -5"/></contact>',
    ),
    _contact(
        "exclude",
        '<body name="p{n}" pos="{x} 0 .1"><freejoint/><geom size=".1" {bit}/></body><body name="q{n}" pos="{x} 0 .25"><freejoint/><geom size=".1" {bit}/></body>',
        after='<contact><exclude body1="p{n}" body2="q{n}"/></contact>',
    ),
    _contact(
        "contype and conaffinity",
        '<body pos="{x} 0 .1"><freejoint/><geom size=".1" contype="2" conaffinity="4"/></body><body pos="{x} 0 .25"><freejoint/><geom size=".1" contype="8" conaffinity="0"/></body>',
    ),
    _contact(
        "bodies that touch one another",
        '<body pos="{x} 0 .1"><freejoint/><geom size=".1" {bit}/></body><body pos="{x} .02 .29"><freejoint/><geom type="capsule" size=".1 .1" {bit}/></body>',
    ),
    _contact("adhesion of a geom", falling("sphere", geom='adhesion="3"')),
    _contact("surfacevel", falling("sphere", ground='surfacevel="1 0 0 0 0 0"')),
)
