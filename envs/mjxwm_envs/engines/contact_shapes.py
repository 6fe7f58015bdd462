"""Where two geoms touch, as C MuJoCo 3.17 has it and MJX has not.

Each function takes two geoms in the order of their types and gives a fixed number of possible
contacts; one that C MuJoCo does not make is out of reach. All are differentiable wherever C
MuJoCo's contacts are. `reach` is the distance up to which it makes them, margin and gap.
"""

from typing import NamedTuple

import jax.numpy as jnp
import mujoco
import numpy as np
from jaxtyping import Array, Float, Int

MINVAL = mujoco.mjMINVAL
PARALLEL = 1e-4
"""Sine of the angle up to which C MuJoCo takes capsules as parallel."""


class Geom(NamedTuple):
    """One geom in the world."""

    pos: Float[Array, "3"]
    mat: Float[Array, "3 3"]
    size: Float[Array, "3"]

    @property
    def axis(self) -> Float[Array, "3"]:
        """Its own z."""
        return self.mat[:, 2]


class Touch(NamedTuple):
    """k possible contacts of two geoms."""

    dist: Float[Array, " k"]
    """Distance, negative inside [m]."""
    pos: Float[Array, "k 3"]
    normal: Float[Array, "k 3"]
    """From the first geom to the second."""


def plane_box(plane: Geom, box: Geom, reach: Array) -> Touch:
    """The four corners on the plane's side of the box's middle, in C's order."""
    del reach
    normal = plane.axis
    signs = np.array([[1 if i >> axis & 1 else -1 for axis in range(3)] for i in range(8)])
    corners = (signs * box.size) @ box.mat.T
    depth = corners @ normal
    # Of two opposite corners one is lower; where an edge lies level, C takes those that come first.
    lower = jnp.argsort(depth > 0, stable=True)[:4]
    dist = (box.pos - plane.pos) @ normal + depth[lower]
    return _on_plane(box.pos + corners[lower], dist, normal)


def plane_cylinder(plane: Geom, cylinder: Geom, reach: Array) -> Touch:
    """The lowest point of each rim, and two more that make a triangle on the lower one."""
    del reach
    normal = plane.axis
    along = cylinder.axis @ normal
    axis = jnp.where(along > 0, -cylinder.axis, cylinder.axis)
    sideways = axis * (axis @ normal) - normal
    size2 = sideways @ sideways
    tilted = size2 >= MINVAL**2
    down = sideways / jnp.sqrt(jnp.where(tilted, size2, 1))
    down = cylinder.size[0] * jnp.where(tilted, down, cylinder.mat[:, 0])
    half = axis * cylinder.size[1]
    across = _unit(jnp.cross(down, half)) * cylinder.size[0] * np.sqrt(3) / 2
    offsets = jnp.stack(
        [half + down, down - half, half - down / 2 + across, half - down / 2 - across]
    )
    points = cylinder.pos + offsets
    return _on_plane(points, (points - plane.pos) @ normal, normal)


class Hull(NamedTuple):
    """What a plane can touch of a convex mesh; v vertices, at most p faces at one of them."""

    vertices: Float[np.ndarray, "v 3"]
    normals: Float[np.ndarray, "v p 3"]
    """Of the faces at each vertex; those of vertices with fewer point nowhere."""
    corners: Int[np.ndarray, "v p 4"]
    """Of each such face up to four vertices, its own first; -1 where it has but three."""


def plane_mesh(plane: Geom, mesh: Geom, reach: Array, hull: Hull) -> Touch:
    """The lowest vertex and three more of that face at it which faces the plane most."""
    normal = plane.axis
    down = mesh.mat.T @ -normal
    lowest = jnp.argmax(jnp.asarray(hull.vertices) @ down)
    face = jnp.argmax(jnp.asarray(hull.normals)[lowest] @ down)
    corners = jnp.asarray(hull.corners)[lowest, face]
    offsets = jnp.asarray(hull.vertices, normal.dtype)[corners] @ mesh.mat.T
    dist = (mesh.pos + offsets - plane.pos) @ normal
    # C takes no other corner above the mesh's middle.
    real = (corners >= 0) & ((offsets @ normal <= 0) | (jnp.arange(4) == 0))
    touch = _on_plane(mesh.pos + offsets, dist, normal)
    return touch._replace(dist=jnp.where(real, dist, reach + 1))


def sphere_capsule(sphere: Geom, capsule: Geom, reach: Array) -> Touch:
    """At the nearest point of the capsule's segment."""
    del reach
    along = capsule.axis @ (sphere.pos - capsule.pos)
    nearest = capsule.pos + capsule.axis * jnp.clip(along, -capsule.size[1], capsule.size[1])
    return _two_spheres(sphere.pos, sphere.size[0], nearest, capsule.size[0])


def sphere_box(sphere: Geom, box: Geom, reach: Array) -> Touch:
    """Where the box is nearest to the sphere's middle."""
    del reach
    return _sphere_box(sphere.pos, sphere.size[0], box)


