"""Samples of an estimator, chunk by chunk: sums that stay on the device, never the samples."""

import functools
import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from mjxwm_envs import seeds
from numpy.typing import NDArray

from mjxwm.gradients import sums
from mjxwm.gradients.estimators import Estimator, Level, World
from mjxwm.gradients.subject import Parameters, Subject, Switches
from mjxwm.gradients.sums import Running, Sums


class Measured(NamedTuple):
    """What an estimator's samples came to, at one level and horizon."""

    sums: Sums
    early: Float[NDArray, "S d"]
    """Mean of the first `few` samples, finite ones: what a small batch would have had."""
    norms: Float[NDArray, "S N"]
    """Length of every sample, not finite ones included."""
    heads: Float[NDArray, "S N"]
    """The same of the gradient's first `head` entries."""


class Sampling(NamedTuple):
    """How many samples are taken, and which."""

    samples: int
    """Per start state; rounded up to whole chunks."""
    chunk: int
    """Samples at once, at least 2; of zeroth-order ones at least 4, as halves serve each other."""
    seed: int
    """Seed of the noise; equal seeds and chunks give equal noise."""
    few: int = 1
    """Samples that `Measured.early` is of."""
    block: int = 12
    """Start states at once; a program is compiled for so many, whatever their number."""


def measure(
    estimator: Estimator,
    subject: Subject,
    parameters: Parameters,
    world: World,
    how: Switches,
    sampling: Sampling,
    *,
    level: Level,
    levels: tuple[Level, ...] | None = None,
    head: int = 1,
    tick: Callable[[], None] = lambda: None,
) -> list[Measured]:
    """Samples of an estimator at S start states, for each of the horizons of `how`.

    Args:
        estimator: see `Estimator`.
        subject: what acts and values.
        parameters: with one plan per start state.
        world: S start states.
        how: see `Switches`.
        sampling: how many.
        level: gradients of the actor's parameters, or of the plan.
        levels: what the program sums up, this level among it: one program then serves all of them,
            where it takes long to compile.
        head: entries of `Measured.heads`.
        tick: called as many times as there are chunks, whatever the number of start states.
    """
    number, *shape = parameters.plan.shape
    block = min(sampling.block, number)
    chunk = _chunk(estimator, levels or (level,), head)
    ticking = _every(-(-number // block), tick)

    def part(*args: Any) -> tuple[_State, tuple[Array, Array]]:
        return chunk(*args)[level]

    parts = []
    for first in range(0, number, block):
        # The last block is filled up with its last state, which is left out again.
        ids = np.minimum(np.arange(first, first + block), number - 1)
        block_inputs = jax.tree.map(lambda x, ids=ids: x[ids], (parameters.plan, world))
        acting = parameters._replace(plan=block_inputs[0])
        parts.append(
            _block(part, subject, acting, block_inputs[1], how, sampling, first, shape, ticking)
        )
    return [_whole(parts, k, number) for k in range(len(how.horizon))]


def _every(times: int, tick: Callable[[], None]) -> Callable[[], None]:
    """Calls `tick` at every so many calls."""
    calls = itertools.count(1)

    def maybe() -> None:
        if next(calls) % times == 0:
            tick()

    return maybe


class _State(NamedTuple):
    """Sums over the chunks so far: of all samples, and of the first few."""

    every: Running
    early: Running


def _block(
    part: Callable[..., tuple[_State, tuple[Array, Array]]],
    subject: Subject,
    parameters: Parameters,
    world: World,
    how: Switches,
    sampling: Sampling,
    first: int,
    shape: list[int],
    tick: Callable[[], None],
) -> tuple[Sums, Sums, NDArray, NDArray]:
    """Sums and lengths of a block's start states: [B, K, d] and [B, N, K]."""
    block = len(parameters.plan)
    root = jax.random.fold_in(seeds.key(sampling.seed), first)
    state, lengths = None, []
    for i in range(-(-sampling.samples // sampling.chunk)):
        key = jax.random.fold_in(root, i)
        noise = jax.random.normal(key, (block, sampling.chunk, *shape))
        keys = jax.random.split(jax.random.fold_in(key, 1), (block, sampling.chunk))
        left = jnp.asarray(sampling.few - i * sampling.chunk)
        chunk_sums, length = part(subject, parameters, world, noise, keys, how, left)
        state = chunk_sums if state is None else _join(state, chunk_sums)
        lengths.append(jax.device_get(length))
        tick()
    assert state is not None
    norms, heads = (np.concatenate(x, axis=1) for x in zip(*lengths, strict=True))
    return sums.finished(state.every), sums.finished(state.early), norms, heads


@functools.cache
def _chunk(estimator: Estimator, levels: tuple[Level, ...], head: int) -> Callable:
    """Sums of a chunk and of its early samples, and lengths, by level; compiled once for all."""
    axes = (None, Parameters(None, 0), 0, 0, 0, None)  # type: ignore[arg-type]

    def one(*args: Any) -> Any:
        everything: Any = (*args, levels)
        return estimator(*everything)

    many = jax.vmap(one, axes)

    def chunk(
        subject: Subject,
        parameters: Parameters,
        world: World,
        noise: Array,
        keys: Any,
        how: Switches,
        left: Array,
    ) -> dict[Level, tuple[_State, tuple[Array, Array]]]:
        chunk_sums = many(subject, parameters, world, noise, keys, how)
        return {level: _summed(gradient, head, left) for level, gradient in chunk_sums.items()}

    return jax.jit(chunk)


def _summed(
    samples: Float[Array, "B C K d"], head: int, left: Array
) -> tuple[_State, tuple[Float[Array, "B C K"], Float[Array, "B C K"]]]:
    norms = sums.lengths(samples)
    finite = jnp.isfinite(norms)
    every = sums.summed(samples, finite)
    first = finite & (jnp.arange(samples.shape[1]) < left)[:, None]
    early = jax.lax.cond(
        left > 0, lambda: sums.summed(samples, first), lambda: jax.tree.map(jnp.zeros_like, every)
    )
    return _State(every, early), (norms, sums.lengths(samples[..., :head]))


_join = jax.jit(lambda one, other: _State(*map(sums.joined, one, other)), donate_argnums=0)


def _whole(parts: list[tuple[Sums, Sums, NDArray, NDArray]], k: int, number: int) -> Measured:
    """The blocks of all start states together, for one of the horizons."""

    def column(x: Sums) -> Sums:
        return Sums(*(array[:, k] for array in x))

    every, early, norms, heads = zip(*parts, strict=True)
    joined = Sums(*map(np.concatenate, zip(*map(column, every), strict=True)))
    first = np.concatenate([column(x).mean for x in early])
    lengths = (np.concatenate([x[:, :, k] for x in xs])[:number] for xs in (norms, heads))
    return Measured(Sums(*(x[:number] for x in joined)), first[:number], *lengths)
