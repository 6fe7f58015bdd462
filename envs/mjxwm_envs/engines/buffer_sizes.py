"""Sizes of MuJoCo Warp's buffers: how many contacts and constraint rows a world can have at most.

MuJoCo Warp allocates its buffers beforehand and drops what does not fit, with undefined results.
`largest_sizes` counts every possible contact and row as active, so that nothing can be dropped.
"""

from typing import NamedTuple

import mujoco
import numpy as np
from jaxtyping import Int

_G = mujoco.mjtGeom
_POINTS = {
    (int(type1), int(type2)): points
    for type1, type2, points in (
        # Contacts that MuJoCo Warp's primitive collision functions write, by geom types in order.
        (_G.mjGEOM_PLANE, _G.mjGEOM_SPHERE, 1),
        (_G.mjGEOM_PLANE, _G.mjGEOM_CAPSULE, 2),
        (_G.mjGEOM_PLANE, _G.mjGEOM_ELLIPSOID, 1),
        (_G.mjGEOM_PLANE, _G.mjGEOM_CYLINDER, 4),
        (_G.mjGEOM_PLANE, _G.mjGEOM_BOX, 8),
        (_G.mjGEOM_PLANE, _G.mjGEOM_MESH, 4),
        (_G.mjGEOM_CAPSULE, _G.mjGEOM_CAPSULE, 2),
        (_G.mjGEOM_CAPSULE, _G.mjGEOM_BOX, 2),
        (_G.mjGEOM_BOX, _G.mjGEOM_BOX, 8),
    )
}
_POINTS_CONVEX = 4  # general convex collision clips its manifold to four points
_POINTS_ROUND = 1  # a sphere or an ellipsoid against anything but a height field
_POINTS_HFIELD = mujoco.mjMAXCONPAIR

_E = mujoco.mjtEq
_EQUALITY_ROWS = {
    int(_E.mjEQ_CONNECT): 3,
    int(_E.mjEQ_WELD): 6,
    int(_E.mjEQ_JOINT): 1,
    int(_E.mjEQ_TENDON): 1,
}


class BufferSizes(NamedTuple):
    """Contacts and constraint rows of one world."""

    contacts: int
    rows: int
    """Constraint rows: equalities, friction loss, joint and tendon limits, contacts."""


class RequestedSizes(NamedTuple):
    """Buffer sizes that the user asks for, for one world; None for the largest size."""

    contacts: int | None = None
    rows: int | None = None

    def check(self) -> None:
        """Checks the numbers.

        Raises:
            ValueError: one is no whole number of at least 1.
        """
        for name, value in zip(self._fields, self, strict=True):
            if value is not None and (isinstance(value, bool) or value != int(value) or value < 1):
                raise ValueError(
                    f"{name}_per_world={value!r} is out of range; a whole number, at least 1"
                )


def largest_sizes(
    model: mujoco.MjModel, pairs: Int[np.ndarray, "p 2"], pair_ids: Int[np.ndarray, " p"]
) -> BufferSizes:
    """The most contacts and constraint rows that a world of `model` can have.

    Args:
        model: compiled model.
        pairs: the pairs of geoms that collision detection tests.
        pair_ids: for each pair the index of its explicit `<pair>`; -1 if the geoms' contype and
            conaffinity made it a candidate; -2 if only a sensor needs it, without constraint.

    Raises:
        ValueError: flexes, signed distance fields or an equality without a known bound.
    """
    if model.nflex or (model.geom_type == _G.mjGEOM_SDF).any():
        raise ValueError(
            "engine='warp': the contacts of flexes and signed distance fields have no bound in "
            "advance; give contacts_per_world and rows_per_world, or use engine='native'"
        )
    contacts = contact_rows = 0
    disabled = mujoco.mjtDisableBit.mjDSBL_CONTACT | mujoco.mjtDisableBit.mjDSBL_CONSTRAINT
    if not model.opt.disableflags & int(disabled):
        for (geom1, geom2), pair in zip(pairs, pair_ids, strict=True):
            points = _points(*sorted(model.geom_type[[geom1, geom2]].tolist()))
            contacts += points
            contact_rows += points * _rows_per_contact(model, geom1, geom2, pair)
    return BufferSizes(contacts, _other_rows(model) + contact_rows)


def _points(type1: int, type2: int) -> int:
    if type1 == _G.mjGEOM_HFIELD:
        return _POINTS_HFIELD
    if (type1, type2) in _POINTS:
        return _POINTS[type1, type2]
    round_ = (_G.mjGEOM_SPHERE, _G.mjGEOM_ELLIPSOID)
    return _POINTS_ROUND if type1 in round_ or type2 in round_ else _POINTS_CONVEX


def _rows_per_contact(model: mujoco.MjModel, geom1: int, geom2: int, pair: int) -> int:
    if pair == -2:
        return 0
    # The geom of higher priority determines condim; the larger one is a bound for both cases.
    condim = model.pair_dim[pair] if pair >= 0 else model.geom_condim[[geom1, geom2]].max()
    elliptic = model.opt.cone == mujoco.mjtCone.mjCONE_ELLIPTIC
    return int(condim if elliptic or condim == 1 else 2 * (condim - 1))


def _other_rows(model: mujoco.MjModel) -> int:
    unknown = set(model.eq_type.tolist()) - set(_EQUALITY_ROWS)
    if unknown:
        names = ", ".join(_E(kind).name for kind in unknown)
        raise ValueError(f"engine='warp': no bound is known for {names}; give rows_per_world")
    equality = sum(_EQUALITY_ROWS[kind] for kind in model.eq_type.tolist())
    friction = (model.dof_frictionloss > 0).sum() + (model.tendon_frictionloss > 0).sum()
    return int(equality + friction + model.jnt_limited.sum() + model.tendon_limited.sum())
