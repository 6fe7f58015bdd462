"""Both limits of a joint or tendon at once.

C MuJoCo has a constraint row for each limit that is nearer than the margin. MJX (and Warp) has one
row for a joint or tendon, that of the nearer limit, which is too few if the margin is wider than
half the range. Here each limit has its own row, in models that need it.
"""

import jax.numpy as jnp
import mujoco
import numpy as np
from mujoco import mjx

from mjxwm_envs.engines import constraints

FIELDS = frozenset({"jnt_range", "jnt_margin", "tendon_range", "tendon_margin"})
"""Fields that determine whether both limits can be active. If worlds differ in one, they may."""
_OFF = int(mujoco.mjtDisableBit.mjDSBL_CONSTRAINT | mujoco.mjtDisableBit.mjDSBL_LIMIT)
_BALL, _FREE = int(mujoco.mjtJoint.mjJNT_BALL), int(mujoco.mjtJoint.mjJNT_FREE)


def can_meet(model: mujoco.MjModel) -> list[str]:
    """Joints and tendons, by name, both of whose limits can be active at once."""
    if model.opt.disableflags & _OFF:
        return []
    wide = 2 * model.jnt_margin > np.ptp(model.jnt_range, axis=1)
    joints = np.nonzero(_two_sided(model) & wide)[0]
    wide = 2 * model.tendon_margin > np.ptp(model.tendon_range, axis=1)
    tendons = np.nonzero((model.tendon_limited != 0) & wide)[0]
    names = [f"joint {model.joint(i).name or int(i)!r}" for i in joints]
    return names + [f"tendon {model.tendon(i).name or int(i)!r}" for i in tendons]


def _two_sided(model: mujoco.MjModel | mjx.Model) -> np.ndarray:
    turns = np.isin(np.asarray(model.jnt_type), (_BALL, _FREE))
    return (np.asarray(model.jnt_limited) != 0) & ~turns


def count(model: mujoco.MjModel | mjx.Model) -> int:
    """Number of rows to add so that each limit has its own."""
    if model.opt.disableflags & _OFF:
        return 0
    return int(_two_sided(model).sum() + (np.asarray(model.tendon_limited) != 0).sum())


def has_both(model: mujoco.MjModel | mjx.Model, data: mjx.Data) -> bool:
    """Whether `data` has a row for each limit, see `mjx_data.for_both_limits`."""
    one_each = np.asarray(model.jnt_limited).sum() + np.asarray(model.tendon_limited).sum()
    return count(model) > 0 and data._impl.nl > one_each


def make_constraint(model: mjx.Model, data: mjx.Data) -> mjx.Data:
    """The constraint rows, with one for each limit if `data` has rows for both."""
    if not has_both(model, data):
        return constraints.make_constraint(model, data)
    # With the other limit at infinity MJX makes the row of this one; ball joints have one limit.
    lower = constraints.make_constraint(_without(model, side=1), data)
    upper = constraints.make_constraint(_without(model, side=0), data)
    more = count(model)
    end = data._impl.ne + data._impl.nf + data._impl.nl - more
    begin = end - more
    fields = ("J", "pos", "margin", "frictionloss", "D", "aref")
    rows = {}
    for name in (f"efc_{field}" for field in fields):
        one, two = getattr(lower._impl, name), getattr(upper._impl, name)
        rows[f"_impl.{name}"] = jnp.concatenate([one[:end], two[begin:end], one[end:]])
    return lower.tree_replace(rows)


def _without(model: mjx.Model, side: int) -> mjx.Model:
    """The model with its lower (0) or upper (1) limits out of reach."""
    far = (-jnp.inf, jnp.inf)[side]
    joints = jnp.where(_two_sided(model), far, model.jnt_range[:, side])
    return model.replace(
        jnt_range=model.jnt_range.at[:, side].set(joints),
        tendon_range=model.tendon_range.at[:, side].set(far),
    )
