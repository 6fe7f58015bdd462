"""MJX's contacts, replaced by C MuJoCo's for the types of geoms for which the two differ.

MJX makes fewer contacts than C MuJoCo between parallel capsules, a cylinder and a plane, and a box
or mesh and a plane, where it drops all corners but those within 1 mm of the deepest; it misses a
sphere that is nearer to a box than the margin; and it only approximates a sphere on a cylinder or a
capsule. Here these have C's contacts. MJX's arrays have a fixed number of rows for each pair of
geoms; rows are appended for pairs for which C makes more contacts.

The order of the rows follows two internal functions of mjx 3.17.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
from jaxtyping import Int
from mujoco import mjx
from mujoco.mjx._src import collision_driver as driver
from mujoco.mjx._src import math

from mjxwm_envs.engines import contact_shapes as shapes
from mjxwm_envs.engines.hulls import hull

_G = mujoco.mjtGeom
_CAPSULES = (_G.mjGEOM_CAPSULE, _G.mjGEOM_CAPSULE)
_PLANE_MESH = (_G.mjGEOM_PLANE, _G.mjGEOM_MESH)
_SHAPES: dict[tuple[int, int], tuple[int, Callable[..., shapes.Touch]]] = {
    (_G.mjGEOM_PLANE, _G.mjGEOM_BOX): (4, shapes.plane_box),
    (_G.mjGEOM_PLANE, _G.mjGEOM_CYLINDER): (4, shapes.plane_cylinder),
    _PLANE_MESH: (4, shapes.plane_mesh),
    (_G.mjGEOM_SPHERE, _G.mjGEOM_CAPSULE): (1, shapes.sphere_capsule),
    (_G.mjGEOM_SPHERE, _G.mjGEOM_CYLINDER): (1, shapes.sphere_cylinder),
    (_G.mjGEOM_SPHERE, _G.mjGEOM_BOX): (1, shapes.sphere_box),
    _CAPSULES: (2, shapes.capsule_capsule),
}
"""By types of geoms: the most contacts that C MuJoCo makes, and the function that computes them."""
PARALLEL = 1e-3
"""Sine of the largest angle at which capsules count as parallel in rest pose or keyframes."""


class Plan(NamedTuple):
    """The contacts of a model that differ from MJX's; fixed when an engine is made."""

    side_by_side: frozenset[tuple[int, int]]
    """Pairs of capsules with a place for a second contact."""
    hulls: dict[int, shapes.Hull]
    """The hulls of meshes that can touch a plane, by mesh."""


class _Group(NamedTuple):
    """Pairs of geoms that MJX processes together: the same types, meshes and condim."""

    types: tuple[int, int]
    mesh: int
    """Mesh of the second geom."""
    key: Any
    """MJX's key of the group."""
    condim: int
    pairs: Int[np.ndarray, "n 3"]
    """Two geoms, and their explicit `<pair>` or -1."""
    places: int
    """Rows of MJX for each pair."""


def make_plan(model: mujoco.MjModel) -> Plan:
    """The plan for a compiled model.

    Pairs of capsules have two rows if they belong to different kinematic trees, or are parallel in
    the model's rest pose or a keyframe. For others a second row, needed only at angles below 1e-4,
    would cost too much.
    """
    pairs = list(driver.geom_pairs(model))
    trees = model.body_rootid[model.geom_bodyid]
    capsules = [(a, b) for a, b, _ in pairs if tuple(model.geom_type[[a, b]]) == _CAPSULES]
    parallel = _parallel(model, [pair for pair in capsules if trees[pair[0]] == trees[pair[1]]])
    apart = {(a, b) for a, b in capsules if trees[a] != trees[b]}
    meshes = {model.geom_dataid[b] for a, b, _ in pairs if _types(model, a, b) == _PLANE_MESH}
    return Plan(frozenset(apart | parallel), {int(mesh): hull(model, mesh) for mesh in meshes})


def _parallel(model: mujoco.MjModel, pairs: list[tuple[int, int]]) -> set[tuple[int, int]]:
    data, parallel = mujoco.MjData(model), set()
    for key in range(-1, model.nkey):
        if key >= 0:
            mujoco.mj_resetDataKeyframe(model, data, key)
        mujoco.mj_kinematics(model, data)
        axes = data.geom_xmat.reshape(-1, 3, 3)[:, :, 2]
        for a, b in pairs:
            if np.linalg.norm(np.cross(axes[a], axes[b])) < PARALLEL:
                parallel.add((a, b))
    return parallel


