"""The replay against flashbax's trajectory buffer and against a ring of numpy arrays.

All three hold the same transitions and do the same: a number of inserts, and the batches
of one iteration. Ours does each in one program, as training does. Flashbax's inserts are in one
program, too; its batches are calls of `sample`, which draws one, or (`flashbax, together`) one
program under `vmap`. The ring is for the host alone. All take turns in one process.
"""

import dataclasses
import importlib.util
import itertools
import statistics
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mjxwm.bench import timing
from mjxwm.bench.record import Report, Series
from mjxwm.data import replay
from mjxwm.maths import ranges
from mjxwm.types import Transition

_INSERTS = 8
"""In one program: a single one takes less time than a program's start."""


@dataclasses.dataclass(frozen=True)
class Config:
    """What is measured."""

    worlds: int = 1024
    """Worlds that are inserted at once."""
    capacity: int = 1_000_000
    """Transitions that are held, over all worlds."""
    unroll: int = 16
    """Steps per insert."""
    batch: int = 256
    """Windows per batch."""
    length: int = 17
    """Steps of a window."""
    batches: int = 8
    """Batches of an iteration."""
    obs: int = 11
    """Numbers in an observation."""
    action: int = 3
    """Numbers in an action."""
    samples: int = 9
    """Turns."""
    peer: bool = True
    """Whether to measure flashbax, where it is installed."""
    seconds: float = 0.3
    """Time that a turn takes at least, each."""


Calls = dict[str, Callable[[], Any]]


def run(config: Config) -> Report:
    """Measures inserts and batches.

    Raises:
        ConfigError: a size out of range.
    """
    ranges.at_least(config, 1, "worlds", "capacity", "unroll", "batch", "length", "batches")
    ranges.at_least(config, 1, "obs", "action", "samples")
    inserts, batches, details = _ours(config)
    if config.peer and importlib.util.find_spec("flashbax"):
        _add(inserts, batches, _flashbax(config))
    _add(inserts, batches, _numpy(config))
    times = {
        f"insert, {name}": [t / _INSERTS for t in samples]
        for name, samples in timing.in_turns(inserts, config.samples, config.seconds).items()
    }
    sampled = timing.in_turns(batches, config.samples, config.seconds)
    times |= {f"{config.batches} batches, {name}": s for name, s in sampled.items()}
    series = [Series(name, "s", samples) for name, samples in times.items()]
    return Report(_table(config, times, details), series, details)


def _add(inserts: Calls, batches: Calls, more: tuple[Calls, Calls]) -> None:
    inserts |= more[0]
    batches |= more[1]


def _keys() -> Iterator[Any]:
    """Keys that were made before: with one alone, what it draws would be in the cache."""
    return itertools.cycle(list(jax.random.split(jax.random.key(0), 1024)))


def _each(data: Any) -> Any:
    """Data for every insert of a program: what were done with the same would be done once."""
    return jax.tree.map(lambda x: jnp.stack([x] * _INSERTS), data)


