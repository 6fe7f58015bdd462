"""The constraint solver's rows: stiffness, damping and impedance, with correct derivatives.

Jacobians and positions of the rows come from MJX's functions. The effect of `solref` and `solimp`
is computed here: MJX evaluates all branches and discards all but one, and a discarded power of a
negative number (a solimp power of 2.5, beyond solimp's width) is NaN in reverse mode. Here the
inputs of discarded branches are replaced. Three cases follow C MuJoCo instead of MJX: a width of
zero, dmin above dmax, and solref of mixed signs.
"""

from typing import Any

import jax
import jax.numpy as jnp
import mujoco
from jaxtyping import Array, Float
from mujoco import mjx
from mujoco.mjx._src import constraint as rows_of

_NO_CONSTRAINT = int(mujoco.mjtDisableBit.mjDSBL_CONSTRAINT)
_NO_REFSAFE = int(mujoco.mjtDisableBit.mjDSBL_REFSAFE)
_MIXED_SIGNS = (0.02, 1.0)
"""The solref that C MuJoCo uses, with a warning, if one of its numbers is positive and one not."""

BUILDERS = (
    rows_of._efc_equality_connect,
    rows_of._efc_equality_weld,
    rows_of._efc_equality_joint,
    rows_of._efc_equality_tendon,
    rows_of._efc_friction,
    rows_of._efc_limit_ball,
    rows_of._efc_limit_slide_hinge,
    rows_of._efc_limit_tendon,
    rows_of._efc_contact_frictionless,
)
"""Functions from (model, data) to rows, or to None if there are none, in the order of the rows."""
_FRICTIONAL = (3, 4, 6)
"""Values of condim with friction."""


def make_constraint(model: mjx.Model, data: mjx.Data) -> mjx.Data:
    """`mjx.make_constraint`, with correct derivatives for every solref and solimp."""
    rows = None if model.opt.disableflags & _NO_CONSTRAINT else _rows(model, data)
    if rows is None:
        return mjx.make_constraint(model, data)
    dmax = jnp.clip(rows.solimp[:, 1], mujoco.mjMINIMP, mujoco.mjMAXIMP)
    stiffness, damping = reference(model, rows.solref, dmax)
    share = impedance(rows.solimp, rows.pos_imp)
    weight = 1 / jnp.maximum(rows.invweight * (1 - share) / share, mujoco.mjMINVAL)
    aref = -damping * (rows.J @ data.qvel) - stiffness * share * rows.pos_aref
    return data.tree_replace(
        {
            "_impl.efc_J": rows.J,
            "_impl.efc_D": weight,
            "_impl.efc_aref": aref,
            "_impl.efc_pos": rows.pos_aref + rows.margin,
            "_impl.efc_margin": rows.margin,
            "_impl.efc_frictionloss": rows.frictionloss,
        }
    )


def _rows(model: mjx.Model, data: mjx.Data) -> Any:
    """All rows of a model, or None if it can have none."""
    contact = rows_of._efc_contact_pyramidal
    if model.opt.cone == mjx.ConeType.ELLIPTIC:
        contact = rows_of._efc_contact_elliptic
    parts = [build(model, data) for build in BUILDERS]
    parts += [contact(model, data, dimensions) for dimensions in _FRICTIONAL]
    parts = [part for part in parts if part is not None]
    return jax.tree.map(lambda *x: jnp.concatenate(x), *parts) if parts else None


def reference(
    model: mjx.Model, solref: Float[Array, "c 2"], dmax: Float[Array, " c"]
) -> tuple[Float[Array, " c"], Float[Array, " c"]]:
    """Stiffness [1/s^2] and damping [1/s] of rows, after "Reference" in MuJoCo's documentation."""
    mixed = (solref[:, :1] > 0) != (solref[:, 1:] > 0)
    first, second = jnp.where(mixed, jnp.array(_MIXED_SIGNS, solref.dtype), solref).T
    standard = first > 0
    # Placeholders for rows without time constant and damping ratio.
    time, ratio = jnp.where(standard, first, 1), jnp.where(standard, second, 1)
    if not model.opt.disableflags & _NO_REFSAFE:
        time = jnp.maximum(time, 2 * model.opt.timestep)
    square = jnp.maximum(dmax * dmax * time * time * ratio * ratio, mujoco.mjMINVAL)
    stiffness = jnp.where(standard, 1 / square, -first / (dmax * dmax))
    return stiffness, jnp.where(standard, 2 / (dmax * time), -second / dmax)


def impedance(solimp: Float[Array, "c 5"], pos: Float[Array, " c"]) -> Float[Array, " c"]:
    """Impedance of rows violated by `pos` [m, rad], after "Impedance" in MuJoCo's documentation.

    It goes from dmin at `pos` = 0 to dmax at the width, by a power of the distance to either end.
    """
    dmin, dmax, width, midpoint, power = solimp.T
    dmin, dmax, midpoint = (
        jnp.clip(x, mujoco.mjMINIMP, mujoco.mjMAXIMP) for x in (dmin, dmax, midpoint)
    )
    power = jnp.maximum(power, 1)
    flat = (dmin == dmax) | (width <= mujoco.mjMINVAL)
    x = jnp.abs(pos) / jnp.where(flat, 1, width)
    inside, near = x < 1, x < midpoint
    # Distance to the nearer end, and the length of that end's branch. Beyond the width, `reach`
    # avoids the power of a negative number, which is NaN.
    reach = jnp.where(near, midpoint, 1 - midpoint)
    distance = jnp.where(inside, jnp.where(near, x, 1 - x), reach)
    part = reach * jnp.power(distance / reach, power)
    share = jnp.where(inside, jnp.where(near, part, 1 - part), 1)
    return jnp.where(flat, (dmin + dmax) / 2, dmin + share * (dmax - dmin))
