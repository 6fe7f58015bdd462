"""Finds the elements of a model whose simulation depends on a feature that some engine lacks."""

from typing import Any

import mujoco
import numpy as np

from mjxwm_envs.engines.elements import named

_SENSOR, _GEOM, _OBJ = mujoco.mjtSensor, mujoco.mjtGeom, mujoco.mjtObj


def spatial_tendons(model: mujoco.MjModel) -> Any:
    """A mask of the tendons that run through sites, not along joints."""
    wraps = model.wrap_type[model.tendon_adr] if model.ntendon else np.zeros(0, int)
    return wraps != int(mujoco.mjtWrap.mjWRAP_JOINT)


def sensors_of_forces_with_tendons(model: mujoco.MjModel) -> list[str]:
    """Force and torque sensors, in models with spatial tendons."""
    if not spatial_tendons(model).any():
        return []
    forces = (int(_SENSOR.mjSENS_FORCE), int(_SENSOR.mjSENS_TORQUE))
    return named(_OBJ.mjOBJ_SENSOR, lambda m: np.isin(m.sensor_type, forces))(model)


def sensors_of_no_contact(model: mujoco.MjModel) -> list[str]:
    """Touch and contact sensors, in models without a pair of geoms that can touch."""
    kinds = (int(_SENSOR.mjSENS_TOUCH), int(_SENSOR.mjSENS_CONTACT))
    sensors = named(_OBJ.mjOBJ_SENSOR, lambda m: np.isin(m.sensor_type, kinds))(model)
    if not sensors:
        return []
    from mujoco.mjx._src import collision_driver  # which takes seconds to load

    return [] if any(True for _ in collision_driver.geom_pairs(model)) else sensors


def sensors(*kinds: Any) -> Any:
    """A function of a model: the mask of its sensors of these types."""
    return lambda model: np.isin(model.sensor_type, [int(kind) for kind in kinds])


def rangefinders_past_geoms(model: mujoco.MjModel) -> Any:
    """A mask of rangefinders: MJX's rays miss cylinders and height fields, and give one number."""
    has_missed = np.isin(
        model.geom_type, [int(_GEOM.mjGEOM_CYLINDER), int(_GEOM.mjGEOM_HFIELD)]
    ).any()
    return sensors(_SENSOR.mjSENS_RANGEFINDER)(model) & (has_missed | (model.sensor_dim > 1))


def rangefinders_without_materials(model: mujoco.MjModel) -> Any:
    """A mask of rangefinders, in models without materials."""
    return sensors(_SENSOR.mjSENS_RANGEFINDER)(model) & (model.nmat == 0)


def touch_in_cylinders(model: mujoco.MjModel) -> Any:
    """A mask of the touch sensors whose site is a cylinder."""
    touch = sensors(_SENSOR.mjSENS_TOUCH)(model)
    site = np.where(touch, model.sensor_objid, 0)
    cylinders = model.site_type[site] == int(_GEOM.mjGEOM_CYLINDER) if model.nsite else touch
    return touch & cylinders


_ROUGH_ON_WARP = frozenset(
    {("hfield", kind) for kind in ("ellipsoid", "cylinder", "box", "mesh")}
    | {("plane", "cylinder"), ("capsule", "capsule"), ("box", "box")}
    | {("cylinder", "box"), ("cylinder", "mesh")}
    | {(a, b) for a in ("ellipsoid", "cylinder") for b in ("ellipsoid", "cylinder")}
)
"""Types of geoms whose contacts on MuJoCo Warp differ from C MuJoCo's, as measured."""


def rough_pairs(model: mujoco.MjModel) -> list[str]:
    """Pairs of types of geoms that can touch, with contacts on Warp that differ from C MuJoCo's."""
    kinds = {kind for pair in _ROUGH_ON_WARP for kind in pair}
    names = [_GEOM(int(kind)).name.removeprefix("mjGEOM_").lower() for kind in model.geom_type]
    if not kinds.intersection(names):
        return []
    from mujoco.mjx._src import collision_driver

    pairs = {(names[a], names[b]) for a, b, _ in collision_driver.geom_pairs(model)}
    rough = {pair for pair in pairs if pair in _ROUGH_ON_WARP or pair[::-1] in _ROUGH_ON_WARP}
    return [f"{a} and {b}" for a, b in sorted(rough)]


def turning(model: mujoco.MjModel) -> Any:
    """A mask of connect and weld constraints: MuJoCo Warp leaves out their term (dJ/dt) v."""
    kinds = (int(mujoco.mjtEq.mjEQ_CONNECT), int(mujoco.mjtEq.mjEQ_WELD))
    return np.isin(model.eq_type, kinds)


def ellipsoid_fluid(model: mujoco.MjModel) -> Any:
    """A mask of the geoms with fluid forces on ellipsoids."""
    moving = model.opt.density > 0 or model.opt.viscosity > 0
    return (model.geom_fluid[:, 0] > 0) & moving


def disabled_actuators(model: mujoco.MjModel) -> Any:
    """A mask of the actuators in disabled groups."""
    group = np.clip(model.actuator_group, 0, 30)
    return (model.opt.disableactuator >> group) & 1
