"""The fields of `MjData` that a task may declare as derived, for each engine.

A physics step does not compute many fields of `MjData`: contact forces on bodies (`cfrc_ext`),
momenta of subtrees, inverse dynamics. They would read as zeros, or as another world's values. An
engine therefore offers only the fields that it computes, and refuses others when it is made.
"""

import copy
import difflib
from collections.abc import Callable, Collection
from typing import Any

import mujoco
import mujoco.batch
import numpy as np

RNE = frozenset({"cacc", "cfrc_ext", "cfrc_int"})
"""Fields of `mj_rnePostConstraint`: spatial accelerations and forces of the last physics step."""
SUBTREE = frozenset({"subtree_angmom", "subtree_linvel"})
"""Fields of `mj_subtreeVel`: momenta at the new state."""

NATIVE = mujoco.batch.DATA_FIELDS - {
    "flex_hessian_valid",
    "plugin",
    "plugin_data",
    "qDeriv",
    "qH",
    "qHDiagInv",
    "qLU",
    "qfrc_inverse",
    "solver_fwdinv",
    "solver_nnz",
}
"""Fields of engine native: those of `mujoco.batch` that a step or `on_demand` computes."""

MJX = frozenset(
    {"act", "act_dot", "actuator_force", "actuator_length", "actuator_velocity", "cacc"}
    | {"cam_xmat", "cam_xpos", "cdof", "cdof_dot", "cfrc_ext", "cfrc_int", "cinert", "crb", "ctrl"}
    | {"cvel", "eq_active", "geom_xmat", "geom_xpos", "mocap_pos", "mocap_quat", "qacc"}
    | {"qacc_smooth", "qacc_warmstart", "qfrc_actuator", "qfrc_applied", "qfrc_bias"}
    | {"qfrc_constraint", "qfrc_gravcomp", "qfrc_passive", "qfrc_smooth", "qpos", "qvel"}
    | {"sensordata", "site_xmat", "site_xpos", "subtree_angmom", "subtree_com", "subtree_linvel"}
    | {"ten_length", "ten_velocity", "ten_wrapadr", "ten_wrapnum", "time", "wrap_obj", "wrap_xpos"}
    | {"xanchor", "xaxis", "xfrc_applied", "ximat", "xipos", "xmat", "xpos", "xquat"}
)
"""Fields of engine mjx that it computes as C does."""

WARP = (MJX | {"light_xdir", "light_xpos", "qfrc_damper", "qfrc_spring"}) - RNE - SUBTREE
"""Fields of engine warp that it computes as C does."""

_SENSORS = {
    "cacc": "an <accelerometer>, <framelinacc> or <frameangacc>",
    "cfrc_ext": "a <touch>, <contact> or <force>",
    "cfrc_int": "a <force> or <torque>",
    "contact": "a <contact>, <touch> or <force>",
    "efc_force": "a <contact>, <jointlimitfrc> or <tendonlimitfrc>",
    "energy": "an <e_potential> or <e_kinetic>",
    "subtree_angmom": "a <subtreeangmom>",
    "subtree_linvel": "a <subtreelinvel>",
}
"""For each field, sensors that measure the same."""
_VARYING = ("contact", "efc_", "efm_", "iefc_", "island_", "map_")


def check(model: mujoco.MjModel, derived: Collection[str], computed: Collection[str], name: str):
    """Refuses derived fields that an engine does not compute.

    Args:
        model: compiled model.
        derived: the fields that a task declares.
        computed: the fields that the engine computes.
        name: the engine's name.

    Raises:
        ValueError: the message has the field, the reason and the sensor to declare instead.
    """
    data = mujoco.MjData(model)
    for field in derived:
        if field in computed:
            continue
        if not hasattr(data, field) or callable(getattr(data, field)):
            near = difflib.get_close_matches(field, mujoco.batch.DATA_FIELDS, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise ValueError(f"derived field {field!r} is no field of MjData{hint}")
        raise ValueError(f"derived field {field!r} {_reason(field, name)}; {_remedy(field, name)}")


def _reason(field: str, name: str) -> str:
    if field.startswith(_VARYING):
        return "varies in size from step to step"
    if field == "qfrc_inverse":
        return "comes from inverse dynamics (mj_inverse), which no physics step runs"
    return f"is not computed by engine={name!r}"


def _remedy(field: str, name: str) -> str:
    if field == "qfrc_inverse":
        return "without applied forces it equals 'qfrc_actuator': declare that"
    elsewhere = "use engine='native'" if name != "native" and field in NATIVE else ""
    sensor = _SENSORS.get(field, "a <contact>, <touch> or <force>" * field.startswith(_VARYING))
    declare = f"declare {sensor} sensor in the MJCF and read 'sensordata'" if sensor else ""
    internal = "" if elsewhere or declare else "it is internal to MuJoCo's solver"
    return ", or ".join(part for part in (declare, elsewhere, internal) if part)


def on_demand(
    batch: mujoco.batch.Batch, fields: Collection[str], own_models: bool
) -> dict[str, np.ndarray]:
    """Fields that no physics step computes, from each world's `MjData` after the batch's last call.

    Worlds are computed one after another, which takes some 20 microseconds each.

    Args:
        batch: a persistent batch.
        fields: some of `RNE` and `SUBTREE`.
        own_models: whether the worlds' models differ.

    Returns:
        The fields by name, [nsim, ...]; NaN for worlds in which that call failed.
    """
    model, data = batch.model, mujoco.MjData(batch.model)
    if own_models:
        model = copy.copy(model)
    functions: list[Callable[[Any, Any], None]] = []
    if RNE.intersection(fields):
        functions.append(mujoco.mj_rnePostConstraint)
    if SUBTREE.intersection(fields):
        functions.append(mujoco.mj_subtreeVel)
    values = {k: np.full((batch.nsim, *np.shape(getattr(data, k))), np.nan) for k in fields}
    for world in np.flatnonzero(batch.status == 0) if values else ():
        if own_models:
            batch.get_model(int(world), model)
        batch.get_data(int(world), data)
        for function in functions:
            function(model, data)
        for name, value in values.items():
            value[world] = getattr(data, name)
    return values


def with_energy(model: mujoco.MjModel) -> mujoco.MjModel:
    """A copy of `model` whose steps compute `energy`; they change nothing else."""
    model = copy.copy(model)
    model.opt.enableflags |= int(mujoco.mjtEnableBit.mjENBL_ENERGY)
    return model
