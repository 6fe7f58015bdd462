"""Time per action: TD-MPC2's planner, ours and torch's, and the policy that PWM has instead."""

import dataclasses
import statistics
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mjxwm.algos import tdmpc2
from mjxwm.algos.multitask.config import Extract
from mjxwm.algos.multitask.tasks import make_task_table, network_sizes, sizes, task_set
from mjxwm.algos.tdmpc2 import networks
from mjxwm.bench import timing
from mjxwm.maths import ranges
from mjxwm.models.actor_critic import Actor


@dataclasses.dataclass(frozen=True)
class Config:
    """What is measured."""

    size: str = "5M"
    """TD-MPC2's name of the model's size."""
    task_set: str = "mt80"
    """Name of the model's task set, or tasks separated by commas."""
    worlds: int = 64
    """Worlds that are planned for in one call."""
    planning: tdmpc2.Planning = tdmpc2.Planning()
    """The planner."""
    turns: int = 5
    """Turns that are timed."""
    peer: bool = True
    """Whether to measure torch, where it is installed."""
    seconds: float = 2.0
    """Time that a turn takes at least, each."""


class Row(NamedTuple):
    """Seconds per call, by turn; a call is of one action in each world."""

    planner: list[float]
    peer: list[float]
    """Torch's planner; empty where it was not measured."""
    policy: list[float]
    """Encoder and actor, as an extracted policy acts."""
    worlds: int


def run(config: Config) -> Row:
    """Measures in turns.

    Raises:
        ValueError: an unknown size or task set, or a number out of range.
    """
    ranges.at_least(config, 1, "worlds", "turns")
    tdmpc2.validate_planning(config.planning)
    tasks = task_set(config.task_set)
    obs, action = sizes(tasks)
    network_config, info = network_sizes(config.size, config.task_set), make_task_table(tasks)
    model = networks.init(network_config, obs, action, len(tasks), key=jax.random.key(0))
    obs_batch = np.random.default_rng(0).standard_normal((config.worlds, obs)).astype(np.float32)
    ours = {
        "planner": _planner(config, model, info, obs_batch, action),
        "policy": _policy(config, model, info, obs_batch, action),
    }
    peer = _peer(config, network_config, len(tasks), obs_batch, action)
    calls = {**ours, **({"peer": peer} if peer else {})}
    times = timing.in_turns(calls, config.turns, config.seconds)
    return Row(times["planner"], times.get("peer", []), times["policy"], config.worlds)


def _planner(
    config: Config, model: Any, info: Any, obs_batch: np.ndarray, action: int
) -> Callable[[], Any]:
    @jax.jit
    def plan(model: Any, plans: Any, obs: Any, key: Any) -> Any:
        task_model = tdmpc2.for_task(model, info, 0)
        return tdmpc2.plan_worlds(config.planning, task_model, plans, obs, key, True)

    plans = jnp.zeros((config.worlds, config.planning.plan_horizon, action))
    key = jax.random.key(0)
    return lambda: jax.block_until_ready(plan(model, plans, jnp.asarray(obs_batch), key))


def _policy(
    config: Config, model: Any, info: Any, obs_batch: np.ndarray, action: int
) -> Callable[[], Any]:
    latent = model.model.encoder.layers[-1].kernel.shape[1]
    actor = Actor.create(Extract().policy, latent, action, key=jax.random.key(0))

    @jax.jit
    def act(model: Any, actor: Actor, obs: Any) -> Any:
        return actor.mean(tdmpc2.for_task(model, info, 0).model.encode(obs))

    return lambda: jax.block_until_ready(act(model, actor, jnp.asarray(obs_batch)))


def _peer(
    config: Config, network_config: Any, tasks: int, obs_batch: np.ndarray, action: int
) -> Callable[[], Any] | None:
    peer = timing.torch_peer() if config.peer else None
    if peer is None:
        return None
    import torch

    model = peer.TDMPC2(network_config, obs_batch.shape[1], action, tasks).eval()
    obs = torch.tensor(obs_batch)
    mean = torch.zeros(config.worlds, config.planning.plan_horizon, action)
    task = torch.zeros((), dtype=torch.long) if network_config.task_size else None
    from mjxwm.bench import torch_planner

    return lambda: torch_planner.plan(model, config.planning, obs, mean, task)


def table(config: Config, row: Row) -> str:
    """For people."""

    def each(times: list[float]) -> float:
        return 1e3 * statistics.median(times) / row.worlds

    lines = [
        "| who acts | ms per action and world | planner : it |",
        "|---|---|---|",
        f"| planner, {config.size} | {each(row.planner):.3f} | 1 |",
        f"| extracted policy, {config.size} | {each(row.policy):.4f} | "
        f"{timing.ratio(row.planner, row.policy):.0f} |",
    ]
    if row.peer:
        ratio = timing.ratio(row.planner, row.peer)
        lines.append(f"| planner, torch | {each(row.peer):.3f} | {ratio:.2f} |")
    return "\n".join(lines)
