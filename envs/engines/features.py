"""Features of MuJoCo that an engine lacks: refused by name when the engine is made.

MJX and MuJoCo Warp refuse some of what they lack, and pass over the rest in silence: they would
simulate another body. `docs/engines.md` lists what each engine does with every feature, as measured
by `scripts/engine_conformance.py`; what that finds to be neither equal nor corrected stands here.
"""

import re
import warnings
from collections.abc import Callable, Collection
from typing import Any, NamedTuple

import mujoco
import numpy as np

_ALL = ("native", "mjx", "warp")
_OBJ, _SENSOR, _ENABLE = mujoco.mjtObj, mujoco.mjtSensor, mujoco.mjtEnableBit
_GEOM = mujoco.mjtGeom


class Feature(NamedTuple):
    """Something that a model can have and some engines lack."""

    name: str
    """As MJCF has it."""
    lacking: tuple[str, ...]
    """Engines that do not have it."""
    used: Callable[[mujoco.MjModel], list[str]]
    """The elements of a model that use it; empty where none does."""
    without: str
    """How the model does without."""
    read: frozenset[str] = frozenset()
    """Derived fields that it makes a difference to; none: it is part of the motion."""
    warned: bool = False
    """Whether the engine has it otherwise than C MuJoCo and says so, rather than refuse."""


def check(model: mujoco.MjModel, engine: str, derived: Collection[str] = ()) -> None:
    """Refuses a model with a feature that an engine lacks, or warns of what it does otherwise.

    Args:
        model: compiled model.
        engine: "native", "mjx" or "warp".
        derived: the fields that a task declares.

    Raises:
        ValueError: names the feature, the elements that have it and the ways out.
    """
    for feature in FEATURES:
        if engine not in feature.lacking:
            continue
        if feature.read and not feature.read.intersection(derived):
            continue
        elements = feature.used(model)
        if elements and not feature.warned:
            raise ValueError(refusal(engine, feature, elements))
        if elements:
            said = refusal(engine, feature, elements)
            warnings.warn(f"{said}; its motion is another one", stacklevel=5)


def refusal(engine: str, feature: Feature, elements: list[str]) -> str:
    """The message: what, where, and what to do."""
    others = " or ".join(f"engine='{e}'" for e in _ALL if e not in feature.lacking)
    ways = ", or ".join(way for way in (others and f"use {others}", feature.without) if way)
    return f"engine={engine!r} does not have {feature.name} ({_shown(elements)}); {ways}"


_KINDS = {
    "mjDYN": (_OBJ.mjOBJ_ACTUATOR, "actuator_dyntype", mujoco.mjtDyn),
    "mjGAIN": (_OBJ.mjOBJ_ACTUATOR, "actuator_gaintype", mujoco.mjtGain),
    "mjBIAS": (_OBJ.mjOBJ_ACTUATOR, "actuator_biastype", mujoco.mjtBias),
    "mjTRN": (_OBJ.mjOBJ_ACTUATOR, "actuator_trntype", mujoco.mjtTrn),
    "mjEQ": (_OBJ.mjOBJ_EQUALITY, "eq_type", mujoco.mjtEq),
    "mjSENS": (_OBJ.mjOBJ_SENSOR, "sensor_type", mujoco.mjtSensor),
    "mjGEOM": (_OBJ.mjOBJ_GEOM, "geom_type", mujoco.mjtGeom),
}
"""Where a model has what MuJoCo's enumerations name: element, field, enumeration."""


def plainly(error: NotImplementedError, model: mujoco.MjModel) -> str:
    """What MJX or MuJoCo Warp says that it lacks, and the elements of the model that have it."""
    text = re.sub(r"<?mjt\w+\.(mj\w+)(: \d+>)?", r"\1", str(error)).strip().rstrip(".")
    elements: list[str] = []
    for word in re.findall(r"mj[A-Z]+_\w+", text):
        if word.split("_")[0] in _KINDS:
            kind, field, enum = _KINDS[word.split("_")[0]]
            value = int(getattr(enum, word))
            elements += _named(kind, lambda m, f=field, v=value: getattr(m, f) == v)(model)
    return text + (f" ({_shown(elements)})" if elements else "")


def _shown(elements: list[str]) -> str:
    return ", ".join(elements[:3]) + (f" and {len(elements) - 3} more" if elements[3:] else "")


