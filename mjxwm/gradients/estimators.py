"""Estimators of the policy gradient: first-order along a path, zeroth-order from returns alone.

An estimator is a function of S start states with C noise sequences each, that gives a gradient for
every one of them, per actor parameter and per entry of the plan. `sampling` draws the noise.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from mjxwm.gradients.paths import Path
from mjxwm.gradients.subject import Parameters, Subject, Switches, flatten
from mjxwm.maths import returns

World = Any
"""Where a path starts: an `Initial`, or an observation for the model."""
Rollout = Callable[[Subject, Parameters, World, Float[Array, "H a"], Switches], Path]
Gradient = tuple[Float[Array, "*s d"], Float[Array, "*s p"], Float[Array, "*s"]]
"""With respect to the actor's parameters and to the plan; and the return."""
Keys = Any
"""A key for each sample [S, C]."""
Estimator = Callable[
    [Subject, Parameters, World, Float[Array, "S C H a"], Keys, Switches], Gradient
]
"""A function of S worlds; `parameters.plan` has a row for each: [S, H, a]."""
Perturb = Callable[[World, PRNGKeyArray, Float[Array, ""]], World]
"""A world moved at random, by so much."""


def first_order(rollout: Rollout, perturb: Perturb | None = None) -> Estimator:
    """The derivative of each path's return.

    Args:
        rollout: the path.
        perturb: moves the start of every sample by `Switches.smoothing`: gradients of the return
            smoothed by that, what randomised smoothing alone does.
    """

    def one(subject: Subject, parameters: Parameters, world: World, noise: Array, key: Any, how):
        start = world if perturb is None else perturb(world, key, how.smoothing)

        def value(parameters: Parameters) -> Array:
            return rollout(subject, parameters, start, noise, how).total

        result, gradient = jax.value_and_grad(value)(parameters)
        return *flatten(gradient), result

    over_noise = jax.vmap(one, (None, None, None, 0, 0, None))
    axes = (None, Parameters(None, 0), 0, 0, 0, None)  # type: ignore[arg-type]
    return jax.jit(jax.vmap(over_noise, axes))


def zeroth_order(rollout: Rollout) -> Estimator:
    """The score function: log-probabilities' gradients weighed by what followed (Williams 1992).

    sum_t grad log pi(u_t | z_t) (G_t - b_t), with G_t what is discounted from the start and counted
    from step t on. The baseline b_t is what the value of z_t, D_t V(z_t), says of G_t: the line
    that fits best over half of the paths from the same world, used for the other half. It depends
    on nothing of this path from u_t on; a wrong critic costs variance, never bias. Needs no
    derivative of the dynamics.
    """

    def many(subject: Subject, parameters: Parameters, world: World, noise: Array, how: Switches):
        paths = jax.vmap(lambda n: rollout(subject, parameters, world, n, how))(noise)
        paths = jax.lax.stop_gradient(paths)
        to_go, value = jax.vmap(lambda path: _to_go(subject, path, how))(paths)
        advantage = to_go - _baseline(to_go, value)

        def score(path: Path, advantage: Array) -> Any:
            def surrogate(parameters: Parameters) -> Array:
                return advantage @ _log_density(parameters, path, how)

            return jax.grad(surrogate)(parameters)

        gradients = jax.vmap(score)(paths, advantage)
        return *jax.vmap(flatten)(gradients), paths.total

    def all_worlds(
        subject: Subject, parameters: Parameters, world: World, noise: Array, keys: Any, how: Any
    ):
        del keys
        axes = (None, Parameters(None, 0), 0, 0, None)  # type: ignore[arg-type]
        return jax.vmap(many, axes)(subject, parameters, world, noise, how)

    return jax.jit(all_worlds)


def _to_go(
    subject: Subject, path: Path, how: Switches
) -> tuple[Float[Array, " H"], Float[Array, " H"]]:
    """What follows each action, and the critic's value where it is taken; both discounted."""
    steps = jnp.arange(len(path.reward))
    weight = returns.discount_products(subject.gamma * path.going_on)
    ends = (steps + 1 == how.horizon) * how.bootstrap
    gain = jnp.where(steps < how.horizon, weight[:-1] * path.reward, 0)
    gain = gain + jnp.where(ends, weight[1:] * path.value, 0)
    # All paths share z_0: its value tells nothing.
    value = jnp.concatenate([jnp.zeros(1), (weight[1:] * path.value)[:-1]])
    return jnp.cumsum(gain[::-1])[::-1], value


def _baseline(to_go: Float[Array, "C H"], value: Float[Array, "C H"]) -> Float[Array, "C H"]:
    """Each half's returns as the other half's lines through (value, return) predict them."""
    half = len(to_go) // 2

    def line(x: Array, y: Array, at: Array) -> Array:
        apart, mean = x - x.mean(axis=0), y.mean(axis=0)
        spread = (apart**2).sum(axis=0)
        slope = (apart * (y - mean)).sum(axis=0) / jnp.where(spread > 0, spread, 1)
        return mean + slope * (at - x.mean(axis=0))

    first, second = (value[:half], to_go[:half]), (value[half:], to_go[half:])
    return jnp.concatenate([line(*second, first[0]), line(*first, second[0])])


def _log_density(parameters: Parameters, path: Path, how: Switches) -> Float[Array, " H"]:
    """log pi(u_t | z_t) up to a constant, of actions before tanh; states are data here."""
    mean = how.feedback * parameters.actor.mean_net(path.z) + parameters.plan
    std = parameters.actor.std()
    return (-0.5 * ((path.before - mean) / std) ** 2 - jnp.log(std)).sum(axis=-1)
