"""One world's body in the browser, with its goal, drawn by mjviser."""

from collections.abc import Callable
from typing import Any, NamedTuple

import mujoco
import numpy as np
import trimesh
import viser
from jaxtyping import Float
from mjviser import ViserMujocoScene
from mjxwm_envs import Marker, Scene

_ORANGE = (240, 120, 30)
_VISIBLE = (
    *("geom_pos", "geom_quat", "geom_size", "geom_rgba", "geom_matid", "mat_rgba"),
    *("site_pos", "site_quat", "site_size", "site_rgba", "body_pos", "body_quat"),
)
"""Fields of a model that its picture shows."""


class Pull(NamedTuple):
    """A body that is dragged with the mouse."""

    body: int
    grip: Float[np.ndarray, "3"]
    """The point in the body's own frame [m]."""
    target: Float[np.ndarray, "3"]
    """Where it is dragged to, as drawn [m]."""


class Forces(NamedTuple):
    """What beside its positions a body's forces come from."""

    qvel: Float[np.ndarray, " nv"]
    act: Float[np.ndarray, " na"]
    ctrl: Float[np.ndarray, " nu"]


class Stage(ViserMujocoScene):
    """A body at given positions, followed by the camera if it travels."""

    def __init__(self, server: viser.ViserServer, scene: Scene):
        """Args:
        server: of the browser's page.
        scene: what is drawn until `show` changes it.
        """
        self.offset = np.zeros(3)
        self.pull: Pull | None = None
        self._markers: list[Any] = []
        super().__init__(server, scene.model, num_envs=1)
        self.follow = travels(scene.model)
        self._extent = self._measure()
        self._arrow = server.scene.add_line_segments(
            "/pull",
            np.zeros((1, 2, 3), np.float32),
            _ORANGE,
            thickness=4.0,
            thickness_units="screen",
            visible=False,
        )
        self._draggable()
        self._mark(scene.markers)

    def show(self, scene: Scene) -> None:
        """Draws another episode's body and goal from now on."""
        changed = False
        with self._update_lock:  # the panel's controls draw from threads of their own
            for name in mujoco.batch.MODEL_FIELDS:  # in place: the controls refer to this model
                changed |= _copied(name, scene.model, self.mj_model)
            if changed:
                mujoco.mj_resetData(
                    self.mj_model, self.mj_data
                )  # puts mocap bodies in their places
                self.rebuild_visual_handles()
                self._draggable()
            self._mark(scene.markers)

    def pose(
        self,
        before: Float[np.ndarray, " nq"],
        after: Float[np.ndarray, " nq"],
        share: float,
        forces: Forces | None = None,
    ) -> None:
        """Draws the body at a share, from 0 to 1, of the way between two positions.

        Args:
            before: positions before a step.
            after: positions after it.
            share: of the way.
            forces: what contact forces are computed from where they are drawn.
        """
        model, data = self.mj_model, self.mj_data
        if share < 1 and not np.array_equal(before, after):
            way, between = np.zeros(model.nv), before.copy()
            mujoco.mj_differentiatePos(model, way, 1.0, before, after)
            mujoco.mj_integratePos(model, between, way, share)
            after = between
        with self._update_lock:
            data.qpos[:] = after
            if forces is not None:
                data.qvel[:], data.act[:], data.ctrl[:] = forces
            mujoco.mj_kinematics(model, data)
            self.update_from_arrays(
                data.xpos[None].copy(),
                data.xmat.reshape(1, -1, 3, 3).copy(),
                data.mocap_pos[None],
                data.mocap_quat[None],
                qpos=data.qpos[None].copy(),
                qvel=data.qvel[None],
            )
            self._draw_pull()

    def view(self) -> tuple[np.ndarray, np.ndarray]:
        """Where a camera stands at first, and the point that it looks at [m]."""
        center, radius = self._extent
        azimuth, elevation = np.deg2rad(-70), np.deg2rad(15)
        flat = np.cos(elevation)
        direction = np.array([flat * np.cos(azimuth), flat * np.sin(azimuth), np.sin(elevation)])
        return center + 2.5 * radius * direction, center

    def _update_visualization_locked(
        self,
        body_xpos: np.ndarray,
        body_xmat: np.ndarray,
        mocap_pos: np.ndarray,
        mocap_quat: np.ndarray,
        env_idx: int,
        scene_offset: np.ndarray,
        mj_data: mujoco.MjData | None = None,
    ) -> None:
        # mjviser would keep the body in its place upwards and downwards, too: the floor would hop.
        position = self._root_position()
        self.offset = -position * (1, 1, 0) if self.follow else np.zeros(3)
        arrays = (body_xpos, body_xmat, mocap_pos, mocap_quat, env_idx)
        super()._update_visualization_locked(*arrays, self.offset, mj_data)

    def _measure(self) -> tuple[np.ndarray, float]:
        """Centre, as drawn, and radius of what moves; of the model if nothing does [m]."""
        model, data = self.mj_model, self.mj_data
        mujoco.mj_resetData(model, data)
        mujoco.mj_kinematics(model, data)
        moves = model.body_weldid[model.geom_bodyid] > 0
        if not moves.any():
            return np.array(model.stat.center), float(model.stat.extent)
        places, reach = data.geom_xpos[moves], model.geom_rbound[moves, None]
        low, high = (places - reach).min(axis=0), (places + reach).max(axis=0)
        center = (low + high) / 2 - (self._root_position() * (1, 1, 0) if self.follow else 0)
        return center, float(np.linalg.norm(high - low) / 2)

    def _root_position(self) -> np.ndarray:
        return self.mj_data.xpos[_root(self.mj_model)].copy()

    def _draggable(self) -> None:
        for group in self._mesh_groups:
            if group.mocap_ids is None:
                group.handle.on_drag("left")(self._dragged(group.body_ids))

    def _dragged(self, bodies: np.ndarray) -> Callable[[Any], None]:
        def dragged(event: Any) -> None:
            if event.phase == "end":
                self.pull = None
                return
            body = int(bodies[event.instance_index or 0])
            data, target = self.mj_data, np.array(event.end_position)
            if event.phase == "start" or self.pull is None:
                way = np.array(event.start_position) - self.offset - data.xpos[body]
                grip = data.xmat[body].reshape(3, 3).T @ way
            else:
                grip = self.pull.grip
            self.pull = Pull(body, grip, target)

        return dragged

    def _draw_pull(self) -> None:
        pull = self.pull
        self._arrow.visible = pull is not None
        if pull is not None:
            rotation = self.mj_data.xmat[pull.body].reshape(3, 3)
            grip = self.mj_data.xpos[pull.body] + rotation @ pull.grip + self.offset
            self._arrow.points = np.stack([grip, pull.target])[None].astype(np.float32)

    def _mark(self, markers: Any) -> None:
        for handle in self._markers:
            handle.remove()
        self._markers = [self._ball(i, marker) for i, marker in enumerate(markers)]

    def _ball(self, number: int, marker: Marker) -> Any:
        ball = trimesh.creation.icosphere(subdivisions=3, radius=1.0)
        vertices = ball.vertices * np.broadcast_to(np.asarray(marker.radius, float), (3,))
        red, green, blue, opacity = marker.rgba
        return self.server.scene.add_mesh_simple(
            f"/fixed_bodies/marker{number}",  # moves with what stands still
            vertices.astype(np.float32),
            ball.faces,
            color=(red, green, blue),
            opacity=opacity,
            position=tuple(np.asarray(marker.place, float)),
            cast_shadow=False,
        )


