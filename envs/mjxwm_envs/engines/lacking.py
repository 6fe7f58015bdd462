"""What MJX, MuJoCo Warp and a batch of C MuJoCo's worlds lack, or do otherwise than C MuJoCo.

`docs/engines.md` lists what each engine does with every feature, as measured by
`scripts/engine_conformance.py`; what that finds to be neither equal nor corrected stands here.
"""

from typing import Any, NamedTuple

import mujoco
import numpy as np

from mjxwm_envs.engines.elements import Finder, dofs, flag, named, option

ENGINES = ("native", "mjx", "warp")
_SENSOR, _ENABLE, _GEOM = mujoco.mjtSensor, mujoco.mjtEnableBit, mujoco.mjtGeom
_OBJ = mujoco.mjtObj


class Feature(NamedTuple):
    """Something that a model can have and some engines lack."""

    name: str
    """As MJCF has it."""
    lacking: tuple[str, ...]
    """Engines that do not have it."""
    used: Finder
    """The elements of a model that use it; empty where none does."""
    without: str
    """How the model does without."""
    read: frozenset[str] = frozenset()
    """Derived fields that it makes a difference to; none: it is part of the motion."""
    warned: bool = False
    """Whether the engine has it otherwise than C MuJoCo and says so, rather than refuse."""


def _spatial_tendons(model: mujoco.MjModel) -> Any:
    wraps = model.wrap_type[model.tendon_adr] if model.ntendon else np.zeros(0, int)
    return wraps != int(mujoco.mjtWrap.mjWRAP_JOINT)


def _sensors_of_forces_with_tendons(model: mujoco.MjModel) -> list[str]:
    if not _spatial_tendons(model).any():
        return []
    forces = (int(_SENSOR.mjSENS_FORCE), int(_SENSOR.mjSENS_TORQUE))
    return named(_OBJ.mjOBJ_SENSOR, lambda m: np.isin(m.sensor_type, forces))(model)


def _sensors_of_no_contact(model: mujoco.MjModel) -> list[str]:
    kinds = (int(_SENSOR.mjSENS_TOUCH), int(_SENSOR.mjSENS_CONTACT))
    sensors = named(_OBJ.mjOBJ_SENSOR, lambda m: np.isin(m.sensor_type, kinds))(model)
    if not sensors:
        return []
    from mujoco.mjx._src import collision_driver  # which takes seconds to load

    return [] if any(True for _ in collision_driver.geom_pairs(model)) else sensors


def _sensors(*kinds: Any) -> Any:
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
        ENGINES,
        flag(_ENABLE.mjENBL_SLEEP),
        "remove it: what sleeps is no part of the state that worlds carry",
    ),
    Feature(
        "implicit contact potentials (IPC)",
        ENGINES,
        flag(_ENABLE.mjENBL_IPC),
        "remove it: what it remembers is no part of the state that worlds carry",
    ),
    Feature(
        "plugins",
        _NOT_NATIVE,
        option("<plugin>", lambda m: m.nplugin > 0),
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
        named(_JOINT, lambda m: m.jnt_stiffnesspoly),
        "give one number",
    ),
    Feature(
        "polynomial stiffness",
        _JAX,
        named(_TENDON, lambda m: m.tendon_stiffnesspoly),
        "give one number",
    ),
    Feature("polynomial damping", _JAX, dofs(lambda m: m.dof_dampingpoly), "give one number"),
    Feature(
        "polynomial damping",
        _JAX,
        named(_TENDON, lambda m: m.tendon_dampingpoly),
        "give one number",
    ),
    Feature(
        "damping of actuators",
        _JAX,
        named(
            _ACTUATOR,
            lambda m: np.column_stack([m.actuator_damping, m.actuator_dampingpoly]),
        ),
        "give it to the joint or tendon",
    ),
    Feature(
        "armature of actuators",
        _NOT_NATIVE,
        named(_ACTUATOR, lambda m: m.actuator_armature),
        "give it to the joint or tendon",
    ),
    Feature(
        "actearly", _JAX, named(_ACTUATOR, lambda m: m.actuator_actearly), "set actearly='false'"
    ),
    Feature(
        "actuatorgroupdisable",
        _NOT_NATIVE,
        named(_ACTUATOR, _disabled_actuators),
        "remove these actuators",
    ),
    Feature(
        "fluid forces on ellipsoids",
        _JAX,
        named(_OBJ.mjOBJ_GEOM, _ellipsoid_fluid),
        "remove fluidshape='ellipsoid'",
    ),
    Feature(
        "adhesion of contacts",
        _JAX,
        named(_OBJ.mjOBJ_GEOM, lambda m: m.geom_adhesion),
        "set adhesion='0'",
    ),
    Feature(
        "adhesion of contacts",
        _JAX,
        option("pair", lambda m: bool(np.any(m.pair_adhesion))),
        "set adhesion='0'",
    ),
    Feature(
        "moving surfaces",
        _JAX,
        named(_OBJ.mjOBJ_GEOM, lambda m: m.geom_surfacevel),
        "remove surfacevel",
    ),
    Feature(
        "overridden contact parameters", _NOT_NATIVE, flag(_ENABLE.mjENBL_OVERRIDE), "remove it"
    ),
    Feature("exact diagonals", _NOT_NATIVE, flag(_ENABLE.mjENBL_DIAGEXACT), "remove it"),
    Feature(
        "forces of spatial tendons in cfrc_ext and cfrc_int",
        _JAX,
        named(_TENDON, _spatial_tendons),
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
        named(_OBJ.mjOBJ_SENSOR, lambda m: _sensors(_SENSOR.mjSENS_RANGEFINDER)(m) & (m.nmat == 0)),
        "add a <material>, which need not be used",
        frozenset({"sensordata"}),
    ),
    Feature(
        "rangefinders that meet cylinders or height fields or read more than a distance",
        _JAX,
        named(_OBJ.mjOBJ_SENSOR, _rangefinders_past_geoms),
        "remove these sensors",
        frozenset({"sensordata"}),
    ),
    Feature(
        "touch sensors in sites that are cylinders",
        _JAX,
        named(_OBJ.mjOBJ_SENSOR, _touch_in_cylinders),
        "give the site another shape",
        frozenset({"sensordata"}),
    ),
    Feature(
        "cutoff of framelinacc and frameangacc sensors",
        _JAX,
        named(
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
        named(_ACTUATOR, lambda m: m.actuator_gaintype == int(mujoco.mjtGain.mjGAIN_USER)),
        "choose another gaintype",
    ),
    Feature(
        "connect and weld constraints that turn with their bodies as in C MuJoCo",
        ("warp",),
        named(_OBJ.mjOBJ_EQUALITY, _turning),
        "take them as they are",
        warned=True,
    ),
    Feature(
        "the discrete integrator",
        _JAX,
        option(
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
