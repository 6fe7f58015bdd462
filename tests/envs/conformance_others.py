"""Rows of the conformance sweep: flexes, skins, plugins, sleep policies and what has no motion."""

from conformance import Row
from conformance_bodies import NO, hinge


def _row(feature: str, world: str, after: str = "", **more) -> Row:
    more = {"option": 'jacobian="auto"', **more}  # a model of its own
    return Row("the rest", feature, world, after, **more)


ROPE = (
    '<flexcomp name="rope{n}" type="grid" count="6 1 1" spacing=".1 .1 .1" dim="1" pos="0 0 1" '
    'mass="1" radius=".01"><edge equality="true"/><contact contype="0" conaffinity="0"/>'
    '<pin id="0"/></flexcomp>'
)
CLOTH = (
    '<flexcomp name="cloth{n}" type="grid" count="3 3 1" spacing=".1 .1 .1" dim="2" pos="0 0 1" '
    'mass="1" radius=".01"><elasticity young="1e3" poisson=".1" thickness=".01" damping=".01"/>'
    '<contact contype="0" conaffinity="0" selfcollide="none"/><pin id="0"/></flexcomp>'
)
ROWS = (
    _row("flex: a rope with edge equalities", ROPE, spread=0.0),
    _row("flex: a cloth", CLOTH, spread=0.0),
    _row("keyframes", hinge(), '<keyframe><key qpos=".3" qvel="1"/></keyframe>'),
    _row("sleep policies of bodies (without the flag)", hinge(body='sleep="never"')),
    _row("cameras and lights", hinge(inner='<camera mode="trackcom"/><light pos="0 0 2"/>')),
    _row("numeric, text and tuple", hinge(), '<custom><numeric name="p" data="1 2"/></custom>'),
    _row(
        "mass and density of geoms",
        f'<body pos="{{x}} 0 0"><joint/><geom size=".1" mass="2" pos=".1 .1 0" {NO}/><geom type="box" size=".1 .1 .1" density="50" {NO}/></body>',
    ),
)
