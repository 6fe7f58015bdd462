"""Estimators of the policy gradient: first-order along a path, zeroth-order from returns alone.

An estimator is a function of S start states with C noise sequences each, that gives a gradient for
every one of them, per actor parameter and per entry of the plan. `measure` draws the noise, runs it
chunk by chunk and keeps the sums that the statistics need, never all samples.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray
from numpy.typing import NDArray

from mjxwm.gradients.metrics import Sums, merge, summarize
from mjxwm.gradients.paths import Path
from mjxwm.gradients.subject import Parameters, Subject, Switches, flatten
from mjxwm.ops import returns

World = Any
"""Where a path starts: an `Initial`, or an observation for the model."""
Rollout = Callable[[Subject, Parameters, World, Float[Array, "H a"], Switches], Path]
Gradient = tuple[Float[Array, "*s d"], Float[Array, "*s p"], Float[Array, "*s"]]
"""With respect to the actor's parameters and to the plan; and the return."""
Estimator = Callable[[Subject, Parameters, World, Float[Array, "S C H a"], Switches], Gradient]
"""Of S worlds, of which `parameters.plan` has one row each: [S, H, a]."""


def first_order(rollout: Rollout) -> Estimator:
    """The derivative of each path's return."""

    def one(subject: Subject, parameters: Parameters, world: World, noise: Array, how: Switches):
        def value(parameters: Parameters) -> Array:
            return rollout(subject, parameters, world, noise, how).total

        result, gradient = jax.value_and_grad(value)(parameters)
        return *flatten(gradient), result

    return jax.jit(_over_worlds(one))


def zeroth_order(rollout: Rollout) -> Estimator:
    """The score function: log-probabilities' gradients weighed by what followed (Williams 1992).

    sum_t grad log pi(u_t | z_t) (G_t - b_t), with G_t what is discounted from the start and counted
    from step t on, and b_t the mean of G_t over the other C - 1 paths of the same world, which
    depends on none of this path's noise. Needs no derivative of the dynamics.
    """

    def many(subject: Subject, parameters: Parameters, world: World, noise: Array, how: Switches):
        paths = jax.vmap(lambda n: rollout(subject, parameters, world, n, how))(noise)
        paths = jax.lax.stop_gradient(paths)
        to_go = jax.vmap(lambda path: _to_go(subject, path, how))(paths)
        others = (to_go.sum(axis=0) - to_go) / (len(to_go) - 1)

        def score(path: Path, advantage: Array) -> Any:
            def surrogate(parameters: Parameters) -> Array:
                return advantage @ _log_density(parameters, path, how)

            return jax.grad(surrogate)(parameters)

        gradients = jax.vmap(score)(paths, to_go - others)
        return *jax.vmap(flatten)(gradients), paths.total

    def all_worlds(subject: Subject, parameters: Parameters, world: World, noise: Array, how: Any):
        axes = (None, Parameters(None, 0), 0, 0, None)  # type: ignore[arg-type]
        return jax.vmap(many, axes)(subject, parameters, world, noise, how)

    return jax.jit(all_worlds)


def smoothed(estimator: Estimator, perturb: Callable[[World, PRNGKeyArray], World], number: int):
    """The mean of an estimator over perturbed starts: what randomised smoothing alone does."""

    def run(subject: Subject, parameters: Parameters, world: World, noise: Array, how: Switches):
        key = jax.random.key(0)
        parts = [
            estimator(subject, parameters, perturb(world, jax.random.fold_in(key, i)), noise, how)
            for i in range(number)
        ]
        return jax.tree.map(lambda *x: sum(x) / number, *parts)

    return run


class Measured(NamedTuple):
    """What an estimator's samples came to, at one level."""

    sums: Sums
    norms: Float[NDArray, " N"]
    """Length of every sample, not finite ones included."""
    nonfinite: int


def measure(
    estimator: Estimator,
    subject: Subject,
    parameters: Parameters,
    world: World,
    how: Switches,
    *,
    samples: int,
    chunk: int,
    seed: int,
    tick: Callable[[], None] = lambda: None,
) -> tuple[Measured, Measured]:
    """Samples of an estimator at S start states: of the actor's parameters, and of the plan.

    Args:
        estimator: see `Estimator`.
        subject: what acts and values.
        parameters: with one plan per start state.
        world: S start states.
        how: see `Switches`.
        samples: per start state; rounded up to whole chunks.
        chunk: samples at once, at least 2.
        seed: of the noise; equal seeds and chunks give equal noise.
        tick: called after each chunk.
    """
    worlds, *shape = parameters.plan.shape
    levels: list[list[Any]] = [[], []]
    for i in range(-(-samples // chunk)):
        key = jax.random.fold_in(jax.random.key(seed), i)
        noise = jax.random.normal(key, (worlds, chunk, *shape))
        *gradients, _ = jax.device_get(estimator(subject, parameters, world, noise, how))
        for level, gradient in zip(levels, gradients, strict=True):
            sums, nonfinite = summarize(gradient)
            level.append((sums, np.linalg.norm(gradient, axis=-1).ravel(), nonfinite))
        tick()
    return tuple(_collected(level) for level in levels)  # type: ignore[return-value]


def _collected(parts: list[Any]) -> Measured:
    sums, norms, nonfinite = zip(*parts, strict=True)
    return Measured(merge(sums), np.concatenate(norms), sum(nonfinite))


def _over_worlds(one: Callable) -> Callable:
    over_noise = jax.vmap(one, (None, None, None, 0, None))
    axes = (None, Parameters(None, 0), 0, 0, None)  # type: ignore[arg-type]
    return jax.vmap(over_noise, axes)


def _to_go(subject: Subject, path: Path, how: Switches) -> Float[Array, " H"]:
    """What each action can still change: discounted from the start, with the terminal value."""
    steps = jnp.arange(len(path.reward))
    weight = returns.discount_products(subject.gamma * path.going_on)
    ends = (steps + 1 == how.horizon) * how.bootstrap
    gain = jnp.where(steps < how.horizon, weight[:-1] * path.reward, 0)
    return jnp.cumsum((gain + ends * weight[1:] * path.value)[::-1])[::-1]


def _log_density(parameters: Parameters, path: Path, how: Switches) -> Float[Array, " H"]:
    """log pi(u_t | z_t) up to a constant, of actions before tanh; states are data here."""
    mean = how.feedback * parameters.actor.mean_net(path.z) + parameters.plan
    std = parameters.actor.std()
    return (-0.5 * ((path.before - mean) / std) ** 2 - jnp.log(std)).sum(axis=-1)
