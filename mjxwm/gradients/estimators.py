"""Estimators of the policy gradient: first-order along a path, zeroth-order from returns alone.

An estimator is a function of one start state with C noise sequences, that gives a gradient for
every one of them and for every horizon that counts: the paths are the same, a shorter horizon is
the beginning of each. `sampling` draws the noise, and makes many start states of one.
"""

from collections.abc import Callable
from typing import Any, Literal

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, PRNGKeyArray

from mjxwm.gradients.paths import Path
from mjxwm.gradients.subject import Parameters, Subject, Switches, gains
from mjxwm.maths import returns

World = Any
"""Where a path starts: an `Initial`, or an observation for the model."""
Rollout = Callable[[Subject, Parameters, World, Float[Array, "H a"], Switches], Path]
Level = Literal["actor", "plan"]
"""What a gradient is with respect to: the actor's parameters, or the plan."""
Gradients = dict[Level, Float[Array, "C K d"]]
"""By level; of every sample, for every horizon."""
Keys = Any
"""A key for each sample [C]."""
Estimator = Callable[
    [Subject, Parameters, World, Float[Array, "C H a"], Keys, Switches, tuple[Level, ...]],
    Gradients,
]
"""The last argument is the levels that are wanted."""
Perturb = Callable[[World, PRNGKeyArray, Float[Array, ""]], World]
"""A world moved at random, by so much."""


def first_order(rollout: Rollout, perturb: Perturb | None = None) -> Estimator:
    """The derivative of each path's return.

    Args:
        rollout: the path.
        perturb: moves the start of every sample by `Switches.smoothing`: gradients of the return
            smoothed by that, what randomised smoothing alone does.
    """

    def gradients(
        subject: Subject,
        parameters: Parameters,
        world: World,
        noise: Array,
        keys: Any,
        how: Switches,
        levels: tuple[Level, ...],
    ) -> Gradients:
        def one(noise: Array, key: Any) -> Gradients:
            start = world if perturb is None else perturb(world, key, how.smoothing)

            def value(parts: dict[Level, Any]) -> Array:
                return rollout(subject, _with(parameters, parts), start, noise, how).total

            total, pull = jax.vjp(value, _parts(parameters, levels))
            # One pass ahead, and one back for each horizon: what is linearised is the same.
            (slopes,) = jax.vmap(pull)(jnp.eye(len(total), dtype=total.dtype))
            return _flat(slopes)

        return jax.vmap(one)(noise, keys)

    return gradients


def zeroth_order(rollout: Rollout) -> Estimator:
    """The score function: log-probabilities' gradients weighed by what followed (Williams 1992).

    sum_t grad log pi(u_t | z_t) (G_t - b_t), with G_t what is discounted from the start and counted
    from step t on. The baseline b_t is what the value of z_t, D_t V(z_t), says of G_t: the line
    that fits best over half of the paths from the same world, used for the other half. It depends
    on nothing of this path from u_t on; a wrong critic costs variance, never bias. Needs no
    derivative of the dynamics.
    """

    def gradients(
        subject: Subject,
        parameters: Parameters,
        world: World,
        noise: Array,
        keys: Any,
        how: Switches,
        levels: tuple[Level, ...],
    ) -> Gradients:
        del keys
        paths = jax.vmap(lambda n: rollout(subject, parameters, world, n, how))(noise)
        paths = jax.lax.stop_gradient(paths)
        to_go, value = jax.vmap(lambda path: _to_go(subject, path, how))(paths)
        advantage = to_go - jax.vmap(_baseline, (1, None), 1)(to_go, value)

        def score(path: Path, advantage: Array) -> Gradients:
            def density(parts: dict[Level, Any]) -> Array:
                return _log_density(_with(parameters, parts), path, how)

            _, pull = jax.vjp(density, _parts(parameters, levels))
            (slopes,) = jax.vmap(pull)(advantage)
            return _flat(slopes)

        return jax.vmap(score)(paths, advantage)

    return gradients


def _parts(parameters: Parameters, levels: tuple[Level, ...]) -> dict[Level, Any]:
    return {level: getattr(parameters, level) for level in levels}


def _with(parameters: Parameters, parts: dict[Level, Any]) -> Parameters:
    return parameters._replace(**parts)


def _flat(slopes: dict[Level, Any]) -> Gradients:
    """Gradients as vectors, of K horizons."""
    return {level: jax.vmap(lambda x: ravel_pytree(x)[0])(x) for level, x in slopes.items()}


def _to_go(
    subject: Subject, path: Path, how: Switches
) -> tuple[Float[Array, "K H"], Float[Array, " H"]]:
    """What follows each action, for each horizon; and the critic's value where it is taken."""
    gain = gains(subject, path.reward, path.going_on, path.value, how)
    weight = returns.discount_products(subject.gamma * path.going_on)
    # All paths share z_0: its value tells nothing.
    value = jnp.concatenate([jnp.zeros(1), (weight[1:] * path.value)[:-1]])
    return jnp.cumsum(gain[:, ::-1], axis=1)[:, ::-1], value


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
