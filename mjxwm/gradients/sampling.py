"""Samples of an estimator, chunk by chunk: the sums that statistics need, never all of them."""

from collections.abc import Callable
from typing import Literal, NamedTuple

import jax
import numpy as np
from jaxtyping import Float
from mjxwm_envs import seeds
from numpy.typing import NDArray

from mjxwm.gradients.estimators import Estimator, World
from mjxwm.gradients.subject import Parameters, Subject, Switches
from mjxwm.gradients.sums import Sums, merge, summarize


class Measured(NamedTuple):
    """What an estimator's samples came to, at one level."""

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


def measure(
    estimator: Estimator,
    subject: Subject,
    parameters: Parameters,
    world: World,
    how: Switches,
    sampling: Sampling,
    *,
    level: Literal["actor", "plan"],
    head: int = 1,
    tick: Callable[[], None] = lambda: None,
) -> Measured:
    """Samples of an estimator at S start states.

    Args:
        estimator: see `Estimator`.
        subject: what acts and values.
        parameters: with one plan per start state.
        world: S start states.
        how: see `Switches`.
        sampling: how many.
        level: gradients of the actor's parameters, or of the plan.
        head: entries of `Measured.heads`.
        tick: called after each chunk.
    """
    worlds, *shape = parameters.plan.shape
    which, parts, early = ("actor", "plan").index(level), [], []
    for i in range(-(-sampling.samples // sampling.chunk)):
        key = jax.random.fold_in(seeds.key(sampling.seed), i)
        noise = jax.random.normal(key, (worlds, sampling.chunk, *shape))
        keys = jax.random.split(jax.random.fold_in(key, 1), (worlds, sampling.chunk))
        samples = estimator(subject, parameters, world, noise, keys, how)[which]
        gradient = np.asarray(jax.device_get(samples))
        norms, heads = (np.linalg.norm(g, axis=-1) for g in (gradient, gradient[..., :head]))
        parts.append((summarize(gradient)[0], norms, heads))
        left = sampling.few - i * sampling.chunk
        if left > 0:
            early.append(summarize(gradient[:, :left])[0])
        tick()
    sums, norms, heads = zip(*parts, strict=True)
    return Measured(merge(sums), merge(early).mean, np.hstack(norms), np.hstack(heads))
