"""Which camera shows a body best, and where it has to be so that the body stays in the picture."""

import copy

import mujoco
import numpy as np
from jaxtyping import Float

_TRACKING = (int(mujoco.mjtCamLight.mjCAMLIGHT_TRACK), int(mujoco.mjtCamLight.mjCAMLIGHT_TRACKCOM))
_FAR = 0.15
"""How far a body travels before a camera that stands still follows it, in its distance to it."""


def camera_of(model: mujoco.MjModel, name: str) -> str | None:
    """The camera of this name, else the first that follows a body that travels, else None."""
    names = [model.camera(i).name for i in range(model.ncam)]
    if name in names:
        return name
    return next((n for i, n in enumerate(names) if _follows_a_traveller(model, i)), None)


def _follows_a_traveller(model: mujoco.MjModel, camera: int) -> bool:
    """Whether a camera follows a body that moves over the world, not the hand of an arm, say."""
    body = model.cam_bodyid[camera]
    joints = model.jnt_type[model.jnt_bodyid == body]
    travelling = (mujoco.mjtJoint.mjJNT_FREE, mujoco.mjtJoint.mjJNT_SLIDE)
    travels = bool(np.isin(joints, travelling).any())
    return (
        int(model.cam_mode[camera]) in _TRACKING
        and bool(model.body_parentid[body] == 0)
        and travels
    )


def views(
    model: mujoco.MjModel, qpos: Float[np.ndarray, "T nq"], camera: str | None
) -> list[mujoco.MjvCamera] | None:
    """A camera for each row of positions that goes with the body, as far as it goes sideways.

    Args:
        model: what is drawn.
        qpos: positions over time.
        camera: the camera of the model that says from where to look; None for the free one.

    Returns:
        The cameras; None if the model's own camera follows the body, or the body stays where it
        is.
    """
    if camera is not None and int(model.camera(camera).mode[0]) in _TRACKING:
        return None
    data = mujoco.MjData(model)
    body = _heaviest(model)
    places = np.array([_center(model, data, row, body) for row in qpos])
    first = _view(model, data, qpos[0], camera, places[0])
    sideways = places[:, :2] - places[0, :2]
    if np.ptp(places[:, :2], axis=0).max() < _FAR * first.distance:
        return None
    cameras = []
    for shift in sideways:
        moved = copy.copy(first)
        moved.lookat[:] = first.lookat
        moved.lookat[:2] += shift
        cameras.append(moved)
    return cameras


def _heaviest(model: mujoco.MjModel) -> int:
    """The body on the world, of those that can move, that carries the most mass."""
    jointed = {int(model.body_rootid[body]) for body in model.jnt_bodyid}
    return max(jointed, key=lambda body: float(model.body_subtreemass[body]), default=0)


def _center(
    model: mujoco.MjModel, data: mujoco.MjData, qpos: Float[np.ndarray, " nq"], body: int
) -> Float[np.ndarray, "3"]:
    data.qpos[:] = qpos
    mujoco.mj_kinematics(model, data)
    mujoco.mj_comPos(model, data)
    return data.subtree_com[body].copy()


def _view(
    model: mujoco.MjModel,
    data: mujoco.MjData,
    qpos: Float[np.ndarray, " nq"],
    camera: str | None,
    center: Float[np.ndarray, "3"],
) -> mujoco.MjvCamera:
    """A free camera that sees what the model's camera sees, with the body in its middle."""
    view = mujoco.MjvCamera()
    mujoco.mjv_defaultFreeCamera(model, view)
    view.lookat[:2] = center[:2]
    if camera is None:
        return view
    data.qpos[:] = qpos
    mujoco.mj_forward(model, data)
    place, forward = data.camera(camera).xpos, -data.camera(camera).xmat.reshape(3, 3)[:, 2]
    view.distance = max(float((center - place) @ forward), 1e-3)
    view.azimuth = float(np.degrees(np.arctan2(forward[1], forward[0])))
    view.elevation = float(np.degrees(np.arcsin(np.clip(forward[2], -1, 1))))
    view.lookat[:] = place + view.distance * forward
    view.lookat[:2] = center[:2]
    return view
