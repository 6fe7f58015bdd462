"""Tasks, start states and compiled engines that the engine tests share."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
from mjxwm_envs.core import Initial
from mjxwm_envs.engines.mjx import Mjx
from mjxwm_envs.engines.native import Native
from mjxwm_envs.engines.warp import Warp
from mjxwm_envs.env import load_model
from mjxwm_envs.task import Task

ENGINES = {"native": Native, "mjx": Mjx, "warp": Warp}
B = 8


@dataclasses.dataclass(frozen=True)
class Bouncer(Task):
    """A free ball with a swinging arm above a floor, and sensors of every stage. Compiles fast."""

    ctrl_dt: float = 0.01
    sim_dt: float = 0.005
    episode_length: int = 100

    @property
    def derived(self):
        return ("sensordata", "xpos", "xmat", "cvel", "qfrc_bias", "actuator_force")

    def mjcf(self):
        return """
        <mujoco>
          <worldbody>
            <geom name="floor" type="plane" size="0 0 1"/>
            <body name="ball" pos="0 0 .1">
              <freejoint/>
              <geom name="ball" size=".1" mass="1"/>
              <site name="shell" size=".12"/>
              <body name="arm" pos="0 0 .1">
                <joint name="arm" axis="0 1 0" damping=".1"/>
                <geom type="capsule" size=".03" fromto="0 0 0 0 0 .2" mass=".2" contype="0"
                      conaffinity="0"/>
              </body>
            </body>
          </worldbody>
          <actuator><motor joint="arm" ctrlrange="-1 1"/></actuator>
          <sensor>
            <jointpos joint="arm"/> <framelinvel objtype="body" objname="arm"/>
            <accelerometer site="shell"/> <touch site="shell"/>
          </sensor>
        </mujoco>"""


@functools.cache
def compiled(name: str, task: Task, derived: bool = False):
    """(engine, reset, step) of `task` for B worlds, the functions vmapped and jitted once."""
    model, n_substeps = load_model(task), round(task.ctrl_dt / task.sim_dt)
    fields = task.derived if derived else ()
    engine = ENGINES[name](model, n_substeps, fields).for_worlds(B)
    return engine, jax.jit(jax.vmap(engine.reset)), jax.jit(jax.vmap(engine.step))


def random_starts(nq: int, nv: int, seed: int = 0) -> Initial:
    rng = np.random.default_rng(seed)
    qpos, qvel = rng.uniform(-0.3, 0.3, (B, nq)), rng.uniform(-1, 1, (B, nv))
    return Initial(*(jnp.asarray(x, jnp.float32) for x in (qpos, qvel, np.zeros((B, 0)))))


def hopper_starts(kind: str) -> Initial:
    start = random_starts(6, 6)
    joints = -jnp.abs(start.qpos[:, 3:])  # inside of their ranges
    height, tilt = {"flying": (0.6, 1), "standing": (-0.05, 0.1), "falling": (-0.6, 3)}[kind]
    scale = 3 if kind == "falling" else tilt
    qpos = jnp.concatenate([start.qpos[:, :1], height + 0 * joints[:, :1]], axis=1)
    qpos = jnp.concatenate([qpos, tilt * start.qpos[:, 2:3], scale * joints], axis=1)
    return start._replace(qpos=qpos)


def bouncer_starts() -> Initial:
    """Half of the balls press into the floor, half fly."""
    start = random_starts(8, 7)
    quaternion = start.qpos[:, 3:7] + jnp.array([1.0, 0, 0, 0])
    quaternion /= jnp.linalg.norm(quaternion, axis=1, keepdims=True)
    height = jnp.where(jnp.arange(B) % 2, 0.095, 0.3)[:, None]
    qpos = jnp.concatenate([start.qpos[:, :2], height, quaternion, start.qpos[:, 7:]], axis=1)
    return start._replace(qpos=qpos)


def actions(nu: int, steps: int, seed: int = 1):
    ctrl = np.random.default_rng(seed).uniform(-1, 1, (steps, B, nu))
    return jnp.asarray(ctrl, jnp.float32)
