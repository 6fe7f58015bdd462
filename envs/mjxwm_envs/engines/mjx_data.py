"""`mjx.Data` with array rows for the contacts and constraints that MJX lacks and we add."""

from typing import Any

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
from jaxtyping import Int
from mujoco import mjx
from mujoco.mjx._src import constraint

from mjxwm_envs.engines import contacts, limit_rows


def make_data(model: mujoco.MjModel, plan: contacts.Plan) -> mjx.Data:
    """`mjx.make_data`, with rows for what `contacts` and `limit_rows` add to this model."""
    data = mjx.make_data(model, impl="jax")
    dims = contacts.condims(model, plan)
    if dims.size > data._impl.ncon:
        kinds = constraint.make_efc_type(model, dims)
        contact = jax.tree.map(lambda x: _longer(x, 0, dims.size), data._impl.contact)
        address = constraint.make_efc_address(model, dims, kinds)
        contact = contact.replace(dim=dims, efc_address=address)
        data = data.tree_replace({"_impl.contact": contact, "_impl.ncon": dims.size})
        data = _with_rows(data, kinds, data._impl.nefc)
    return for_both_limits(model, data) if limit_rows.can_meet(model) else data


def for_both_limits(model: mujoco.MjModel | mjx.Model, data: mjx.Data) -> mjx.Data:
    """`data` with a row for each limit of a joint or tendon; unchanged if it has them."""
    impl, more = data._impl, limit_rows.count(model)
    if not more or limit_rows.has_both(model, data):
        return data
    end = impl.ne + impl.nf + impl.nl
    kinds = np.insert(np.asarray(impl.efc_type), end, [mjx.ConstraintType.LIMIT_JOINT] * more)
    address = np.where(impl.contact.efc_address < 0, -1, impl.contact.efc_address + more)
    contact = impl.contact.replace(efc_address=address)
    return _with_rows(data.tree_replace({"_impl.contact": contact}), kinds, end)


def _with_rows(data: mjx.Data, kinds: Int[np.ndarray, " c"], where: int) -> mjx.Data:
    """`data` with rows of zeros inserted at `where`, so that it has one row for each of `kinds`."""
    ne, nf, nl, _ = constraint.counts(kinds)
    new: dict[str, Any] = {"ne": int(ne), "nf": int(nf), "nl": int(nl)}
    new |= {"nefc": kinds.size, "efc_type": kinds}
    for name in ("J", "pos", "margin", "frictionloss", "D", "aref", "force"):
        old = getattr(data._impl, f"efc_{name}")
        new[f"efc_{name}"] = _longer(old, where, kinds.size)
    return data.tree_replace({f"_impl.{name}": x for name, x in new.items()})


def _longer(x: jax.Array, where: int, size: int) -> jax.Array:
    """`x` of length `size`, with zeros inserted at `where`."""
    zeros = jnp.zeros((size - x.shape[0], *x.shape[1:]), x.dtype)
    return jnp.concatenate([x[:where], zeros, x[where:]])
