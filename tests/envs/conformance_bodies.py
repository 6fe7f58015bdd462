"""Rows of the conformance sweep: joints, bodies, tendons, equalities."""

from conformance import Row

NO = 'contype="0" conaffinity="0"'


def hinge(joint: str = "", body: str = "", inner: str = "") -> str:
    return (
        f'<body name="b{{n}}" pos="{{x}} 0 0" {body}><joint name="j{{n}}" axis="0 1 0" {joint}/>'
        f'<geom size=".1" pos=".2 .05 .1" {NO}/><site name="s{{n}}" pos=".3 0 .1"/>{inner}</body>'
    )


def with_joint(kind: str, joint: str = "") -> str:
    return (
        f'<body pos="{{x}} 0 1"><joint name="j{{n}}" type="{kind}" {joint}/>'
        f'<geom type="box" size=".1 .15 .2" pos=".05 .02 .1" {NO}/></body>'
    )


def _joint(feature: str, world: str, **more) -> Row:
    return Row("joints and bodies", feature, world, **more)


LINK = (
    '<body pos=".4 0 0"><joint name="k{n}" axis="0 1 .3" damping=".05"/>'
    f'<geom type="capsule" size=".05 .1" pos=".1 0 0" {NO}/><site name="t{{n}}" pos=".2 0 .1"/></body>'
)
PAIR = hinge(inner=LINK)

JOINTS = (
    _joint("hinge joint", hinge()),
    _joint("slide joint", with_joint("slide", 'axis="1 1 0"')),
    _joint("ball joint", with_joint("ball")),
    _joint(
        "free joint",
        f'<body pos="{{x}} 0 1"><freejoint/><geom type="box" size=".1 .2 .3" {NO}/></body>',
    ),
    _joint(
        "several joints of a body",
        '<body pos="{x} 0 0"><joint axis="1 0 0" pos="0 .1 0"/><joint type="slide" axis="0 1 0"/><joint axis="0 0 1"/>'
        f'<geom size=".1" pos=".2 0 0" {NO}/></body>',
    ),
    _joint("stiffness and springref", hinge('stiffness="5" springref=".4"')),
    _joint("stiffness of a ball joint", with_joint("ball", 'stiffness="5"')),
    _joint("stiffness of a free joint", with_joint("free", 'stiffness="5"')),
    _joint("stiffness, polynomial", hinge('stiffness="5 3 2"')),
    _joint("stiffness, polynomial, of a ball joint", with_joint("ball", 'stiffness="5 3 2"')),
    _joint("damping", hinge('damping="2"')),
    _joint("damping, polynomial", hinge('damping="2 1 .5"'), speed=2),
    _joint("springdamper", hinge('springdamper=".3 1"')),
    _joint("armature", hinge('armature=".3"')),
    _joint("ref", hinge('ref=".5" stiffness="2" springref=".7"')),
    _joint("frictionloss", hinge('frictionloss=".3"')),
    _joint(
        "frictionloss, solreffriction and solimpfriction",
        hinge('frictionloss="2" solreffriction=".1 .8" solimpfriction=".5 .9 .1"'),
    ),
    _joint("range (limit of a hinge)", hinge('range="-.05 .05" limited="true"')),
    _joint(
        "range with margin, solreflimit, solimplimit",
        hinge('range="-1 .1" margin=".2" solreflimit=".05 .7" solimplimit=".8 .95 .1 .3 3"'),
    ),
    _joint(
        "both limits of a joint at once",
        hinge('range="-.2 .2" margin=".4"'),
        corrected=("mjx", "warp"),
    ),
    _joint("range of a ball joint", with_joint("ball", 'range="0 .1" limited="true"')),
    _joint("negative solreflimit", hinge('range="-.05 .05" solreflimit="-500 -10"')),
    _joint(
        "actuatorfrcrange",
        hinge('actuatorfrcrange="-.5 .5"'),
        after='<actuator><motor joint="j{n}" gear="5"/></actuator>',
    ),
    _joint("gravcomp", hinge(body='gravcomp=".6"')),
    _joint(
        "actuatorgravcomp",
        hinge('actuatorgravcomp="true"', body='gravcomp="1"'),
        after='<actuator><motor joint="j{n}"/></actuator>',
    ),
    _joint(
        "actuatorgravcomp within actuatorfrcrange",
        hinge('actuatorgravcomp="true" actuatorfrcrange="-.4 .4"', body='gravcomp="1"'),
        after='<actuator><motor joint="j{n}"/></actuator>',
    ),
    _joint(
        "mocap body, welded to",
        hinge() + '<body name="m{n}" mocap="true" pos="{x} .1 0"/>',
        after='<equality><weld body1="m{n}" body2="b{n}"/></equality>',
    ),
    _joint(
        "explicit inertial",
        '<body pos="{x} 0 0"><joint axis="0 1 0"/><inertial pos=".1 0 .2" mass="2" fullinertia=".1 .2 .25 .01 .02 .03"/></body>',
    ),
)


def _tendon(feature: str, tendon: str, world: str = PAIR, **more) -> Row:
    return Row(
        "tendons", feature, world, f"<tendon>{tendon}</tendon>" + more.pop("after", ""), **more
    )


def fixed(attributes: str) -> str:
    return f'<fixed name="t{{n}}" {attributes}><joint joint="j{{n}}" coef="1"/><joint joint="k{{n}}" coef="-.6"/></fixed>'


def spatial(attributes: str, path: str = "") -> str:
    path = path or '<site site="s{n}"/><site site="w{n}"/>'
    return f'<spatial name="t{{n}}" {attributes}>{path}</spatial>'


