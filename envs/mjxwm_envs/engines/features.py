"""Refuses models with features of MuJoCo that an engine lacks, when the engine is made.

MJX and MuJoCo Warp refuse some features that they lack and ignore others: they would simulate
another body. `docs/engines.md` lists what each engine does with every feature.
"""

import re
import warnings
from collections.abc import Collection

import mujoco

from mjxwm_envs.engines.elements import named, shown
from mjxwm_envs.engines.feature_table import ENGINES, FEATURES, Feature

_OBJ = mujoco.mjtObj


def check(model: mujoco.MjModel, engine: str, derived: Collection[str] = ()) -> None:
    """Refuses a model with a feature that an engine lacks; warns of one that it does differently.

    Args:
        model: compiled model.
        engine: "native", "mjx" or "warp".
        derived: the fields that a task declares.

    Raises:
        ValueError: the message names the feature, the elements that have it and the remedies.
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
            message = refusal(engine, feature, elements)
            warnings.warn(f"{message}; its motion is another one", stacklevel=5)


def refusal(engine: str, feature: Feature, elements: list[str]) -> str:
    """The message: the feature, the elements that have it, and the remedies."""
    others = " or ".join(f"engine='{e}'" for e in ENGINES if e not in feature.lacking)
    ways = ", or ".join(way for way in (others and f"use {others}", feature.without) if way)
    return f"engine={engine!r} does not have {feature.name} ({shown(elements)}); {ways}"


_KINDS = {
    "mjDYN": (_OBJ.mjOBJ_ACTUATOR, "actuator_dyntype", mujoco.mjtDyn),
    "mjGAIN": (_OBJ.mjOBJ_ACTUATOR, "actuator_gaintype", mujoco.mjtGain),
    "mjBIAS": (_OBJ.mjOBJ_ACTUATOR, "actuator_biastype", mujoco.mjtBias),
    "mjTRN": (_OBJ.mjOBJ_ACTUATOR, "actuator_trntype", mujoco.mjtTrn),
    "mjEQ": (_OBJ.mjOBJ_EQUALITY, "eq_type", mujoco.mjtEq),
    "mjSENS": (_OBJ.mjOBJ_SENSOR, "sensor_type", mujoco.mjtSensor),
    "mjGEOM": (_OBJ.mjOBJ_GEOM, "geom_type", mujoco.mjtGeom),
}
"""By prefix of MuJoCo's enumerations: kind of element, field of the model, enumeration."""


def plainly(error: NotImplementedError, model: mujoco.MjModel) -> str:
    """A message of MJX or MuJoCo Warp about a feature, with the elements that have it."""
    text = re.sub(r"<?mjt\w+\.(mj\w+)(: \d+>)?", r"\1", str(error)).strip().rstrip(".")
    elements: list[str] = []
    for word in re.findall(r"mj[A-Z]+_\w+", text):
        if word.split("_")[0] in _KINDS:
            kind, field, enum = _KINDS[word.split("_")[0]]
            value = int(getattr(enum, word))
            elements += named(kind, lambda m, f=field, v=value: getattr(m, f) == v)(model)
    return text + (f" ({shown(elements)})" if elements else "")