def _types(model: Any, a: int, b: int) -> tuple[int, int]:
    return int(model.geom_type[a]), int(model.geom_type[b])


def _groups(model: Any) -> list[_Group]:
    """The groups, in the order of MJX's contacts."""
    groups = []
    by_condim = sorted(driver._geom_groups(model).items(), key=lambda item: int(item[0].condim))
    for key, pairs in by_condim:
        places = driver._COLLISION_FUNC[key.types].ncon  # pyright: ignore[reportArgumentType]
        types = int(key.types[0]), int(key.types[1])
        condim = int(key.condim)
        groups.append(_Group(types, int(key.data_ids[1]), key, condim, np.array(pairs), places))
    return groups


def _more(group: _Group, plan: Plan) -> tuple[int, Int[np.ndarray, " m"]]:
    """Rows that MJX lacks: how many for a pair, and for which pairs of the group."""
    most = _SHAPES[group.types][0] if group.types in _SHAPES else group.places
    chosen = np.arange(len(group.pairs))
    if group.types == _CAPSULES:
        pairs = [tuple(pair) for pair in group.pairs[:, :2].tolist()]
        chosen = np.array([i for i in chosen if pairs[i] in plan.side_by_side], int)
    return most - group.places, chosen


def condims(model: mujoco.MjModel, plan: Plan) -> Int[np.ndarray, " n"]:
    """The condim of each row of contacts, MJX's and the appended ones, in ascending order."""
    dims = driver.make_condim(model)
    for group in _groups(model) if dims.size else []:
        count, pairs = _more(group, plan)
        dims = np.append(dims, np.full(count * pairs.size, group.condim, dims.dtype))
    return np.sort(dims)


def collision(model: mjx.Model, data: mjx.Data, plan: Plan) -> mjx.Data:
    """`mjx.collision` with C MuJoCo's contacts; `data` has rows for them, see `condims`."""
    groups = _groups(model) if data._impl.ncon else []
    if not any(group.types in _SHAPES and _more(group, plan)[1].size for group in groups):
        return mjx.collision(model, data)
    # MJX's functions are not called for pairs that are replaced: their derivatives may be infinite,
    # and infinity times a gradient of zero is NaN.
    contacts, parts = driver._contact_groups(model, data), []
    for group in groups:
        contact = contacts[group.key]
        _, replaced = _more(group, plan)
        if group.types not in _SHAPES:
            replaced = replaced[:0]
        stock = np.setdiff1d(np.arange(len(group.pairs)), replaced)
        if stock.size:
            rows = jax.tree.map(lambda x, i=stock: x[i], contact)
            function = driver._COLLISION_FUNC[group.key.types]
            dist, pos, frame = function(model, data, group.key, rows.geom)
            rows = jax.tree.map(lambda x, n=group.places: jnp.repeat(x, n, axis=0), rows)
            parts.append(rows.replace(dist=dist, pos=pos, frame=frame))
        if replaced.size:
            rows = jax.tree.map(lambda x, i=replaced: x[i], contact)
            parts.append(_touching(model, data, plan, group, replaced, rows))
    contact = jax.tree.map(lambda *x: jnp.concatenate(x), *parts)
    return data.tree_replace({"_impl.contact": contact})


def _touching(
    model: mjx.Model,
    data: mjx.Data,
    plan: Plan,
    group: _Group,
    pairs: Int[np.ndarray, " n"],
    contact: Any,
) -> Any:
    """C MuJoCo's contacts of some pairs of a group; `contact` has each pair's parameters."""
    one, two, explicit = group.pairs[pairs].T
    gap = model.geom_gap[one] + model.geom_gap[two]
    if (explicit >= 0).any():
        gap = jnp.where(explicit >= 0, model.pair_gap[explicit], gap)
    function = _SHAPES[group.types][1]
    if group.types == _PLANE_MESH:
        function = functools.partial(function, hull=plan.hulls[group.mesh])
    geoms = [
        shapes.Geom(data.geom_xpos[g], data.geom_xmat[g], model.geom_size[g]) for g in (one, two)
    ]
    touch = jax.vmap(function)(*geoms, contact.includemargin + gap)
    frame = jax.vmap(jax.vmap(math.make_frame))(touch.normal)
    contact = jax.tree.map(lambda x: jnp.repeat(x, touch.dist.shape[1], axis=0), contact)
    dist, pos, frame = map(jnp.concatenate, (touch.dist, touch.pos, frame))
    return contact.replace(dist=dist, pos=pos, frame=frame)
