"""Updates per second of the learners, and their parameters, with torch beside them.

The peer has the same networks and losses (`torch_peer`), runs as torch does without compilation,
on as many threads, in turns with ours, and is left out where torch is not installed.
"""

import dataclasses
import functools
import statistics
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mjxwm.algos import pwm
from mjxwm.algos.multitask.tasks import make_task_table, network_sizes, sizes, task_set
from mjxwm.algos.tdmpc2 import networks, updates
from mjxwm.bench import flops, timing
from mjxwm.data import replay
from mjxwm.maths import ranges
from mjxwm.models import world_model
from mjxwm.models.world_model import Batch, WorldModel


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
    updates: int = 8
    """Updates of ours per call of the compiled program. Training makes tens to hundreds per call,
    and memory is mapped anew for each call."""


_SIDE = 2048
_FLOPS = 2 * _SIDE**3
"""Side and operations of the large matrix product."""


class Row(NamedTuple):
    """One update, ours and the peer's, and the device's matrix product beside it."""

    name: str
    ours: list[float]
    """Seconds per update, by turn."""
    peer: list[float]
    """Torch's, likewise; empty where it was not measured."""
    product: list[float]
    """Seconds of a large matrix product, likewise."""
    flops: int
    """Operations of the update's matrix products."""

    @property
    def share_of_product(self) -> float:
        """Median over the turns of our operations per second to the large product's."""
        rates = zip(self.ours, self.product, strict=True)
        return statistics.median(self.flops / ours / (_FLOPS / p) for ours, p in rates)

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
    counts = {}
    ranges.some(config, "sizes")
    for size in config.sizes:
        network_config = network_sizes(size, config.task_set)
        abstract = jax.eval_shape(
            lambda key, s=network_config: networks.init(s, obs, action, len(tasks), key=key),
            jax.random.key(0),
        )
        counts[size] = networks.parameters(abstract)
    return counts


def run(config: Config, say: Callable[[str], None]) -> list[Row]:
    """Measures TD-MPC2's update at each size, and PWM's updates.

    Raises:
        ValueError: an unknown size or task set, no turns or no updates.
    """
    ranges.at_least(config, 1, "updates", "batch", "horizon", "pwm_horizon", "samples")
    rows = []
    cases: list[Callable[[], _Case]] = [functools.partial(_tdmpc2, config, s) for s in config.sizes]
    for case in [*cases, *(functools.partial(f, config) for f in (_pwm, _pwm_actor, _pwm_critic))]:
        rows.append(_measured(config, *case()))
        say(line(rows[-1]))
    return rows


class _Ours(NamedTuple):
    """A program that makes `Config.updates` updates, and the operations of one."""

    call: Callable[[], Any]
    flops: int


_Case = tuple[str, _Ours, Callable[[], Any] | None]
"""Name, ours, one update of the peer's."""


def _measured(config: Config, name: str, ours: _Ours, peer: Callable | None) -> Row:
    product, square = jax.jit(jnp.matmul), jnp.ones((_SIDE, _SIDE))
    calls = {"ours": ours.call, "product": lambda: jax.block_until_ready(product(square, square))}
    calls |= {"peer": peer} if peer else {}
    times = timing.in_turns(calls, config.samples, config.seconds)
    each = [t / config.updates for t in times["ours"]]
    return Row(name, each, times.get("peer", []), times["product"], ours.flops)


def _tdmpc2(config: Config, size: str) -> _Case:
    tasks = task_set(config.task_set)
    obs, action = sizes(tasks)
    network_config, info = network_sizes(size, config.task_set), make_task_table(tasks)
    rates = updates.Rates(3e-4, 0.3, 0.01, 1e-4, network_config.value)
    tx = updates.optimizers(rates, updates=1)
    model = networks.init(network_config, obs, action, len(tasks), key=jax.random.key(0))
    data, task = _windows(config.batch, config.horizon, obs, action, len(tasks))

    def update(learner: updates.Learner, inputs: Any, key: jax.Array) -> updates.Learner:
        batch, numbers = inputs
        return updates.update(network_config.model, rates, tx, learner, info, batch, numbers, key)[
            0
        ]

    ours = _compiled(config, update, updates.init(tx, model), (_batch(data), jnp.asarray(task)))
    peer = timing.torch_peer() if config.peer else None
    if peer is None:
        return f"TD-MPC2 {size}", ours, None
    import torch

    theirs = peer.Updater(peer.TDMPC2(network_config, obs, action, len(tasks)))
    tensors = [torch.tensor(x) for x in data]
    which = torch.tensor(task) if network_config.task_size else None
    return f"TD-MPC2 {size}", ours, lambda: theirs(*tensors, which)


