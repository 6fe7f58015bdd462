"""Unrolls a policy in B worlds. Pure, differentiable where the engine is, ignorant of who calls."""

from collections.abc import Callable
from typing import TypeVar

import jax
from jaxtyping import Array, Float
from mjxwm_envs import shards
from mjxwm_envs.batch import BatchEnv, Step, Worlds

from mjxwm.types import Metrics, Policy, Trajectory, Transition

Noise = TypeVar("Noise")
Memory = TypeVar("Memory")


def unroll(
    env: BatchEnv, policy: Policy[Noise], worlds: Worlds, noise: Noise
) -> tuple[Worlds, Trajectory, Metrics]:
    """T control steps in B worlds, closed loop: each action is of the observation it follows.

    Args:
        env: B worlds.
        policy: (obs [B, o], noise of the step) -> actions [B, a].
        worlds: where to start.
        noise: what the policy needs per step, leading axis T; drawn at once, which is much
            cheaper on a CPU than T draws.

    Returns:
        The worlds afterwards, the trajectory [T, B], and the metrics of `step_metrics`, summed over
        time where they are counts and averaged elsewhere. Where worlds are spread over devices,
        the metrics are such that their means over the devices are those of all worlds.
    """

    def memoryless(
        memory: tuple[()], worlds: Worlds, noise: Noise
    ) -> tuple[tuple[()], Float[Array, "B a"]]:
        return memory, policy(worlds.obs, noise)

    return unroll_with_memory(env, memoryless, (), worlds, noise)[1:]


def unroll_with_memory(
    env: BatchEnv,
    policy: Callable[[Memory, Worlds, Noise], tuple[Memory, Float[Array, "B a"]]],
    memory: Memory,
    worlds: Worlds,
    noise: Noise,
) -> tuple[Memory, Worlds, Trajectory, Metrics]:
    """`unroll` of a policy that carries something from step to step, such as a planner's plan.

    What it carries is its own to reset: `worlds.steps` is 0 where an episode begins.
    """

    def step(
        carry: tuple[Memory, Worlds], noise: Noise
    ) -> tuple[tuple[Memory, Worlds], tuple[Transition, Metrics]]:
        memory, worlds = carry
        obs = worlds.obs
        memory, action = policy(memory, worlds, noise)
        worlds, step = env.step(worlds, action)
        transition = Transition(
            obs, action, step.reward, step.terminated, step.truncated, step.valid, step.next_obs
        )
        return (memory, worlds), (transition, step_metrics(step))

    (memory, worlds), (trajectory, metrics) = jax.lax.scan(step, (memory, worlds), noise)
    counts = ("episodes", "return_sum", "length_sum", "success_sum", "diverged")
    total = {k: shards.count() * x.sum() if k in counts else x.mean() for k, x in metrics.items()}
    return memory, worlds, trajectory, total


def step_metrics(step: Step) -> dict[str, Float[Array, ""]]:
    """Sums over the episodes that ended in `step`, and means of reward and its terms.

    `return_sum`, `length_sum` and `success_sum` over `episodes` are means of episodes. `diverged`
    counts the worlds whose physics went to NaN or infinity and were reset.
    """
    ended = (step.terminated | step.truncated).astype(step.reward.dtype)
    solved = {} if step.success is None else {"success_sum": ended @ step.success.astype(float)}
    return {
        **solved,
        "episodes": ended.sum(),
        "return_sum": ended @ step.episode_return,
        "length_sum": ended @ step.episode_length.astype(ended.dtype),
        "reward": step.reward.mean(),
        "diverged": (~step.valid).astype(ended.dtype).sum(),
        **{f"reward_{name}": term.mean() for name, term in step.terms.items()},
    }