def _named(kind: Any, mask: Callable[[mujoco.MjModel], Any]) -> Callable[..., list[str]]:
    """Elements of one kind where `mask`, an array with a row for each, is not zero."""

    def used(model: mujoco.MjModel) -> list[str]:
        rows = np.asarray(mask(model))
        hit = np.flatnonzero(rows.reshape(len(rows), -1).any(axis=1) if rows.size else [])
        return [_name(model, kind, int(i)) for i in hit]

    return used


def _name(model: mujoco.MjModel, kind: Any, index: int) -> str:
    word = kind.name.removeprefix("mjOBJ_").lower()
    name = mujoco.mj_id2name(model, kind, index)
    return f"{word} {name!r}" if name else f"{word} {index}"


def _dofs(mask: Callable[[mujoco.MjModel], Any]) -> Callable[..., list[str]]:
    """Joints of the degrees of freedom where `mask` is not zero."""

    def used(model: mujoco.MjModel) -> list[str]:
        rows = np.asarray(mask(model)).reshape(model.nv, -1).any(axis=1) if model.nv else []
        joints = sorted({int(model.dof_jntid[i]) for i in np.flatnonzero(rows)})
        return [_name(model, _OBJ.mjOBJ_JOINT, i) for i in joints]

    return used


def _flag(bit: Any) -> Callable[[mujoco.MjModel], list[str]]:
    """A flag that is set."""
    disable = isinstance(bit, mujoco.mjtDisableBit)
    word = bit.name.split("_")[1].lower()
    said = f"<flag {word}='{'disable' if disable else 'enable'}'/>"

    def used(model: mujoco.MjModel) -> list[str]:
        flags = model.opt.disableflags if disable else model.opt.enableflags
        return [said] if flags & int(bit) else []

    return used


def _option(said: str, test: Callable[[mujoco.MjModel], bool]) -> Callable[..., list[str]]:
    return lambda model: [said] if test(model) else []


def _spatial_tendons(model: mujoco.MjModel) -> Any:
    wraps = model.wrap_type[model.tendon_adr] if model.ntendon else np.zeros(0, int)
    return wraps != int(mujoco.mjtWrap.mjWRAP_JOINT)


def _sensors_of_forces_with_tendons(model: mujoco.MjModel) -> list[str]:
    if not _spatial_tendons(model).any():
        return []
    forces = (int(_SENSOR.mjSENS_FORCE), int(_SENSOR.mjSENS_TORQUE))
    return _named(_OBJ.mjOBJ_SENSOR, lambda m: np.isin(m.sensor_type, forces))(model)


def _sensors_of_no_contact(model: mujoco.MjModel) -> list[str]:
    kinds = (int(_SENSOR.mjSENS_TOUCH), int(_SENSOR.mjSENS_CONTACT))
    sensors = _named(_OBJ.mjOBJ_SENSOR, lambda m: np.isin(m.sensor_type, kinds))(model)
    if not sensors:
        return []
    from mujoco.mjx._src import collision_driver  # which takes seconds to load

    return [] if any(True for _ in collision_driver.geom_pairs(model)) else sensors


def _sensors(*kinds: Any) -> Callable[[mujoco.MjModel], Any]:
    return lambda model: np.isin(model.sensor_type, [int(kind) for kind in kinds])


def _rangefinders_past_geoms(model: mujoco.MjModel) -> Any:
    """MJX's rays go through cylinders and height fields, and it reads the distance alone."""
    unseen = np.isin(model.geom_type, [int(_GEOM.mjGEOM_CYLINDER), int(_GEOM.mjGEOM_HFIELD)]).any()
    return _sensors(_SENSOR.mjSENS_RANGEFINDER)(model) & (unseen | (model.sensor_dim > 1))


def _touch_in_cylinders(model: mujoco.MjModel) -> Any:
    touch = _sensors(_SENSOR.mjSENS_TOUCH)(model)
    site = np.where(touch, model.sensor_objid, 0)
    cylinders = model.site_type[site] == int(_GEOM.mjGEOM_CYLINDER) if model.nsite else touch
    return touch & cylinders


_ROUGH_ON_WARP = frozenset(
    {("hfield", kind) for kind in ("ellipsoid", "cylinder", "box", "mesh")}
    | {("plane", "cylinder"), ("capsule", "capsule"), ("box", "box")}
    | {("cylinder", "box"), ("cylinder", "mesh")}
    | {(a, b) for a in ("ellipsoid", "cylinder") for b in ("ellipsoid", "cylinder")}
)
"""Types of geoms whose contacts MuJoCo Warp finds in other places than C MuJoCo, as measured."""


