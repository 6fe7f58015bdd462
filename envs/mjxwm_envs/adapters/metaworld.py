"""Meta-World's fifty tasks as sources of data, by TD-MPC2's protocol: `envs.make("mw-reach")`.

Each episode draws a goal of its own, which is observed; an action is held for two steps, an episode
is 100 actions, its first step after a reset is idle, and `success` is in the metrics (Hansen et al.
2024, arXiv 2310.16828). Yu et al. 2019, arXiv 1910.10897. Runs on the host.
"""

import functools
import warnings
from typing import Any

import mujoco

from mjxwm_envs.adapters.gymnasium import from_gymnasium
from mjxwm_envs.fields import nearest
from mjxwm_envs.packages import not_imported

_STEPS = 200  # of Meta-World, two per action


def names() -> tuple[str, ...]:
    """TD-MPC2's names of the tasks, `mw-reach` and so on.

    Raises:
        ValueError: metaworld is not installed.
    """
    return tuple(sorted(f"mw-{task.rsplit('-', 1)[0]}" for task in _tasks()))


def make(env_id: str, action_repeat: int = 2, episode_length: int = _STEPS) -> Any:
    """A task.

    Args:
        env_id: TD-MPC2's name ("mw-reach") or Meta-World's ("reach-v3").
        action_repeat: steps of Meta-World per action; 2 is the protocol.
        episode_length: steps of Meta-World until truncation.

    Raises:
        ValueError: there is no such task, or metaworld is not installed.
    """
    tasks = {task.rsplit("-", 1)[0]: task for task in _tasks()}
    wanted = env_id.removeprefix("mw-")
    wanted = wanted.rsplit("-", 1)[0] if wanted in tasks.values() else wanted
    if wanted not in tasks:
        known = [f"mw-{name}" for name in tasks]
        raise ValueError(
            f"metaworld has no {env_id!r}{nearest(env_id, known)}. It has: {', '.join(known)}"
        )
    return from_gymnasium(
        functools.partial(_env, tasks[wanted], episode_length),
        f"mw-{wanted}",
        episode_length,
        action_repeat,
        idle_first=1,
        success="success",
    )


def _env(task: str, episode_length: int = _STEPS) -> Any:
    import gymnasium
    from metaworld.env_dict import ALL_V3_ENVIRONMENTS_GOAL_OBSERVABLE

    class Seeded(gymnasium.Wrapper):
        """Meta-World's reset ignores its seed."""

        def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, Any]:
            """Fresh object places and a fresh goal."""
            if seed is not None:
                self.unwrapped.seed(seed)  # pyright: ignore[reportAttributeAccessIssue]
            return super().reset(seed=seed, options=options)

    made = ALL_V3_ENVIRONMENTS_GOAL_OBSERVABLE[f"{task}-goal-observable"]()
    # A goal of its own for every episode, drawn from the environment's own generator.
    made._freeze_rand_vec, made.seeded_rand_vec = False, True
    # Its own limit, 500 steps, would end longer episodes; the idle step counts, too.
    made.max_path_length = max(made.max_path_length, episode_length + 2)
    return Seeded(made)


@functools.cache
def _tasks() -> tuple[str, ...]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from metaworld.env_dict import ALL_V3_ENVIRONMENTS
            from metaworld.sawyer_xyz_env import SawyerMocapBase
    except ImportError as error:
        raise not_imported("metaworld", "mjxwm[suites]", error) from error
    # It writes the eleven numbers that a weld had; MuJoCo has twelve since.
    SawyerMocapBase.reset_mocap_welds = _reset_mocap_welds
    return tuple(ALL_V3_ENVIRONMENTS)


def _reset_mocap_welds(self: Any) -> None:
    """Welds the hand to the mocap body as Meta-World does: half a turn apart, torque times 5."""
    welds = self.model.eq_type == mujoco.mjtEq.mjEQ_WELD
    self.model.eq_data[welds] = 0
    self.model.eq_data[welds, 6] = -1
    self.model.eq_data[welds, 10] = 5
