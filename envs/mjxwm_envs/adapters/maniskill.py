"""ManiSkill's tasks (Tao et al. 2024, arXiv 2410.00425): `envs.make("maniskill/PickCube-v1")`.

They need `pip install mani_skill` and a Vulkan driver. The protocol is TD-MPC2's (Hansen et al.
2024, arXiv 2310.16828): state observations, end-effector actions, each for two steps, episodes of
200 steps. Worlds run one after the other on the host; ManiSkill's parallel worlds, which live in
torch, are not used.
"""

import functools
from typing import Any

from mjxwm_envs.adapters.gymnasium import from_gymnasium
from mjxwm_envs.fields import nearest

_STEPS = 200
_REMEDY = (
    "run `pip install mani_skill` in an environment of its own if this one's versions refuse it; "
    "it also needs a Vulkan driver (on Debian `apt install libvulkan1 mesa-vulkan-drivers`)"
)


def make(
    env_id: str,
    action_repeat: int = 2,
    episode_length: int = _STEPS,
    control_mode: str = "pd_ee_delta_pose",
) -> Any:
    """A ManiSkill task.

    Args:
        env_id: ManiSkill's id, such as "PickCube-v1".
        action_repeat: steps of ManiSkill per action.
        episode_length: steps of ManiSkill until truncation.
        control_mode: one of the robot's control modes, which defines what actions mean.

    Raises:
        ValueError: ManiSkill cannot be imported or run here, or has no such task.
    """
    try:
        import mani_skill.envs  # noqa: F401  # pyright: ignore[reportMissingImports]
    except Exception as error:  # its renderer raises errors of many kinds without a driver
        raise ValueError(
            f"maniskill/{env_id}: ManiSkill cannot be used here ({type(error).__name__}: {error}); "
            f"{_REMEDY}"
        ) from error
    from gymnasium import registry

    if env_id not in registry:
        raise ValueError(f"maniskill has no {env_id!r}{nearest(env_id, registry)}")
    factory = functools.partial(_env, env_id, control_mode, episode_length)
    try:
        return from_gymnasium(
            factory, f"maniskill/{env_id}", episode_length, action_repeat, success="success"
        )
    except Exception as error:
        raise ValueError(
            f"maniskill/{env_id}: {type(error).__name__}: {error}; {_REMEDY}"
        ) from error


def _env(env_id: str, control_mode: str, episode_length: int) -> Any:
    import gymnasium
    from mani_skill.utils.wrappers.gymnasium import (  # pyright: ignore[reportMissingImports]
        CPUGymWrapper,
    )

    env = gymnasium.make(
        env_id,
        obs_mode="state",
        control_mode=control_mode,
        num_envs=1,
        max_episode_steps=episode_length,  # its own limits are shorter, 50 steps and more
    )
    return CPUGymWrapper(env, ignore_terminations=True)
