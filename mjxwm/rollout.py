"""Unrolls a policy in B worlds. Pure, differentiable where the engine is, ignorant of who calls."""

import jax
from jaxtyping import Array, Float, PRNGKeyArray

from envs.batch import BatchEnv, Step, Worlds
from mjxwm.types import Policy, Trajectory, Transition


def unroll(
    env: BatchEnv, policy: Policy, worlds: Worlds, key: PRNGKeyArray, length: int
) -> tuple[Worlds, Trajectory, Step]:
    """T control steps in B worlds, closed loop: each action is of the observation it follows.

    Args:
        env: B worlds.
        policy: (obs [B, o], key) -> actions [B, a].
        worlds: where to start.
        key: random key for the actions.
        length: T.

    Returns:
        The worlds afterwards, the trajectory [T, B], and the steps [T, B] with episode statistics.
    """

    def step(worlds: Worlds, key: PRNGKeyArray) -> tuple[Worlds, tuple[Transition, Step]]:
        obs = worlds.obs
        action = policy(obs, key)
        worlds, step = env.step(worlds, action)
        transition = Transition(
            obs, action, step.reward, step.terminated, step.truncated, step.valid, step.next_obs
        )
        return worlds, (transition, step)

    worlds, (trajectory, steps) = jax.lax.scan(step, worlds, jax.random.split(key, length))
    return worlds, trajectory, steps


def episode_metrics(steps: Step) -> dict[str, Float[Array, ""]]:
    """Sums over the episodes that ended in `steps`; divide by `episodes` for means.

    `diverged` counts the worlds whose physics went to NaN or infinity and were reset.
    """
    ended = steps.terminated | steps.truncated
    return {
        "episodes": ended.sum(),
        "return_sum": (ended * steps.episode_return).sum(),
        "length_sum": (ended * steps.episode_length).sum(),
        "reward": steps.reward.mean(),
        "diverged": (~steps.valid).sum(),
        **{f"reward_{name}": term.mean() for name, term in steps.terms.items()},
    }
