"""The same state in MyoSuite's own environment and in ours, for the parity tests."""

import contextlib
import warnings
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import mujoco
import numpy as np

import envs
from envs.core import Env, Initial, Physics

PEERS = {
    "myo-elbow-pose": "myoElbowPose1D6MFixed-v0",
    "myo-elbow-pose-random": "myoElbowPose1D6MRandom-v0",
    "myo-finger-pose": "myoFingerPoseFixed-v0",
    "myo-finger-pose-random": "myoFingerPoseRandom-v0",
    "myo-finger-reach": "myoFingerReachFixed-v0",
    "myo-finger-reach-random": "myoFingerReachRandom-v0",
    "myo-hand-reach": "myoHandReachFixed-v0",
    "myo-hand-reach-random": "myoHandReachRandom-v0",
    "myo-hand-pose": "myoHandPoseFixed-v0",
    "myo-hand-pose-random": "myoHandPoseRandom-v0",
    "myo-hand-obj-hold": "myoHandObjHoldFixed-v0",
    "myo-hand-obj-hold-random": "myoHandObjHoldRandom-v0",
    "myo-hand-key-turn": "myoHandKeyTurnFixed-v0",
    "myo-hand-key-turn-random": "myoHandKeyTurnRandom-v0",
    "myo-hand-pen-twirl": "myoHandPenTwirlFixed-v0",
    "myo-hand-pen-twirl-random": "myoHandPenTwirlRandom-v0",
    "myo-leg-walk": "myoLegWalk-v0",
}


class Outcome(NamedTuple):
    """What a task says of a state."""

    obs: np.ndarray
    reward: float
    terms: dict[str, float]
    """Weighted."""
    success: bool
    terminated: bool


@contextlib.contextmanager
def peer(name: str) -> Iterator[Any]:
    """MyoSuite's environment for our task `name`, without its wrappers."""
    import myosuite
    from myosuite.utils import reach_workspace

    # Comparing a model's joint types with these enums fails in mujoco 3.17, and every target of
    # FingerReachRandom is the tip's rest place; as integers they mean what they say.
    reach_workspace._JOINT_TYPES = tuple(int(kind) for kind in reach_workspace._JOINT_TYPES)
    reach_workspace._CACHE.clear()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        env = myosuite.make_env(PEERS[name])
        yield env.unwrapped
        env.close()


def put(there: Any, ours: Env, physics: Physics, fields: dict[str, np.ndarray]) -> None:
    """Sets the peer to a state of ours: goal, model, time, qpos, qvel, activations."""
    _set_goal(there, ours, np.asarray(physics.goal), fields)
    data = there.data
    mujoco.mj_resetData(there.model, data)
    for field in ("qpos", "qvel", "act"):
        getattr(data, field)[...] = getattr(physics, field)
    data.time = float(physics.time)
    there.steps = round(data.time / there._ctrl_dt)
    mujoco.mj_forward(there.model, data)


def outcome(there: Any) -> Outcome:
    """What the peer says of its state."""
    from myosuite.envs.gymnasium_env import CpuEnvAccessor

    there._accessor = CpuEnvAccessor(there.model, there.data, there._ctrl_dt)
    obs = there._get_obs_dict(there._accessor)
    rewards = there.get_reward_dict(obs)
    terms = {k: weight * float(rewards[k]) for k, weight in there.rwd_keys_wt.items()}
    return Outcome(
        np.asarray(there._obs_dict_to_vec(obs)),
        rewards["dense"],
        terms,
        bool(rewards["solved"]),
        bool(rewards["done"]),
    )


def _set_goal(there: Any, ours: Env, goal: Any, fields: dict[str, np.ndarray]) -> None:
    model, name = there.model, ours.name
    if "reach" in name:
        for site, place in zip(there.target_sids, goal.reshape(-1, 3), strict=True):
            model.site_pos[site] = place
    elif "pose" in name:
        there.target_jnt_value = goal.astype(float)
    elif "hold" in name:
        model.site_pos[there.goal_sid] = goal
    for field, values in fields.items():
        if field == "body_pos":
            model.body_pos[-1] = values[-1]
        elif field == "body_quat":
            body = ours.engine.model.body("target").id
            model.body_quat[there.target_obj_bid] = values[body]
        elif field == "geom_size":
            from myosuite.utils.mujoco_geom_utils import refresh_geom_derived_fields

            model.geom_size[-1] = values[-1]
            refresh_geom_derived_fields(model, there._mj_spec, (model.geom_bodyid[-1],))


def states(env: Env, number: int) -> tuple[Physics, dict[str, jax.Array]]:
    """Random states of `number` worlds: some near the start and the goal, some far.

    Returns:
        The worlds as `env.engine` resets them, at random times, and the fields of their models.
    """
    key = jax.random.split(jax.random.key(7), 6)
    model, task = env.engine.model, env.task
    start = jax.vmap(task.initial)(jax.random.split(key[0], number))
    spread = jnp.geomspace(1e-3, 1, number)[:, None]
    dtype = start.qpos.dtype
    qvel = start.qvel + jax.random.normal(key[1], (number, model.nv), dtype)
    act = jax.random.uniform(key[2], (number, model.na), dtype)
    step = spread * jax.random.uniform(key[3], (number, model.nv), dtype, -1, 1) * _reach_of(env)
    odd = np.arange(number) % 2 == 1
    qpos = np.array(start.qpos, dtype=np.float64)
    for row, delta in zip(qpos, np.asarray(step, np.float64), strict=True):
        mujoco.mj_integratePos(model, row, delta, 1.0)
    if "pen" in env.name:  # turned upright, which is the fixed goal
        qpos[odd, -2] -= 1.27
    start = Initial(jnp.asarray(qpos, dtype), qvel, act, start.goal, start.fields)
    physics = jax.vmap(env.engine.reset)(start).physics
    fields = {k: np.array(x) for k, x in start.fields.items()}
    if not isinstance(start.goal, tuple) and "pen" not in env.name:
        reached = _reached(env, physics)
        near = reached + 0.3 * spread * jax.random.normal(key[4], reached.shape, dtype)
        physics = physics._replace(goal=jnp.where(odd[:, None], near, start.goal))
    steps = jax.random.randint(key[5], (number,), 0, 130)
    time = jnp.where(jnp.arange(number) % 3 == 0, jnp.arange(number) // 3 % 4, steps)
    return physics._replace(time=time * task.ctrl_dt), fields


def _reach_of(env: Env) -> np.ndarray:
    """How far a coordinate is moved at most, so that some states are solved and some failed."""
    reach = np.ones(env.engine.model.nv)
    if "hold" in env.name or "pen" in env.name:
        reach[-6:-3] = 0.5  # [m]
    elif "key" in env.name:
        reach[-1] = 20
    elif "leg" in env.name:
        reach[3:6] = 3
    return reach


def _reached(env: Env, physics: Physics) -> jax.Array:
    if "pose" in env.name:
        return physics.qpos
    return physics.derived["sensordata"]


def ours_of(env: Env) -> Callable[[Physics], Outcome]:
    """What our task says of many states."""

    def say(physics: Physics) -> tuple:
        task = env.task
        reward, terms = task.reward(physics, jnp.zeros(env.action_size), physics)
        solved = task.success(physics)
        return task.observe(physics), reward, terms, solved, task.terminated(physics)

    return jax.jit(jax.vmap(say))


def make(name: str) -> Env:
    """Ours, on C MuJoCo."""
    return envs.make(name, engine="native")
