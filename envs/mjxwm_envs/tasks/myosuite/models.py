"""The bodies of MyoSuite's tasks, composed from the installed packages and compiled once.

Hand (reach, pose), elbow and finger come from `myo-sim` alone. The hand of the contact tasks and
the legs with a rigid torso are MyoSuite's own files, read from the installed `myosuite`, which is
not imported. Nothing is written there and none of it is copied here.

The bodies' own sensors are removed, and the few that a task reads are added. This does not change
the physics, and needs much less data than the positions of all 500 sites.
"""

import copy
import functools
import importlib
import importlib.util
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mujoco

from mjxwm_envs.packages import compose

PINNED = {"myo-sim": "0.2.3", "myosuite": "3.0.0"}
"""The versions that these bodies are composed from."""

_OBJ, _SENS = mujoco.mjtObj, mujoco.mjtSensor

# Where MyoSuite puts the root of the composed arm, so that positions agree with its targets.
_HAND_ROOT_POS = (-0.02525155, 0.07146933, 1.39249298)  # [m]
_HAND_ROOT_QUAT = (0.52167746, 0.46981366, -0.47875126, -0.52718591)

_HAND = """
<mujoco model="hand and object">
  <include file="{myosuite}/hand/assets/myohand_assets.xml"/>
  <include file="{myo_sim}/scene/myosuite_scene.xml"/>
  <compiler meshdir="{myo_sim}/" texturedir="{myo_sim}/"/>
  <worldbody>
    <include file="{myosuite}/hand/assets/myohand_body.xml"/>
    {objects}
  </worldbody>
</mujoco>
"""


def once(build: Callable[[], mujoco.MjSpec]) -> Callable[[], mujoco.MjModel]:
    """Decorator: turns a function that composes a spec into one that returns the compiled model.

    The model is compiled at the first call and shared by all callers, which must not change it;
    see `copied`. That call raises ValueError if a package is missing or its version does not
    compose.
    """
    return functools.cache(lambda: compose(lambda: build().compile(), PINNED))


def copied(model: mujoco.MjModel) -> mujoco.MjModel:
    """A copy that may be changed."""
    return copy.copy(model)


def hand() -> mujoco.MjSpec:
    """MyoHand with 39 muscles and 23 joints: a right hand on a fixed arm."""
    spec = _myo_sim().FRAGMENT_SPEC_BUILDERS["hand"]()
    root = spec.body("myoarm_r_root")
    root.pos, root.quat = _HAND_ROOT_POS, _HAND_ROOT_QUAT
    return spec


def hand_with(objects: str) -> mujoco.MjSpec:
    """The older MyoHand of the contact tasks (thumb abduction before flexion), and `objects`.

    Args:
        objects: MJCF to append to the world body; angles in radian.
    """
    xml = _HAND.format(myosuite=_myosuite(), myo_sim=_myo_sim().MODELS_DIR, objects=objects)
    return mujoco.MjSpec.from_string(xml)


def packaged(name: str) -> mujoco.MjSpec:
    """A complete model of `myo-sim`, such as "myoelbow" or "myofinger"."""
    return _myo_sim().load_spec(name)


def legs() -> mujoco.MjSpec:
    """MyoLegs with 80 muscles under a rigid torso, on a plane.

    MyoSuite's height field lies 10 m under the floor in this task; it is left out.
    """
    bundled, shared = _myosuite(), _myo_sim().MODELS_DIR
    tree = ET.parse(bundled / "leg/myolegs_with_torso.xml").getroot()
    for include in tree.iter("include"):
        # The scene's pedestal would be in the way of the feet.
        tail = include.attrib["file"].removeprefix("../myo_sim/")
        tail = tail.replace("myosuite_scene.xml", "myosuite_scene_noPedestal.xml")
        path = shared / tail
        include.set("file", str(path if path.exists() else bundled / tail))
    for compiler in tree.iter("compiler"):
        compiler.attrib |= {"meshdir": f"{shared}/", "texturedir": f"{shared}/"}
    mesh = bundled / "torso/assets/torso_lowpoly.stl"
    assets = {str(shared / mesh.name): mesh.read_bytes()}
    spec = mujoco.MjSpec.from_string(ET.tostring(tree, encoding="unicode"), assets=assets)
    spec.delete(spec.geom("terrain"))
    spec.delete(spec.hfield("terrain"))
    return spec


def watch(spec: mujoco.MjSpec, sites: tuple[str, ...] = (), bodies: tuple[str, ...] = ()) -> Any:
    """Replaces the sensors by the world positions [m] of `sites`, then of `bodies`' frames."""
    for sensor in list(spec.sensors):
        spec.delete(sensor)
    for kind, names in ((_OBJ.mjOBJ_SITE, sites), (_OBJ.mjOBJ_XBODY, bodies)):
        for name in names:
            spec.add_sensor(type=_SENS.mjSENS_FRAMEPOS, objtype=kind, objname=name)
    return spec


def _myo_sim() -> Any:
    _package("myo_sim")
    return importlib.import_module("myo_sim")


def _myosuite() -> Path:
    return _package("myosuite") / "envs/myo/assets"


def _package(name: str) -> Path:
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise ValueError(
            f"this task's body comes from the package {name!r}, which is not installed; "
            "`pip install 'mjxwm[muscles]'`"
        )
    return Path(spec.submodule_search_locations[0])