def _rough_pairs(model: mujoco.MjModel) -> list[str]:
    kinds = {kind for pair in _ROUGH_ON_WARP for kind in pair}
    names = [_GEOM(int(kind)).name.removeprefix("mjGEOM_").lower() for kind in model.geom_type]
    if not kinds.intersection(names):
        return []
    from mujoco.mjx._src import collision_driver

    pairs = {(names[a], names[b]) for a, b, _ in collision_driver.geom_pairs(model)}
    rough = {pair for pair in pairs if pair in _ROUGH_ON_WARP or pair[::-1] in _ROUGH_ON_WARP}
    return [f"{a} and {b}" for a, b in sorted(rough)]


def _clamped_dampers(model: mujoco.MjModel) -> Any:
    """Actuators that damp until their force is clamped, where C drops the derivative."""
    fast = model.opt.integrator == int(mujoco.mjtIntegrator.mjINT_IMPLICITFAST)
    bends = (model.actuator_biasprm[:, 2] != 0) | (model.actuator_gainprm[:, 2] != 0)
    return fast & bends & (model.actuator_forcelimited > 0)


def _turning(model: mujoco.MjModel) -> Any:
    """C takes (dJ/dt) v off what these ask for; MuJoCo Warp does not, so that they lag behind."""
    kinds = (int(mujoco.mjtEq.mjEQ_CONNECT), int(mujoco.mjtEq.mjEQ_WELD))
    return np.isin(model.eq_type, kinds)


def _ellipsoid_fluid(model: mujoco.MjModel) -> Any:
    moving = model.opt.density > 0 or model.opt.viscosity > 0
    return (model.geom_fluid[:, 0] > 0) & moving


def _disabled_actuators(model: mujoco.MjModel) -> Any:
    group = np.clip(model.actuator_group, 0, 30)
    return (model.opt.disableactuator >> group) & 1


_JAX, _NOT_NATIVE = ("mjx",), ("mjx", "warp")
_JOINT, _TENDON, _ACTUATOR = _OBJ.mjOBJ_JOINT, _OBJ.mjOBJ_TENDON, _OBJ.mjOBJ_ACTUATOR

