"""Start states that need a simulation: settled on the floor, or free of contact.

C MuJoCo computes `SIZE` of them for a body, always the same ones, which are cached in memory and on
disk; an episode draws one. Thus a reset is cheap and pure on every engine.
"""

import functools
from collections.abc import Callable
from pathlib import Path

import jax.numpy as jnp
import mujoco
import mujoco.batch
import numpy as np
from jaxtyping import Array, Float

from mjxwm_envs.tasks import disk_cache
from mjxwm_envs.tasks.dm_control import models

SIZE = 4096
"""Number of start states for each body."""

_Geom = mujoco.mjtGeom
_GRID = 0.01  # steps in which the suite raises the quadruped from the floor [m]


@functools.cache
def settled(
    model: mujoco.MjModel, sim_dt: float, steps: int
) -> tuple[Float[np.ndarray, "n q"], Float[np.ndarray, "n v"]]:
    """Positions and velocities after `steps` physics steps without control.

    Args:
        model: compiled model.
        sim_dt: physics step [s].
        steps: number of physics steps, from joint positions uniform in their ranges.
    """
    model = mujoco.MjModel.__copy__(model)
    model.opt.timestep = sim_dt
    rows = _stored(model, "settled", str(steps), make=lambda: _settle(model, steps))
    return rows[:, : model.nq], rows[:, model.nq :]


def _settle(model: mujoco.MjModel, steps: int) -> Float[np.ndarray, "n q+v"]:
    batch, data = mujoco.batch.Batch(model, SIZE), mujoco.MjData(model)
    low, high = map(np.array, models.joint_ranges(model))
    limited = model.jnt_qposadr[model.jnt_limited.astype(bool)]
    drawn = np.random.default_rng(0).uniform(low, high, (SIZE, model.nq))
    batch.state[...] = 0
    batch.ctrl[...] = 0
    for row, qpos in zip(batch.state, drawn, strict=True):
        # The suite changes the joints between mj_step1 and mj_step2, so the first step uses the
        # forces of the rest pose.
        mujoco.mj_resetData(model, data)
        mujoco.mj_step1(model, data)
        data.qpos[limited] = qpos[limited]
        mujoco.mj_step2(model, data)
        row[1 : 1 + model.nq + model.nv] = np.concatenate([data.qpos, data.qvel])
    batch.step(nstep=steps - 1)
    return batch.state[:, 1 : 1 + model.nq + model.nv].copy()


@functools.cache
def free_of_contact(model: mujoco.MjModel) -> Float[np.ndarray, "n q"]:
    """Positions without contacts: joints uniform in their ranges, a free root with any orientation.

    As in the suite, the quaternion of a free root is drawn from the positive orthant.
    """
    low, high = map(np.array, models.joint_ranges(model))

    def draw(rng: np.random.Generator) -> Float[np.ndarray, " q"]:
        qpos = rng.uniform(low, high)
        for joint in np.flatnonzero(model.jnt_type == mujoco.mjtJoint.mjJNT_FREE):
            turn, place = rng.uniform(size=4), model.jnt_qposadr[joint] + 3
            qpos[place : place + 4] = turn / np.linalg.norm(turn)
        return qpos

    return _stored(model, "free", make=lambda: _draw(model, draw))


@functools.cache
def balls(
    model: mujoco.MjModel, x: tuple[float, float], z: tuple[float, float]
) -> tuple[Float[np.ndarray, "n 2"], Float[np.ndarray, "n 2"]]:
    """Where the ball touches nothing, its two coordinates: anywhere, and in the cup."""
    low, high = np.array([x, z]).T
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    to_cup = data.site("target").xpos - data.body("ball").xpos
    middle, room = to_cup[[0, 2]], cup_room(model)
    inside = np.maximum(low, middle - room), np.minimum(high, middle + room)

    def draw(low: Array, high: Array) -> Callable[[np.random.Generator], np.ndarray]:
        return lambda rng: np.concatenate([np.zeros(2), rng.uniform(low, high)])

    return _draw(model, draw(low, high))[:, 2:], _draw(model, draw(*inside))[:, 2:]


def cup_room(model: mujoco.MjModel) -> Float[np.ndarray, " 2"]:
    """Largest distance of a caught ball from the cup's centre, in x and z [m]."""
    return model.site("target").size[[0, 2]] - model.geom("ball").size[0]


def clear_height(model: mujoco.MjModel, turn: Float[Array, " 4"]) -> Float[Array, ""]:
    """The least height [m], a multiple of 1 cm, at which no geom of a body is below the floor.

    Args:
        model: a body of capsules, spheres and ellipsoids on a free root; its joints are at rest.
        turn: the root's orientation, a unit quaternion.
    """
    centers, radii, axes = _shapes(model)
    w, x, y, z = turn
    up = jnp.stack([2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x**2 + y**2)])
    # Extent of each geom below its centre: its support function in the direction of the floor.
    below = radii + jnp.linalg.norm(jnp.einsum("gki,i->gk", axes, up), axis=1)
    lowest = jnp.max(below - centers @ up)
    return jnp.maximum(jnp.ceil(lowest / _GRID), 0) * _GRID


@functools.cache
def _shapes(model: mujoco.MjModel) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each colliding geom: centre in the root's frame, radius, and three half axes."""
    data = mujoco.MjData(model)
    data.qpos[:], data.qpos[3:7] = model.qpos0, (1, 0, 0, 0)
    data.qpos[:3] = 0
    mujoco.mj_kinematics(model, data)
    touching = (model.geom_bodyid > 0) & (model.geom_contype > 0)
    centers, radii, axes = [], [], []
    for geom in np.flatnonzero(touching):
        frame, size = data.geom_xmat[geom].reshape(3, 3), model.geom_size[geom]
        kind = model.geom_type[geom]
        half = size if kind == _Geom.mjGEOM_ELLIPSOID else np.array([0, 0, size[1]])
        half = half * (kind != _Geom.mjGEOM_SPHERE)
        centers.append(data.geom_xpos[geom])
        radii.append(0.0 if kind == _Geom.mjGEOM_ELLIPSOID else size[0])
        axes.append((frame * half).T)
    return np.array(centers), np.array(radii), np.array(axes)


def _stored(
    model: mujoco.MjModel, *what: str, make: Callable[[], np.ndarray]
) -> Float[np.ndarray, "n x"]:
    content = np.empty(mujoco.mj_sizeModel(model), np.uint8)
    mujoco.mj_saveModel(model, None, content)
    source = Path(__file__).read_bytes()
    name = disk_cache.key(content.tobytes(), mujoco.__version__, source, *what)

    def from_bytes(stored: bytes) -> np.ndarray:
        return np.frombuffer(stored).reshape(SIZE, -1)

    path = disk_cache.folder("starts") / f"{name}.float64"
    return disk_cache.load_or_make(path, make, lambda rows: rows.tobytes(), from_bytes)


def _draw(
    model: mujoco.MjModel, draw: Callable[[np.random.Generator], np.ndarray]
) -> Float[np.ndarray, "n q"]:
    rng, data, accepted = np.random.default_rng(0), mujoco.MjData(model), []
    while len(accepted) < SIZE:
        data.qpos[:] = draw(rng)
        mujoco.mj_fwdPosition(model, data)
        if data.ncon == 0:
            accepted.append(data.qpos.copy())
    return np.array(accepted)
