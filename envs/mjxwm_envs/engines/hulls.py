"""Tables of the faces of meshes' convex hulls, for contacts with planes."""

import mujoco
import numpy as np
from jaxtyping import Float, Int

from mjxwm_envs.engines.contact_shapes import Hull


def hull(model: mujoco.MjModel, mesh: int) -> Hull:
    """The table for `plane_mesh` of one mesh, which must have a convex hull."""
    start, count = model.mesh_vertadr[mesh], model.mesh_vertnum[mesh]
    vertices = model.mesh_vert[start : start + count].astype(float)
    first, faces = model.mesh_polyadr[mesh], model.mesh_polynum[mesh]
    faces_at: list[list[tuple[np.ndarray, list[int]]]] = [[] for _ in range(count)]
    for face in range(first, first + faces):
        begin = model.mesh_polyvertadr[face]
        polygon = model.mesh_polyvert[begin : begin + model.mesh_polyvertnum[face]]
        for place, vertex in enumerate(polygon):
            four = _four_corners(vertices[polygon], place)
            faces_at[vertex].append((model.mesh_polynormal[face], polygon[four].tolist()))
    most = max(map(len, faces_at))
    normals = np.zeros((count, most, 3))
    corners = np.full((count, most, 4), -1)
    for vertex, vertex_faces in enumerate(faces_at):
        for i, (normal, four) in enumerate(vertex_faces):
            normals[vertex, i] = normal
            corners[vertex, i, : len(four)] = four
        # A vertex with fewer faces repeats its last one, which changes no choice.
        for i in range(len(vertex_faces), most if vertex_faces else 0):
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
