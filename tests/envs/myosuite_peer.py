"""MyoSuite's own environments, set to the states of ours."""

import contextlib
import warnings
from collections.abc import Iterator
from typing import Any, NamedTuple

import mujoco
import numpy as np
from mjxwm_envs.core import Physics
from mjxwm_envs.env import Env

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


def start(there: Any, seed: int) -> np.ndarray:
    """A start state of the peer by its own reset: observation, qpos, and what else it draws."""
    obs, _ = there.reset(seed=seed)
    drawn = [obs, there.data.qpos]
    if hasattr(there, "object_sid"):
        drawn.append(there.model.geom_size[-1])
    return np.concatenate(drawn)
