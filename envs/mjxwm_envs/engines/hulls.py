"""The convex hulls of a model's meshes, as tables of what a plane can touch of them."""

import mujoco
import numpy as np
from jaxtyping import Float, Int

from mjxwm_envs.engines.contact_shapes import Hull


def hull(model: mujoco.MjModel, mesh: int) -> Hull:
    """The table for `plane_mesh` of one mesh that has a convex hull."""
    start, count = model.mesh_vertadr[mesh], model.mesh_vertnum[mesh]
    vertices = model.mesh_vert[start : start + count].astype(float)
    first, faces = model.mesh_polyadr[mesh], model.mesh_polynum[mesh]
    at: list[list[tuple[np.ndarray, list[int]]]] = [[] for _ in range(count)]
    for face in range(first, first + faces):
        begin = model.mesh_polyvertadr[face]
        polygon = model.mesh_polyvert[begin : begin + model.mesh_polyvertnum[face]]
        for place, vertex in enumerate(polygon):
            four = _four_corners(vertices[polygon], place)
            at[vertex].append((model.mesh_polynormal[face], polygon[four].tolist()))
    most = max(map(len, at))
    normals = np.zeros((count, most, 3))
    corners = np.full((count, most, 4), -1)
    for vertex, found in enumerate(at):
        for i, (normal, four) in enumerate(found):
            normals[vertex, i] = normal
            corners[vertex, i, : len(four)] = four
        # Where a vertex has fewer faces, its last one stands in: no other can be chosen.
        for i in range(len(found), most if found else 0):
            normals[vertex, i], corners[vertex, i] = normals[vertex, i - 1], corners[vertex, i - 1]
    corners[:, :, 0] = np.where(corners[:, :, 0] < 0, np.arange(count)[:, None], corners[:, :, 0])
    return Hull(vertices, normals, corners)


def _four_corners(polygon: Float[np.ndarray, "n 3"], first: int) -> Int[np.ndarray, " m"]:
    """Up to four corners of a face around its `first`, far apart: C MuJoCo's greedy search."""
    n = len(polygon)
    chosen = [(first + i) % n for i in range(min(n, 4))]
    if n <= 4:
        return np.array(chosen)

    def area(corners: list[int]) -> float:
        a, b, c, d = polygon[corners]
        return float(np.linalg.norm(np.cross(a - c, b - d)) / 2)

    def move(corner: int) -> bool:
        ahead = list(chosen)
        ahead[corner] = (ahead[corner] + 1) % n
        better = area(ahead) > area(chosen)
        if better:
            chosen[:] = ahead
        return better

    while move(3):
        for corner in (2, 1):
            while move(corner):
                pass
    return np.array(chosen)