def _pwm(config: Config) -> _Case:
    obs, action, pwm_config = 11, 3, pwm.Config()  # its hopper
    model = WorldModel.create(pwm_config.model, obs, action, key=jax.random.key(0))
    tx = pwm.learner.optimizers(pwm_config).model
    data, _ = _windows(config.batch, config.pwm_horizon, obs, action, 1)

    def update(state: Any, batch: Any, key: jax.Array) -> Any:
        gradient = jax.grad(lambda m: world_model.loss(m, pwm_config.model, batch)[0])
        return tx.step(state[0], gradient(state[0]), state[1])[:2]

    ours = _compiled(config, update, (model, tx.init(model)), _batch(data))
    peer = timing.torch_peer() if config.peer else None
    if peer is None:
        return "PWM world model", ours, None
    import torch

    from mjxwm.bench import torch_pwm

    theirs = torch_pwm.PWMUpdater(pwm_config.model, obs, action)
    tensors = [torch.tensor(x) for x in data]
    return "PWM world model", ours, lambda: theirs(*tensors)


def _pwm_actor(config: Config) -> _Case:
    """One step of the actor through the model and its critics' steps, at PWM's sizes."""
    pwm_config, tx, learner, windows = _imagining(config)

    def update(state: Any, windows: Any, key: jax.Array) -> Any:
        return pwm.update_policy(pwm_config, tx, state, windows, key)[0]

    return "PWM actor and critics", _compiled(config, update, learner, windows), None


def _pwm_critic(config: Config) -> _Case:
    """PWM's steps of the critics on what one actor step imagined."""
    pwm_config, tx, learner, windows = _imagining(config)
    # As many as an actor step imagines, each again where there are fewer windows.
    starts = jnp.arange(pwm_config.imagine_batch) % config.batch
    z = learner.model.encode(windows.obs[0, starts])
    shape = (pwm_config.imagine_horizon, pwm_config.imagine_batch, windows.action.shape[-1])
    imagined = world_model.imagine(learner.model, learner.actor.sample, z, jnp.zeros(shape))

    def update(state: Any, inputs: Any, key: jax.Array) -> Any:
        return pwm.update_critic(pwm_config, tx, state, *inputs)[0]

    return "PWM critics", _compiled(config, update, learner, (imagined, windows)), None


def _imagining(config: Config) -> tuple[pwm.Config, Any, Any, Any]:
    obs, action, pwm_config = 11, 3, pwm.Config()  # its hopper
    tx = pwm.learner.optimizers(pwm_config)
    learner = pwm.learner.init(pwm_config, tx, obs, action, jax.random.key(0))
    data, _ = _windows(config.batch, config.pwm_horizon, obs, action, 1)
    flags = jnp.zeros(data[2].shape, jnp.uint8)
    obs_rows, acted, reward = (jnp.asarray(x) for x in data)
    return pwm_config, tx, learner, replay.from_flags(obs_rows[:-1], acted, reward, flags)


def _compiled(config: Config, update: Callable, state: Any, batch: Any) -> _Ours:
    """Updates of the state that it holds on a batch that the program does not know."""

    def some(state: Any, batch: Any, key: jax.Array) -> Any:
        def step(state: Any, key: jax.Array) -> tuple[Any, None]:
            # Tied to the state, so that nothing of the batch is worked out once for all updates.
            return update(*jax.lax.optimization_barrier((state, batch)), key), None

        return jax.lax.scan(step, state, jax.random.split(key, config.updates))[0]

    key, program = jax.random.key(1), jax.jit(some, donate_argnums=0)
    # Two leaves in one buffer would break donation.
    held = [jax.tree.map(jnp.copy, state), 0]

    def call() -> None:
        held[1] += 1
        held[0] = jax.block_until_ready(program(held[0], batch, jax.random.fold_in(key, held[1])))

    return _Ours(call, flops.count(update, state, batch, key))


def _windows(
    count: int, horizon: int, obs: int, action: int, tasks: int
) -> tuple[list[np.ndarray], np.ndarray]:
    rng = np.random.default_rng(0)
    arrays = [
        rng.standard_normal((horizon + 1, count, obs)),
        rng.uniform(-1, 1, (horizon, count, action)),
        rng.uniform(0, 1, (horizon, count)),
    ]
    return [x.astype(np.float32) for x in arrays], rng.integers(0, tasks, count)


def _batch(data: list[np.ndarray]) -> Batch:
    obs, action, reward = (jnp.asarray(x) for x in data)
    ones = jnp.ones_like(reward)
    return Batch(obs, action, reward, jnp.zeros_like(ones), ones, ones)


HEADER = (
    "| update | ms | torch, ms | torch : ours | GFLOP | GFLOP/s | of a matrix product's |\n"
    "|---|---|---|---|---|---|---|"
)


def line(row: Row) -> str:
    """A row of the table."""
    peer = f"{1e3 * statistics.median(row.peer):.1f}" if row.peer else "-"
    ratio = f"{row.ratio:.2f}" if row.ratio else "-"
    took = statistics.median(row.ours)
    rate = f"{row.flops / 1e9:.1f} | {row.flops / took / 1e9:.0f} | {row.share_of_product:.0%}"
    return f"| {row.name} | {1e3 * took:.1f} | {peer} | {ratio} | {rate} |"
