"""Unrolls a policy in B worlds: pure, and differentiable where the engine is."""

from collections.abc import Callable
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, UInt8
from mjxwm_envs import shards
from mjxwm_envs.batch import FAULTS
from mjxwm_envs.core import Step, WorldBatch, Worlds

from mjxwm.data.packing import Packing
from mjxwm.maths import finite
from mjxwm.types import Metrics, Policy, Trajectory, Transition

Noise = TypeVar("Noise")
Memory = TypeVar("Memory")


def unroll(
    env: WorldBatch, policy: Policy[Noise], worlds: Worlds, noise: Noise
) -> tuple[Worlds, Trajectory, Metrics]:
    """Takes T steps of the policy in B worlds; every action depends on the latest observation.

    Args:
        env: the batch of B worlds.
        policy: (obs [B, o], noise of the step) -> actions [B, a].
        worlds: state of the worlds to start from.
        noise: the policy's random inputs for all steps, leading axis T; drawing them in one call
            is much cheaper on a CPU than T draws.

    Returns:
        The worlds after the last step, the trajectory [T, B], and the metrics of `step_metrics`,
        counts summed over time, others averaged, with those of `fault_counts`. On several
        devices, the mean of the metrics over devices is that of all worlds.
    """

    def memoryless(
        memory: tuple[()], worlds: Worlds, noise: Noise
    ) -> tuple[tuple[()], Float[Array, "B a"]]:
        return memory, policy(worlds.obs, noise)

    return unroll_with_memory(env, memoryless, (), worlds, noise)[1:]


def unroll_with_memory(
    env: WorldBatch,
    policy: Callable[[Memory, Worlds, Noise], tuple[Memory, Float[Array, "B a"]]],
    memory: Memory,
    worlds: Worlds,
    noise: Noise,
) -> tuple[Memory, Worlds, Trajectory, Metrics]:
    """`unroll` for a policy with memory, such as a planner that starts from its previous plan.

    Args:
        env: the batch of B worlds.
        policy: (memory, worlds, noise of the step) -> (next memory, actions [B, a]). It must reset
            its memory itself, in the worlds where `worlds.steps` is 0: an episode begins there.
        memory: the memory before the first step.
        worlds: state of the worlds to start from.
        noise: the policy's random inputs for all steps, leading axis T.

    Returns:
        The memory after the last step, and what `unroll` returns.
    """
    packing = Packing(axes=1), Packing(axes=0)

    def step(carry: tuple[Memory, Worlds], noise: Noise) -> tuple[tuple[Memory, Worlds], Any]:
        memory, worlds = carry
        obs = worlds.obs
        memory, action = policy(memory, worlds, noise)
        worlds, step = env.step(worlds, action)
        flags = (step.terminated, step.truncated, step.valid)
        # What is not finite is masked, but 0 * NaN would be NaN.
        row = (finite.or_zero(obs), finite.or_zero(action), step.reward)
        transition = packing[0].pack((*row, *flags, _fault(step)))
        # Not packed: not all algorithms read it, and then it is not stored.
        return (memory, worlds), (transition, step.next_obs, packing[1].pack(step_metrics(step)))

    (memory, worlds), stored = jax.lax.scan(step, (memory, worlds), noise)
    *rows, faults = packing[0].unpack(stored[0])
    trajectory = Transition(*rows, next_obs=stored[1])
    metrics = packing[1].unpack(stored[2])
    counts = ("episodes", "return_sum", "length_sum", "success_sum", "diverged")
    total = {k: shards.count() * x.sum() if k in counts else x.mean() for k, x in metrics.items()}
    return memory, worlds, trajectory, total | fault_counts(faults)


def _fault(step: Step) -> Any:
    if step.fault is not None:
        return step.fault
    return jnp.where(step.valid, 0, 1 + len(FAULTS)).astype(jnp.uint8)


def fault_counts(faults: UInt8[Array, "..."]) -> Metrics:
    """Numbers of steps that are not valid, by what was not finite in them: `guard/physics` ..."""
    codes = enumerate((*FAULTS, "step"), 1)
    numbers = {f"guard/{name}": (faults == i).sum() for i, name in codes}
    return {name: shards.count() * x.astype(float) for name, x in numbers.items()}


def named(metrics: Metrics) -> Metrics:
    """The metrics of `unroll` as those of an iteration: under `collect/`, but for `guard/`."""
    return {k if k.startswith("guard/") else f"collect/{k}": x for k, x in metrics.items()}


def step_metrics(step: Step) -> dict[str, Float[Array, ""]]:
    """Metrics of one step of B worlds: sums over the episodes that ended, means of rewards.

    `episodes` counts the episodes that ended; dividing `return_sum`, `length_sum` (in steps) and
    `success_sum` by it gives means per episode. `diverged` counts the worlds that were reset
    because their physics went to NaN or infinity.
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
