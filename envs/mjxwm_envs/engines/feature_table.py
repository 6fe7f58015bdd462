"""The features of MuJoCo that MJX, MuJoCo Warp or batches of C MuJoCo lack, or do differently.

`docs/engines.md` lists what each engine does with every feature, as measured by
`scripts/engine_conformance.py`; those that it finds neither equal nor corrected are listed here.
"""

from typing import NamedTuple

import mujoco
import numpy as np

from mjxwm_envs.engines import feature_finders
from mjxwm_envs.engines.elements import Finder, dofs, flag, named, option

ENGINES = ("native", "mjx", "warp")
_SENSOR, _ENABLE, _GEOM = mujoco.mjtSensor, mujoco.mjtEnableBit, mujoco.mjtGeom
_OBJ = mujoco.mjtObj


class Feature(NamedTuple):
    """A feature that a model can have and some engines lack."""

    name: str
    """Its name in MJCF."""
    lacking: tuple[str, ...]
    """Engines that lack it."""
    used: Finder
    """Finds the elements of a model that use it."""
    without: str
    """How to change the model so that it does not need it."""
    read: frozenset[str] = frozenset()
    """Derived fields that depend on it; empty if the motion does."""
    warned: bool = False
    """Whether the engine only warns that it differs from C MuJoCo, instead of refusing."""


_JAX, _NOT_NATIVE = ("mjx",), ("mjx", "warp")
_JOINT, _TENDON, _ACTUATOR = _OBJ.mjOBJ_JOINT, _OBJ.mjOBJ_TENDON, _OBJ.mjOBJ_ACTUATOR

FEATURES = (
    Feature(
        "sleeping",
        ENGINES,
        flag(_ENABLE.mjENBL_SLEEP),
        "remove it: which bodies sleep is no part of the state of a world",
    ),
    Feature(
        "implicit contact potentials (IPC)",
        ENGINES,
        flag(_ENABLE.mjENBL_IPC),
        "remove it: its memory is no part of the state of a world",
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
        named(_ACTUATOR, feature_finders.disabled_actuators),
        "remove these actuators",
    ),
    Feature(
        "fluid forces on ellipsoids",
        _JAX,
        named(_OBJ.mjOBJ_GEOM, feature_finders.ellipsoid_fluid),
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
        named(_TENDON, feature_finders.spatial_tendons),
        "do without these fields",
        frozenset({"cfrc_ext", "cfrc_int"}),
    ),
    Feature(
        "forces of spatial tendons in force and torque sensors",
        _JAX,
        feature_finders.sensors_of_forces_with_tendons,
        "remove these sensors",
        frozenset({"sensordata"}),
    ),
    Feature(
        "touch and contact sensors where nothing can touch",
        _JAX,
        feature_finders.sensors_of_no_contact,
        "remove these sensors",
        frozenset({"sensordata"}),
    ),
    Feature(
        "rangefinders in a model without materials",
        _JAX,
        named(
            _OBJ.mjOBJ_SENSOR,
            feature_finders.rangefinders_without_materials,
        ),
        "add a <material>, which need not be used",
        frozenset({"sensordata"}),
    ),
    Feature(
        "rangefinders that meet cylinders or height fields or read more than a distance",
        _JAX,
        named(_OBJ.mjOBJ_SENSOR, feature_finders.rangefinders_past_geoms),
        "remove these sensors",
        frozenset({"sensordata"}),
    ),
    Feature(
        "touch sensors in sites that are cylinders",
        _JAX,
        named(_OBJ.mjOBJ_SENSOR, feature_finders.touch_in_cylinders),
        "give the site another shape",
        frozenset({"sensordata"}),
    ),
    Feature(
        "cutoff of framelinacc and frameangacc sensors",
        _JAX,
        named(
            _OBJ.mjOBJ_SENSOR,
            lambda m: (
                feature_finders.sensors(_SENSOR.mjSENS_FRAMELINACC, _SENSOR.mjSENS_FRAMEANGACC)(m)
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
        named(_OBJ.mjOBJ_EQUALITY, feature_finders.turning),
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
        feature_finders.rough_pairs,
        "take them as they are",
        warned=True,
    ),
)
"""All features that some engine refuses or warns of."""
