"""Meta-World's fifty tasks (Yu et al. 2019, arXiv 1910.10897): `envs.make("mw-reach")`.

The protocol is TD-MPC2's (Hansen et al. 2024, arXiv 2310.16828): every episode draws a new goal,
which is observed; each action is for two steps, an episode is 100 actions, the first step after a
reset has a zero action, and `success` is reported. Worlds run on the host.
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
    """A Meta-World task.

    Args:
        env_id: TD-MPC2's name ("mw-reach") or Meta-World's ("reach-v3").
        action_repeat: steps of Meta-World per action.
        episode_length: steps of Meta-World until truncation.

    Raises:
        ValueError: there is no such task, or metaworld is not installed.
    """
    tasks = {task.rsplit("-", 1)[0]: task for task in _tasks()}
    name = env_id.removeprefix("mw-")
    name = name.rsplit("-", 1)[0] if name in tasks.values() else name
    if name not in tasks:
        choices = [f"mw-{task}" for task in tasks]
        raise ValueError(
            f"metaworld has no {env_id!r}{nearest(env_id, choices)}. It has: {', '.join(choices)}"
        )
    return from_gymnasium(
        functools.partial(_env, tasks[name], episode_length),
        f"mw-{name}",
        episode_length,
        action_repeat,
        idle_first=1,
        success="success",
    )


def _env(task: str, episode_length: int = _STEPS) -> Any:
    import gymnasium
    from metaworld.env_dict import ALL_V3_ENVIRONMENTS_GOAL_OBSERVABLE

    class Seeded(gymnasium.Wrapper):
        """Applies the seed of `reset`, which Meta-World ignores."""

        def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, Any]:
            """Draws new positions of the objects and a new goal."""
            if seed is not None:
                self.unwrapped.seed(seed)  # pyright: ignore[reportAttributeAccessIssue]
            return super().reset(seed=seed, options=options)

    env = ALL_V3_ENVIRONMENTS_GOAL_OBSERVABLE[f"{task}-goal-observable"]()
    # A new goal for every episode, drawn from the environment's own generator.
    env._freeze_rand_vec, env.seeded_rand_vec = False, True
    # Its own limit, 500 steps, would end longer episodes; the idle step counts, too.
    env.max_path_length = max(env.max_path_length, episode_length + 2)
    return Seeded(env)


@functools.cache
def _tasks() -> tuple[str, ...]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from metaworld.env_dict import ALL_V3_ENVIRONMENTS
            from metaworld.sawyer_xyz_env import SawyerMocapBase
    except ImportError as error:
        raise not_imported("metaworld", "mjxwm[suites]", error) from error
    # Meta-World writes the eleven parameters that a weld had; newer MuJoCo has twelve.
    SawyerMocapBase.reset_mocap_welds = _reset_mocap_welds
    return tuple(ALL_V3_ENVIRONMENTS)


def _reset_mocap_welds(self: Any) -> None:
    """Meta-World's weld of hand and mocap body: turned by half a turn, torque scaled by 5."""
    welds = self.model.eq_type == mujoco.mjtEq.mjEQ_WELD
    self.model.eq_data[welds] = 0
    self.model.eq_data[welds, 6] = -1
    self.model.eq_data[welds, 10] = 5
