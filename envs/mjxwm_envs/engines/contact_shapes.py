"""Contacts between geoms as C MuJoCo 3.17 computes them, for types for which MJX differs.

Each function takes two geoms, in the order of their types, and returns a fixed number of possible
contacts; those that C MuJoCo does not make get a distance beyond `reach`, which is the largest
distance of a contact (margin plus gap). All are differentiable wherever C MuJoCo's contacts are.
"""

from typing import NamedTuple

import jax.numpy as jnp
import mujoco
import numpy as np
from jaxtyping import Array, Float, Int

MINVAL = mujoco.mjMINVAL
PARALLEL = 1e-4
"""Sine of the largest angle at which C MuJoCo treats capsules as parallel."""


class Geom(NamedTuple):
    """Position, orientation and size of a geom, in the world's frame."""

    pos: Float[Array, "3"]
    mat: Float[Array, "3 3"]
    size: Float[Array, "3"]

    @property
    def axis(self) -> Float[Array, "3"]:
        """Its z axis."""
        return self.mat[:, 2]


class Touch(NamedTuple):
    """k possible contacts of two geoms."""

    dist: Float[Array, " k"]
    """Distance [m], negative for penetration."""
    pos: Float[Array, "k 3"]
    normal: Float[Array, "k 3"]
    """From the first geom to the second."""


def plane_box(plane: Geom, box: Geom, reach: Array) -> Touch:
    """The four corners of the box that are on the plane's side of its centre, in C's order."""
    del reach
    normal = plane.axis
    signs = np.array([[1 if i >> axis & 1 else -1 for axis in range(3)] for i in range(8)])
    corners = (signs * box.size) @ box.mat.T
    depth = corners @ normal
    # One of two opposite corners is lower; of corners at the centre's height C takes the first.
    lower = jnp.argsort(depth > 0, stable=True)[:4]
    dist = (box.pos - plane.pos) @ normal + depth[lower]
    return _on_plane(box.pos + corners[lower], dist, normal)


def plane_cylinder(plane: Geom, cylinder: Geom, reach: Array) -> Touch:
    """The lowest points of both rims, and two more on the lower rim that form a triangle."""
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
    """A convex mesh of v vertices, with at most p faces at a vertex."""

    vertices: Float[np.ndarray, "v 3"]
    normals: Float[np.ndarray, "v p 3"]
    """Normals of the faces at each vertex; vertices with fewer faces repeat the last one."""
    corners: Int[np.ndarray, "v p 4"]
    """Up to four vertices of each such face, the vertex itself first; -1 if there are but three."""


def plane_mesh(plane: Geom, mesh: Geom, reach: Array, hull: Hull) -> Touch:
    """The lowest vertex, and three more of its face that is most parallel to the plane."""
    normal = plane.axis
    down = mesh.mat.T @ -normal
    lowest = jnp.argmax(jnp.asarray(hull.vertices) @ down)
    face = jnp.argmax(jnp.asarray(hull.normals)[lowest] @ down)
    corners = jnp.asarray(hull.corners)[lowest, face]
    offsets = jnp.asarray(hull.vertices, normal.dtype)[corners] @ mesh.mat.T
    dist = (mesh.pos + offsets - plane.pos) @ normal
    # C takes no further corner above the mesh's centre.
    real = (corners >= 0) & ((offsets @ normal <= 0) | (jnp.arange(4) == 0))
    touch = _on_plane(mesh.pos + offsets, dist, normal)
    return touch._replace(dist=jnp.where(real, dist, reach + 1))


def sphere_capsule(sphere: Geom, capsule: Geom, reach: Array) -> Touch:
    """One contact, at the nearest point of the capsule's segment."""
    del reach
    along = capsule.axis @ (sphere.pos - capsule.pos)
    nearest = capsule.pos + capsule.axis * jnp.clip(along, -capsule.size[1], capsule.size[1])
    return _two_spheres(sphere.pos, sphere.size[0], nearest, capsule.size[0])


def sphere_box(sphere: Geom, box: Geom, reach: Array) -> Touch:
    """One contact, at the point of the box that is nearest to the sphere's centre."""
    del reach
    return _sphere_box(sphere.pos, sphere.size[0], box)