def _copied(name: str, source: mujoco.MjModel, target: mujoco.MjModel) -> bool:
    """Copies a field from model to model; whether it differed and may be seen."""
    option = name.startswith("opt.")
    owners = (source.opt, target.opt) if option else (source, target)
    new, old = (getattr(owner, name.removeprefix("opt.")) for owner in owners)
    if np.array_equal(new, old):
        return False
    # Masses, friction and strength, which are randomised most often, are not to be seen.
    visible = name.startswith(_VISIBLE)
    if isinstance(old, np.ndarray):
        old[...] = new
    else:
        setattr(owners[1], name.removeprefix("opt."), new)
    return visible


def _root(model: mujoco.MjModel) -> int:
    """The first body that moves by joints; the world if none does."""
    moving = np.flatnonzero(model.body_dofnum)
    return int(moving[0]) if moving.size else 0


def travels(model: mujoco.MjModel) -> bool:
    """Whether the first moving body can leave the picture: it is free, or slides without limits."""
    root = _root(model)
    joints = np.flatnonzero(model.jnt_bodyid == root) if root else np.zeros(0, int)
    free = model.jnt_type[joints] == mujoco.mjtJoint.mjJNT_FREE
    slides = model.jnt_type[joints] == mujoco.mjtJoint.mjJNT_SLIDE
    return bool(np.any(free | (slides & ~model.jnt_limited[joints].astype(bool))))
