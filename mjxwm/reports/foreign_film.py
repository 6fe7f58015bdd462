"""A film of a foreign world, by its own `render`: the first episode of an evaluation once more."""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from mjxwm_envs.adapters.host_env import HostEnv, reset_seed
from mjxwm_envs.adapters.host_worlds import PicturedWorlds
from mjxwm_envs.rendering import RenderingUnavailableError

from mjxwm.reports import video
from mjxwm.runs.policies import Policy
from mjxwm.runs.start import eval_key

_LONGEST = 20.0
"""Time after which a film ends [s]."""


def film(env: Any, policy: Policy, seed: int, path: Path) -> Path:
    """Runs the policy in one world, as in the first episode of an evaluation, and films it.

    Args:
        env: the foreign environment.
        policy: what acts.
        seed: of the evaluation's start states.
        path: the file to write.

    Raises:
        RenderingUnavailableError: the environment renders no pictures, or that fails.
    """
    if not isinstance(env, HostEnv) or env.filmed is None:
        raise RenderingUnavailableError(
            f"{env.name} is simulated elsewhere, and is not known to render: what has 'rgb_array' "
            "among metadata['render_modes'], and whose factory takes `render_mode`, is filmed"
        )
    try:
        worlds = env.filmed()
        try:
            frames, rate = _frames(env, policy, seed, worlds)
        finally:
            worlds.close()
    except Exception as error:  # whatever a foreign environment may raise
        first = (str(error).splitlines() or [""])[0]
        raise RenderingUnavailableError(
            f"{env.name} does not render: {type(error).__name__}: {first}"
        ) from error
    return video.written(frames, rate, path)


def _frames(
    env: HostEnv, policy: Policy, seed: int, worlds: PicturedWorlds
) -> tuple[list[np.ndarray], float]:
    controller = policy.agent.controller
    act = jax.jit(lambda memory, obs: controller.act(policy.arrays, memory, obs))
    memory, rate = controller.start(1), worlds.frames_per_second()
    obs = worlds.reset(int(reset_seed(eval_key(seed))[1]), False)
    frames = [worlds.picture()]
    for _ in range(min(env.episode_length, round(_LONGEST * rate)) - 1):
        memory, action = act(memory, jnp.asarray(obs, jnp.result_type(float)))
        step = worlds.step(np.asarray(action, float))
        if step.terminated[0] or step.truncated[0]:  # it has begun anew since
            break
        obs = step.obs
        frames.append(worlds.picture())
    return frames, rate