def _sphere_box(pos: Float[Array, "3"], radius: Array, box: Geom) -> Touch:
    centre = box.mat.T @ (pos - box.pos)
    nearest = jnp.clip(centre, -box.size, box.size)
    gap = nearest - centre
    dist2 = gap @ gap
    outside = dist2 > MINVAL**2
    dist = jnp.sqrt(jnp.where(outside, dist2, 1))
    # A centre inside of the box is pushed out through the nearest face.
    depths = jnp.stack([box.size + centre, box.size - centre], axis=1).ravel()
    face = jnp.argmin(depths)
    inward = jnp.asarray(np.kron(np.eye(3), [[1], [-1]]), centre.dtype)[face]
    normal = jnp.where(outside, gap / dist, inward)
    depth = jnp.where(outside, dist, -depths[face])
    local = jnp.where(
        outside,
        (nearest + centre + normal * radius) / 2,
        centre + normal * (radius - depths[face]) / 2,
    )
    return Touch(
        (depth - radius)[None], (box.pos + box.mat @ local)[None], (box.mat @ normal)[None]
    )


def sphere_cylinder(sphere: Geom, cylinder: Geom, reach: Array) -> Touch:
    """One contact, on the cylinder's side, a cap, or a rim."""
    del reach
    radius, height = cylinder.size[0], cylinder.size[1]
    apart = sphere.pos - cylinder.pos
    along = cylinder.axis @ apart
    out = apart - cylinder.axis * along
    out2 = out @ out
    size = jnp.sqrt(jnp.where(out2 > 0, out2, 1))
    between_caps, over_cap = jnp.abs(along) < height, out2 < radius**2
    # A centre inside of the cylinder is pushed out through the nearer of side and cap.
    by_cap = height - jnp.abs(along) < radius - jnp.where(out2 > 0, size, 0)
    side = between_caps & ~(over_cap & by_cap)
    cap = over_cap & ~(between_caps & ~by_cap)
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
    """One contact; for parallel capsules two, at the ends of the part where they overlap."""
    axis1, axis2 = one.axis * one.size[1], two.axis * two.size[1]
    apart = one.pos - two.pos
    a, b, c = axis1 @ axis1, -axis1 @ axis2, axis2 @ axis2
    u, v = -axis1 @ apart, axis2 @ apart

    def touch(x1: Array, x2: Array) -> Touch:
        """The contact of the points at these fractions of the half axes."""
        return _two_spheres(one.pos + axis1 * x1, one.size[0], two.pos + axis2 * x2, two.size[0])

    # The determinant a c - b^2 and the numerators over it, written as cross products: equal to C's
    # formulas, which lose all digits in float32 at small angles.
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
        """The contact at an end of the second capsule, or of the first if that one ends before."""
        opposite = (u - b * end) / a
        x1 = jnp.clip(opposite, -1, 1)
        x2 = jnp.where(jnp.abs(opposite) <= 1, end, jnp.clip((v - b * x1) / c, -1, 1))
        return touch(x1, x2)

    first, second = at_end(-1), at_end(1)
    no_contact = single._replace(dist=(reach + 1)[None])
    pairs = [
        Touch(*(jnp.where(crossed, x, y) for x, y in zip(alone, end, strict=True)))
        for alone, end in ((single, first), (no_contact, second))
    ]
    return Touch(*(jnp.concatenate(x) for x in zip(*pairs, strict=True)))


def _two_spheres(pos1: Array, radius1: Array, pos2: Array, radius2: Array) -> Touch:
    apart = pos2 - pos1
    dist2 = apart @ apart
    apart_enough = dist2 > MINVAL**2
    dist = jnp.sqrt(jnp.where(apart_enough, dist2, 1))
    normal = jnp.where(apart_enough, apart / dist, jnp.eye(3)[0])
    depth = jnp.where(apart_enough, dist, 0) - radius1 - radius2
    return Touch(depth[None], (pos1 + normal * (radius1 + depth / 2))[None], normal[None])


def _on_plane(points: Float[Array, "k 3"], dist: Float[Array, " k"], normal: Array) -> Touch:
    return Touch(dist, points - normal * dist[:, None] / 2, jnp.broadcast_to(normal, points.shape))


def _unit(vector: Float[Array, "3"]) -> Float[Array, "3"]:
    return vector / jnp.sqrt(vector @ vector)