def _sphere_box(pos: Float[Array, "3"], radius: Array, box: Geom) -> Touch:
    middle = box.mat.T @ (pos - box.pos)
    nearest = jnp.clip(middle, -box.size, box.size)
    gap = nearest - middle
    dist2 = gap @ gap
    outside = dist2 > MINVAL**2
    dist = jnp.sqrt(jnp.where(outside, dist2, 1))
    # A middle inside of the box leaves by the nearest face.
    depths = jnp.stack([box.size + middle, box.size - middle], axis=1).ravel()
    face = jnp.argmin(depths)
    inward = jnp.asarray(np.kron(np.eye(3), [[1], [-1]]), middle.dtype)[face]
    normal = jnp.where(outside, gap / dist, inward)
    depth = jnp.where(outside, dist, -depths[face])
    local = jnp.where(
        outside,
        (nearest + middle + normal * radius) / 2,
        middle + normal * (radius - depths[face]) / 2,
    )
    return Touch(
        (depth - radius)[None], (box.pos + box.mat @ local)[None], (box.mat @ normal)[None]
    )


def sphere_cylinder(sphere: Geom, cylinder: Geom, reach: Array) -> Touch:
    """On the cylinder's side, one of its caps, or a rim."""
    del reach
    radius, height = cylinder.size[0], cylinder.size[1]
    apart = sphere.pos - cylinder.pos
    along = cylinder.axis @ apart
    out = apart - cylinder.axis * along
    out2 = out @ out
    size = jnp.sqrt(jnp.where(out2 > 0, out2, 1))
    beside, above = jnp.abs(along) < height, out2 < radius**2
    # A middle inside of the cylinder leaves by what is nearer.
    by_cap = height - jnp.abs(along) < radius - jnp.where(out2 > 0, size, 0)
    side, cap = beside & ~(above & by_cap), above & ~(beside & ~by_cap)
    up = jnp.where(along > 0, cylinder.axis, -cylinder.axis)
    to_cap = jnp.abs(along) - height - sphere.size[0]
    cap_touch = Touch(
        to_cap[None], (sphere.pos - up * (sphere.size[0] + to_cap / 2))[None], -up[None]
    )
    rim = cylinder.pos + up * height + out * (radius / size)
    target = jnp.where(side, cylinder.pos + cylinder.axis * along, rim)
    ball = _two_spheres(sphere.pos, sphere.size[0], target, jnp.where(side, radius, 0))
    return Touch(*(jnp.where(cap, a, b) for a, b in zip(cap_touch, ball, strict=True)))


def capsule_capsule(one: Geom, two: Geom, reach: Array) -> Touch:
    """One contact; two where capsules are parallel, at the ends of what they have side by side."""
    axis1, axis2 = one.axis * one.size[1], two.axis * two.size[1]
    apart = one.pos - two.pos
    a, b, c = axis1 @ axis1, -axis1 @ axis2, axis2 @ axis2
    u, v = -axis1 @ apart, axis2 @ apart

    def touch(x1: Array, x2: Array) -> Touch:
        """At shares of the half axes."""
        return _two_spheres(one.pos + axis1 * x1, one.size[0], two.pos + axis2 * x2, two.size[0])

    # The determinant a c - b^2, and what C divides by it, by cross products: the same numbers, but
    # float32 would lose them for small angles.
    across = jnp.cross(axis1, axis2)
    det = across @ across
    crossed = det >= PARALLEL**2 * a * c
    safe = jnp.where(crossed, det, 1)
    x1 = -jnp.cross(apart, axis2) @ across / safe
    x2 = -jnp.cross(apart, axis1) @ across / safe
    x2 = jnp.where(x1 > 1, (v - b) / c, jnp.where(x1 < -1, (v + b) / c, x2))
    x1 = jnp.clip(x1, -1, 1)
    x1 = jnp.where(x2 > 1, jnp.clip((u - b) / a, -1, 1), x1)
    x1 = jnp.where(x2 < -1, jnp.clip((u + b) / a, -1, 1), x1)
    single = touch(x1, jnp.clip(x2, -1, 1))

    def at_end(end: int) -> Touch:
        """At an end of the second capsule, or that of the first where it ends before."""
        beside = (u - b * end) / a
        x1 = jnp.clip(beside, -1, 1)
        x2 = jnp.where(jnp.abs(beside) <= 1, end, jnp.clip((v - b * x1) / c, -1, 1))
        return touch(x1, x2)

    first, second = at_end(-1), at_end(1)
    nothing = single._replace(dist=(reach + 1)[None])
    pairs = [
        Touch(*(jnp.where(crossed, x, y) for x, y in zip(alone, end, strict=True)))
        for alone, end in ((single, first), (nothing, second))
    ]
    return Touch(*(jnp.concatenate(x) for x in zip(*pairs, strict=True)))


def _two_spheres(pos1: Array, radius1: Array, pos2: Array, radius2: Array) -> Touch:
    apart = pos2 - pos1
    dist2 = apart @ apart
    there = dist2 > MINVAL**2
    dist = jnp.sqrt(jnp.where(there, dist2, 1))
    normal = jnp.where(there, apart / dist, jnp.eye(3)[0])
    depth = jnp.where(there, dist, 0) - radius1 - radius2
    return Touch(depth[None], (pos1 + normal * (radius1 + depth / 2))[None], normal[None])


def _on_plane(points: Float[Array, "k 3"], dist: Float[Array, " k"], normal: Array) -> Touch:
    return Touch(dist, points - normal * dist[:, None] / 2, jnp.broadcast_to(normal, points.shape))


def _unit(vector: Float[Array, "3"]) -> Float[Array, "3"]:
    return vector / jnp.sqrt(vector @ vector)