FEATURES = (
    Feature(
        "sleeping",
        _ALL,
        _flag(_ENABLE.mjENBL_SLEEP),
        "remove it: what sleeps is no part of the state that worlds carry",
    ),
    Feature(
        "implicit contact potentials (IPC)",
        _ALL,
        _flag(_ENABLE.mjENBL_IPC),
        "remove it: what it remembers is no part of the state that worlds carry",
    ),
    Feature(
        "plugins",
        _NOT_NATIVE,
        _option("<plugin>", lambda m: m.nplugin > 0),
        "remove them",
    ),
    Feature(
        "a noslip solver",
        _NOT_NATIVE,
        lambda m: [f"noslip_iterations={m.opt.noslip_iterations}"] * (m.opt.noslip_iterations > 0),
        "set 0",
    ),
    Feature(
        "polynomial stiffness",
        _JAX,
        _named(_JOINT, lambda m: m.jnt_stiffnesspoly),
        "give one number",
    ),
    Feature(
        "polynomial stiffness",
        _JAX,
        _named(_TENDON, lambda m: m.tendon_stiffnesspoly),
        "give one number",
    ),
    Feature("polynomial damping", _JAX, _dofs(lambda m: m.dof_dampingpoly), "give one number"),
    Feature(
        "polynomial damping",
        _JAX,
        _named(_TENDON, lambda m: m.tendon_dampingpoly),
        "give one number",
    ),
    Feature(
        "damping of actuators",
        _JAX,
        _named(
            _ACTUATOR,
            lambda m: np.column_stack([m.actuator_damping, m.actuator_dampingpoly]),
        ),
        "give it to the joint or tendon",
    ),
    Feature(
        "armature of actuators",
        _NOT_NATIVE,
        _named(_ACTUATOR, lambda m: m.actuator_armature),
        "give it to the joint or tendon",
    ),
    Feature(
        "actearly", _JAX, _named(_ACTUATOR, lambda m: m.actuator_actearly), "set actearly='false'"
    ),
    Feature(
        "actuatorgroupdisable",
        _NOT_NATIVE,
        _named(_ACTUATOR, _disabled_actuators),
        "remove these actuators",
    ),
    Feature(
        "fluid forces on ellipsoids",
        _JAX,
        _named(_OBJ.mjOBJ_GEOM, _ellipsoid_fluid),
        "remove fluidshape='ellipsoid'",
    ),
    Feature(
        "adhesion of contacts",
        _JAX,
        _named(_OBJ.mjOBJ_GEOM, lambda m: m.geom_adhesion),
        "set adhesion='0'",
    ),
    Feature(
        "adhesion of contacts",
        _JAX,
        _option("pair", lambda m: bool(np.any(m.pair_adhesion))),
        "set adhesion='0'",
    ),
    Feature(
        "moving surfaces",
        _JAX,
        _named(_OBJ.mjOBJ_GEOM, lambda m: m.geom_surfacevel),
        "remove surfacevel",
    ),
    Feature(
        "overridden contact parameters", _NOT_NATIVE, _flag(_ENABLE.mjENBL_OVERRIDE), "remove it"
    ),
    Feature("exact diagonals", _NOT_NATIVE, _flag(_ENABLE.mjENBL_DIAGEXACT), "remove it"),
    Feature(
        "forces of spatial tendons in cfrc_ext and cfrc_int",
        _JAX,
        _named(_TENDON, _spatial_tendons),
        "do without these fields",
        frozenset({"cfrc_ext", "cfrc_int"}),
    ),
    Feature(
        "forces of spatial tendons in force and torque sensors",
        _JAX,
        _sensors_of_forces_with_tendons,
        "remove these sensors",
        frozenset({"sensordata"}),
    ),
    Feature(
        "touch and contact sensors where nothing can touch",
        _JAX,
        _sensors_of_no_contact,
        "remove these sensors",
        frozenset({"sensordata"}),
    ),
    Feature(
        "rangefinders in a model without materials",
        _JAX,
        _named(
            _OBJ.mjOBJ_SENSOR, lambda m: _sensors(_SENSOR.mjSENS_RANGEFINDER)(m) & (m.nmat == 0)
        ),
        "add a <material>, which need not be used",
        frozenset({"sensordata"}),
    ),
    Feature(
        "rangefinders that meet cylinders or height fields or read more than a distance",
        _JAX,
        _named(_OBJ.mjOBJ_SENSOR, _rangefinders_past_geoms),
        "remove these sensors",
        frozenset({"sensordata"}),
    ),
    Feature(
        "touch sensors in sites that are cylinders",
        _JAX,
        _named(_OBJ.mjOBJ_SENSOR, _touch_in_cylinders),
        "give the site another shape",
        frozenset({"sensordata"}),
    ),
    Feature(
        "cutoff of framelinacc and frameangacc sensors",
        _JAX,
        _named(
            _OBJ.mjOBJ_SENSOR,
            lambda m: (
                _sensors(_SENSOR.mjSENS_FRAMELINACC, _SENSOR.mjSENS_FRAMEANGACC)(m)
                & (m.sensor_cutoff > 0)
            ),
        ),
        "set cutoff='0'",
        frozenset({"sensordata"}),
    ),
    Feature(
        "gains that a user's callback computes",
        _NOT_NATIVE,
        _named(_ACTUATOR, lambda m: m.actuator_gaintype == int(mujoco.mjtGain.mjGAIN_USER)),
        "choose another gaintype",
    ),
    Feature(
        "connect and weld constraints that turn with their bodies as in C MuJoCo",
        ("warp",),
        _named(_OBJ.mjOBJ_EQUALITY, _turning),
        "take them as they are",
        warned=True,
    ),
    Feature(
        "implicitfast without the damping of actuators at their forcerange",
        _JAX,
        _named(_ACTUATOR, _clamped_dampers),
        "remove forcerange",
        warned=True,
    ),
    Feature(
        "the discrete integrator",
        _JAX,
        _option(
            "integrator='discrete'",
            lambda m: m.opt.integrator == int(mujoco.mjtIntegrator.mjINT_DISCRETE),
        ),
        "choose another integrator",
    ),
    Feature(
        "C MuJoCo's places of contacts between some geoms",
        ("warp",),
        _rough_pairs,
        "take them as they are",
        warned=True,
    ),
)
"""What is refused, or warned of, and of which engines."""
