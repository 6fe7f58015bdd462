"""What is to be known of an exported policy: sizes, names, times, how actions become controls."""

import inspect
import math
from pathlib import Path
from typing import Any

import mujoco
import numpy as np
from mjxwm_envs import Env, Source, Task

from mjxwm.interop.export import observations
from mjxwm.runs import policy_files, system
from mjxwm.runs.config import Config
from mjxwm.runs.policies import Policy

FORMAT = "mjxwm policy 1"
_CTRL = (
    "ctrl = ctrl_low + (clip(action, -1, 1) + 1) / 2 * (ctrl_high - ctrl_low); where these are "
    "null the actuator has no range, and ctrl = clip(action, -1, 1)"
)
_UNITS = {"ctrl_dt": "s", "action_dt": "s", "action": "1, in [-1, 1]"}
_OURS = {
    "ctrl": "of MuJoCo's `ctrl`: for a motor N m or N, divided by its gear",
    "obs": "of MuJoCo's fields in obs_names, or as obs_description says; not normalised",
}
_FOREIGN = {
    "units": {**_UNITS, "obs": "the environment's own; not normalised"},
    "ctrl": "the environment's own: [-1, 1] is scaled to the bounds of its action space",
}


def of_training(run: Path, best: bool, policy: Policy) -> dict[str, Any]:
    """Where a policy comes from, as JSON has it; arguments as those of `export`."""
    place = policy_files.folder(run, best)  # None for a run of an earlier version
    header = None if place is None else policy_files.read_header(place)
    if header is not None and header.iteration != policy.iteration:
        header = None  # a run that goes on has written the next policy meanwhile
    return {
        "run": run.resolve().name,
        "algorithm": policy.config.algorithm,
        "seed": policy.config.seed,
        "iteration": policy.iteration,
        "env_steps": None if header is None else header.env_steps,
        "eval_return": None if header is None else _plain(header.eval_return),
        "planner": policy.agent.planner is not None,
        "trained_by": None if header is None else header.versions,
        "exported_by": {
            "commit": system.commit(),
            **{name: system.version(name) for name in ("mjxwm", "jax", "mujoco")},
        },
    }


def of_task(config: Config, env: Source) -> dict[str, Any]:
    """The task of a policy, and how the policy is to be used in it, as JSON has it.

    Args:
        config: of the run.
        env: the environment that the policy acts in.
    """
    spec = env.spec
    described = {
        "format": FORMAT,
        "task": spec.name,
        "task_fields": _plain(config.task_fields),
        "obs_size": spec.obs_size,
        "action_size": spec.action_size,
        "action_range": [-1.0, 1.0],
        "ctrl_dt": spec.ctrl_dt / spec.action_repeat,
        "action_repeat": spec.action_repeat,
        "action_dt": spec.ctrl_dt,
    }
    return described | (_named(env) if isinstance(env, Env) else _FOREIGN)


def _named(env: Env) -> dict[str, Any]:
    """What is known of a task of ours alone: names, and the way from actions to controls."""
    model, task = env.engine.model, env.task
    low, high = np.where(model.actuator_ctrllimited, model.actuator_ctrlrange.T, np.nan)
    delay = 0 if env.randomise is None else env.randomise.latency
    shaped = type(task).shape is not Task.shape
    return {
        "units": {**_UNITS, **_OURS},
        "obs_names": observations.names(env),
        "obs_description": inspect.getdoc(type(task)) or "",
        "pending_actions": delay,
        "action_names": actuator_names(model),
        "action_shape": (inspect.getdoc(type(task).shape) or "") if shaped else "",
        "ctrl_low": _plain(low.tolist()),
        "ctrl_high": _plain(high.tolist()),
        "ctrl": _CTRL if not shaped else f"action = Task.shape(action), see action_shape; {_CTRL}",
    }


def actuator_names(model: mujoco.MjModel) -> list[str]:
    """Names of the actuators in the order of an action's numbers."""
    return [model.actuator(i).name or f"actuator{i}" for i in range(model.nu)]


def _plain(value: Any) -> Any:
    """With null for numbers that are not finite: JSON has none."""
    if isinstance(value, dict):
        return {str(name): _plain(x) for name, x in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(x) for x in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
