"""Updates per second of the learners, and their parameters, with torch beside them.

The peer has the same networks and losses (`torch_peer`), runs as torch does without compilation,
on as many threads, in turns with ours, and is left out where torch is not installed.
"""

import dataclasses
import statistics
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from mjxwm import world_model
from mjxwm.algos import pwm
from mjxwm.algos.tdmpc2 import networks, updates
from mjxwm.bench import timing
from mjxwm.multitask.tasks import described, network_sizes, sizes, task_set
from mjxwm.world_model import Batch, WorldModel


@dataclasses.dataclass(frozen=True)
class Config:
    """What is measured."""

    sizes: tuple[str, ...] = ("5M",)
    """TD-MPC2's names of sizes."""
    task_set: str = "mt80"
    """Name of a task set, or tasks separated by commas."""
    count_only: bool = False
    """Print parameters by component alone."""
    batch: int = 256
    """Windows per update."""
    horizon: int = 3
    """Steps predicted by TD-MPC2's update."""
    pwm_horizon: int = 16
    """Steps predicted by PWM's world-model update."""
    samples: int = 5
    """Turns."""
    peer: bool = True
    """Whether to measure torch, where it is installed."""
    seconds: float = 2.0
    """Time that a turn takes at least, each."""


class Row(NamedTuple):
    """One update, ours and the peer's."""

    name: str
    ours: list[float]
    """Seconds per update, by turn."""
    peer: list[float]
    """Torch's, likewise; empty where it was not measured."""

    @property
    def ratio(self) -> float | None:
        """Median over the turns of how many times faster ours is."""
        if not self.peer:
            return None
        return timing.ratio(self.peer, self.ours)


def count(config: Config) -> dict[str, dict[str, int]]:
    """Parameters by size and component.

    Raises:
        ValueError: an unknown size or task set.
    """
    tasks = task_set(config.task_set)
    obs, action = sizes(tasks)
    found = {}
    for size in config.sizes:
        settings = network_sizes(size, config.task_set)
        abstract = jax.eval_shape(
            lambda key, s=settings: networks.init(s, obs, action, len(tasks), key=key),
            jax.random.key(0),
        )
        found[size] = networks.parameters(abstract)
    return found


def run(config: Config, say: Callable[[str], None]) -> list[Row]:
    """Measures TD-MPC2's update at each size, and PWM's world-model update."""
    rows = []
    for case in [*(_tdmpc2(config, size) for size in config.sizes), _pwm(config)]:
        rows.append(_measured(config, *case))
        say(line(rows[-1]))
    return rows


_Case = tuple[str, Callable[[], Any], Callable[[], Any] | None]
"""Name, one update of ours, one of the peer's."""


def _measured(config: Config, name: str, ours: Callable, peer: Callable | None) -> Row:
    calls = {"ours": ours, **({"peer": peer} if peer else {})}
    times = timing.in_turns(calls, config.samples, config.seconds)
    return Row(name, times["ours"], times.get("peer", []))


def _tdmpc2(config: Config, size: str) -> _Case:
    tasks = task_set(config.task_set)
    obs, action = sizes(tasks)
    settings, info = network_sizes(size, config.task_set), described(tasks)
    rates = updates.Rates(3e-4, 0.3, 0.01, 1e-4, settings.value)
    tx = updates.optimizers(rates)
    made = networks.init(settings, obs, action, len(tasks), key=jax.random.key(0))
    data, task = _windows(config.batch, config.horizon, obs, action, len(tasks))

    def update(learner: updates.Learner, given: Any, key: jax.Array) -> updates.Learner:
        batch, numbers = given
        return updates.update(settings.model, rates, tx, learner, info, batch, numbers, key)[0]

    ours = _compiled(update, updates.init(tx, made), (_batch(data), jnp.asarray(task)))
    peer = timing.torch_peer() if config.peer else None
    if peer is None:
        return f"TD-MPC2 {size}", ours, None
    import torch

    theirs = peer.Updater(peer.TDMPC2(settings, obs, action, len(tasks)))
    tensors = [torch.tensor(x) for x in data]
    which = torch.tensor(task) if settings.task_size else None
    return f"TD-MPC2 {size}", ours, lambda: theirs(*tensors, which)


def _pwm(config: Config) -> _Case:
    obs, action, settings = 11, 3, pwm.Config()  # its hopper
    model = WorldModel(settings.model, obs, action, key=jax.random.key(0))
    tx = pwm.learner.optimizers(settings).model
    data, _ = _windows(config.batch, config.pwm_horizon, obs, action, 1)

    def update(state: Any, batch: Any, key: jax.Array) -> Any:
        gradient = jax.grad(lambda m: world_model.loss(m, settings.model, batch)[0])
        steps, opt = tx.update(gradient(state[0]), state[1], state[0])
        return optax.apply_updates(state[0], steps), opt

    ours = _compiled(update, (model, tx.init(model)), _batch(data))  # pyright: ignore[reportArgumentType]
    peer = timing.torch_peer() if config.peer else None
    if peer is None:
        return "PWM world model", ours, None
    import torch

    from mjxwm.bench import torch_pwm

    theirs = torch_pwm.PWMUpdater(settings.model, obs, action)
    tensors = [torch.tensor(x) for x in data]
    return "PWM world model", ours, lambda: theirs(*tensors)


def _compiled(update: Callable, state: Any, batch: Any) -> Callable[[], Any]:
    """A call that updates the state that it holds on a batch that the program does not know."""
    key, program = jax.random.key(1), jax.jit(update, donate_argnums=0)
    # Two leaves in one buffer would break donation.
    held = [jax.tree.map(jnp.copy, state), 0]

    def once() -> None:
        held[1] += 1
        held[0] = jax.block_until_ready(program(held[0], batch, jax.random.fold_in(key, held[1])))

    return once


def _windows(
    count: int, horizon: int, obs: int, action: int, tasks: int
) -> tuple[list[np.ndarray], np.ndarray]:
    rng = np.random.default_rng(0)
    made = [
        rng.standard_normal((horizon + 1, count, obs)),
        rng.uniform(-1, 1, (horizon, count, action)),
        rng.uniform(0, 1, (horizon, count)),
    ]
    return [x.astype(np.float32) for x in made], rng.integers(0, tasks, count)


def _batch(data: list[np.ndarray]) -> Batch:
    obs, action, reward = (jnp.asarray(x) for x in data)
    ones = jnp.ones_like(reward)
    return Batch(obs, action, reward, jnp.zeros_like(ones), ones, ones)


HEADER = "| update | ms | torch, ms | torch : ours |\n|---|---|---|---|"


def line(row: Row) -> str:
    """A row of the table."""
    peer = f"{1e3 * statistics.median(row.peer):.1f}" if row.peer else "-"
    ratio = f"{row.ratio:.2f}" if row.ratio else "-"
    return f"| {row.name} | {1e3 * statistics.median(row.ours):.1f} | {peer} | {ratio} |"