SITE = PAIR + '<site name="w{n}" pos="{x} .3 .8"/>'


def wrapped(kind: str, side: str = "", place: str = "{x} .4 .5") -> tuple[str, str]:
    world = (
        SITE
        + f'<geom name="o{{n}}" type="{kind}" size=".15 .3" pos="{{x}} .1 .4" {NO}/><site name="q{{n}}" pos="{place}"/>'
    )
    sidesite = 'sidesite="q{n}"' if side else ""
    return world, f'<site site="t{{n}}"/><geom geom="o{{n}}" {sidesite}/><site site="w{{n}}"/>'


TENDONS = (
    _tendon("fixed tendon: stiffness, damping", fixed('stiffness="5" damping=".5"')),
    _tendon("springlength (deadband)", fixed('stiffness="50" springlength="-.05 .05"')),
    _tendon("stiffness, polynomial", fixed('stiffness="5 3 2"')),
    _tendon("damping, polynomial", fixed('damping="1 .5 .2"')),
    _tendon("range of a fixed tendon", fixed('range="-.05 .05" limited="true"')),
    _tendon(
        "both limits of a tendon at once",
        fixed('range="-.2 .2" margin=".5" limited="true"'),
        corrected=("mjx", "warp"),
    ),
    _tendon("frictionloss", fixed('frictionloss=".5"')),
    _tendon("armature of a fixed tendon", fixed('armature=".3"')),
    _tendon(
        "actuatorfrcrange of a tendon",
        fixed('actuatorfrcrange="-.3 .3"'),
        after='<actuator><motor tendon="t{n}" gear="3"/></actuator>',
    ),
    _tendon("spatial tendon: stiffness, damping", spatial('stiffness="20" damping="1"'), SITE),
    _tendon("range of a spatial tendon", spatial('range="0 .5" limited="true"'), SITE),
    _tendon("armature of a spatial tendon", spatial('armature=".5"'), SITE),
    _tendon("frictionloss of a spatial tendon", spatial('frictionloss="1"'), SITE),
    _tendon(
        "pulley",
        spatial(
            'stiffness="20"',
            '<site site="s{n}"/><site site="w{n}"/><pulley divisor="2"/><site site="t{n}"/><site site="w{n}"/>',
        ),
        SITE,
    ),
    _tendon(
        "wrapping on a sphere",
        spatial('stiffness="20"', wrapped("sphere")[1]),
        wrapped("sphere")[0],
    ),
    _tendon(
        "wrapping on a cylinder",
        spatial('stiffness="20"', wrapped("cylinder")[1]),
        wrapped("cylinder")[0],
    ),
    _tendon(
        "wrapping with a sidesite",
        spatial('stiffness="20"', wrapped("sphere", "outside")[1]),
        wrapped("sphere")[0],
    ),
    _tendon(
        "wrapping inside a sphere",
        spatial('stiffness="20"', wrapped("sphere", "inside")[1]),
        wrapped("sphere", place="{x} .12 .42")[0],
    ),
    _tendon(
        "wrapping inside a cylinder",
        spatial('stiffness="20"', wrapped("cylinder", "inside")[1]),
        wrapped("cylinder", place="{x} .12 .42")[0],
    ),
)

TWO = (
    PAIR
    + f'<body name="c{{n}}" pos="{{x}} .6 0"><joint name="l{{n}}" axis="1 0 0"/><geom size=".1" pos="0 .2 0" {NO}/><site name="r{{n}}" pos="0 .1 0"/></body>'
)


def _equality(feature: str, equality: str, after: str = "", **more) -> Row:
    return Row("equalities", feature, TWO, f"{after}<equality>{equality}</equality>", **more)


EQUALITIES = (
    _equality(
        "connect of bodies",
        '<connect body1="b{n}" body2="c{n}" anchor=".2 .1 0"/>',
        corrected=("mjx",),
    ),
    _equality("connect of sites", '<connect site1="s{n}" site2="r{n}"/>', corrected=("mjx",)),
    _equality(
        "weld of bodies, torquescale",
        '<weld body1="b{n}" body2="c{n}" torquescale=".5"/>',
        corrected=("mjx",),
    ),
    _equality("weld of sites", '<weld site1="s{n}" site2="r{n}"/>', corrected=("mjx",)),
    _equality("joint, polycoef", '<joint joint1="j{n}" joint2="l{n}" polycoef=".1 .5 .3 .2 .1"/>'),
    _equality("joint, one alone", '<joint joint1="j{n}" polycoef=".2"/>'),
    _equality(
        "tendon, polycoef",
        '<tendon tendon1="t{n}" tendon2="u{n}" polycoef=".1 .5 .3 0 0"/>',
        '<tendon><fixed name="t{n}"><joint joint="j{n}" coef="1"/></fixed><fixed name="u{n}"><joint joint="l{n}" coef="2"/></fixed></tendon>',
    ),
    _equality(
        "active=false", '<connect body1="b{n}" body2="c{n}" anchor=".2 .1 0" active="false"/>'
    ),
    _equality(
        "solref and solimp of an equality",
        '<joint joint1="j{n}" joint2="l{n}" solref=".1 .5" solimp=".5 .8 .1 .4 3"/>',
    ),
    _equality(
        "negative solref of an equality", '<joint joint1="j{n}" joint2="l{n}" solref="-300 -20"/>'
    ),
)

ROWS = JOINTS + TENDONS + EQUALITIES