def _rows(config: Config) -> int:
    rows = -(-config.capacity // config.worlds)
    return -(-max(rows, config.length) // config.unroll) * config.unroll


def _ours(config: Config) -> tuple[Calls, Calls, dict[str, Any]]:
    shape = (config.unroll, config.worlds)
    obs, off = jnp.ones((*shape, config.obs)), jnp.zeros(shape, bool)
    one = Transition(obs, jnp.ones((*shape, config.action)), jnp.ones(shape), off, off, ~off, obs)
    data = _each(one)
    held = [replay.init(_rows(config), config.unroll, config.worlds, config.obs, config.action)]

    def insert(buffer: replay.Replay, data: Transition) -> replay.Replay:
        return jax.lax.scan(lambda b, x: (replay.insert(b, x), None), buffer, data)[0]

    program = jax.jit(insert, donate_argnums=0)
    temporary = program.lower(held[0], data).compile().memory_analysis()
    payload = 4 * (config.obs + config.action + 1) + 1
    details = {
        "bytes_per_transition": sum(x.nbytes for x in jax.tree.leaves(held[0]))
        / held[0].flags.size,
        "payload_bytes": payload,
        "insert_temporary_bytes": temporary and temporary.temp_size_in_bytes,
    }

    def inserts() -> None:
        held[0] = jax.block_until_ready(program(held[0], data))

    @jax.jit
    def batches(buffer: replay.Replay, key: Any) -> replay.Sequence:
        keys = jax.random.split(key, config.batches)
        return jax.vmap(lambda k: replay.sample(buffer, k, config.batch, config.length))(keys)

    for _ in range(-(-_rows(config) // config.unroll // _INSERTS)):
        inserts()
    keys = _keys()
    return (
        {"ours": inserts},
        {"ours": lambda: jax.block_until_ready(batches(held[0], next(keys)))},
        details,
    )


def _flashbax(config: Config) -> tuple[Calls, Calls]:
    import flashbax  # pyright: ignore[reportMissingImports]

    buffer = flashbax.make_trajectory_buffer(
        add_batch_size=config.worlds,
        sample_batch_size=config.batch,
        sample_sequence_length=config.length,
        period=1,
        min_length_time_axis=config.length,
        max_length_time_axis=_rows(config),
    )
    one = {
        "obs": jnp.ones(config.obs),
        "action": jnp.ones(config.action),
        "reward": jnp.ones(()),
        "flags": jnp.zeros((), jnp.uint8),
    }
    shape = (config.worlds, config.unroll)
    data = _each({name: jnp.broadcast_to(x, (*shape, *x.shape)) for name, x in one.items()})
    held = [buffer.init(one)]

    def insert(state: Any, data: Any) -> Any:
        return jax.lax.scan(lambda s, x: (buffer.add(s, x), None), state, data)[0]

    program, sample = jax.jit(insert, donate_argnums=0), jax.jit(buffer.sample)

    @jax.jit
    def together(state: Any, key: Any) -> Any:
        keys = jax.random.split(key, config.batches)
        return jax.vmap(lambda k: buffer.sample(state, k))(keys)

    keys = _keys()

    def inserts() -> None:
        held[0] = jax.block_until_ready(program(held[0], data))

    def batches() -> None:
        for _ in range(config.batches):
            jax.block_until_ready(sample(held[0], next(keys)))

    def at_once() -> None:
        jax.block_until_ready(together(held[0], next(keys)))

    for _ in range(-(-_rows(config) // config.unroll // _INSERTS)):
        inserts()
    return {"flashbax": inserts}, {
        "flashbax": batches,
        "flashbax, together": at_once,
    }


def _numpy(config: Config) -> tuple[Calls, Calls]:
    rows, shape = _rows(config), (config.unroll, config.worlds)
    sizes: dict[str, tuple[int, ...]] = {
        "obs": (config.obs,),
        "action": (config.action,),
        "reward": (),
    }
    ring: dict[str, np.ndarray] = {
        name: np.zeros((rows, config.worlds, *size), np.float32) for name, size in sizes.items()
    }
    ring["flags"] = np.zeros((rows, config.worlds), np.uint8)
    data = {k: np.ones((*shape, *v.shape[2:]), v.dtype) for k, v in ring.items()}
    rng, head = np.random.default_rng(0), [0]

    def inserts() -> None:
        for _ in range(_INSERTS):
            for name, values in data.items():
                ring[name][head[0] : head[0] + config.unroll] = values
            head[0] = (head[0] + config.unroll) % rows

    def batches() -> None:
        for _ in range(config.batches):
            world = rng.integers(0, config.worlds, config.batch)
            start = rng.integers(0, rows - config.length + 1, config.batch)
            row = (head[0] + start + np.arange(config.length)[:, None]) % rows
            for values in ring.values():
                values[row, world]

    return {"numpy": inserts}, {"numpy": batches}


def _table(config: Config, times: dict[str, list[float]], details: dict[str, Any]) -> str:
    lines = [f"{'':28}{'ms':>9}  {'it : ours':10}"]
    for name, samples in times.items():
        what, _, _ = name.partition(", ")
        ratio = timing.ratio(samples, times[f"{what}, ours"])
        lines.append(f"{name:28}{1e3 * statistics.median(samples):9.3f}  {ratio:.2f}")
    share = details["bytes_per_transition"] / details["payload_bytes"]
    lines.append(
        f"{config.worlds} worlds, {config.capacity:,} transitions, inserts of {config.unroll} "
        f"steps, batches of {config.batch} x {config.length}; a transition takes "
        f"{details['bytes_per_transition']:.1f} bytes, {share:.3f} of its payload, and an insert "
        f"{details['insert_temporary_bytes']} bytes beside the buffer"
    )
    return "\n".join(lines)
