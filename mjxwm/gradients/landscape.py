"""The objective itself: along shared directions, and after a step along each estimator's gradient.

Values are of the simulator (the native engine) and of the model, from the same start states with
the same noise at every point, so that differences are not those of draws.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float
from mjxwm_envs import seeds
from mjxwm_envs.env import Env
from numpy.typing import NDArray

from mjxwm.gradients import metrics, paths
from mjxwm.gradients.bootstrap import Interval, bootstrap
from mjxwm.gradients.config import Config
from mjxwm.gradients.laboratory import Bench
from mjxwm.gradients.subject import Parameters, switches

SIZES = (0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03)
"""Lengths of a step, as shares of the parameters' length; an update of a training is some 0.003."""
POINTS = 41
"""Points of a line."""
REACH = 0.03
"""How far a line reaches to both sides, as a share of the parameters' length."""


class Line(NamedTuple):
    """The objective along a direction."""

    direction: str
    dynamics: str
    """simulator or model."""
    noise: bool
    """Whether the policy's noise was on."""
    values: list[float]
    """Means over start states."""
    roughness: Interval
    """See `metrics.roughness`; over start states."""


class Improvement(NamedTuple):
    """What a step along an estimator's mean gradient did in the simulator."""

    estimator: str
    samples: int
    """Per start state, of the gradient."""
    gains: list[Interval]
    """By length of the step, `SIZES`; intervals over start states."""
    size: float
    """The length of the step that gained most at every other start state."""
    gain: Interval
    """What that step gained at the others."""


class Objective:
    """The return of the policy at parameters theta, in simulator or model, per start state."""

    def __init__(self, config: Config, env: Env, bench: Bench, noises: int):
        """`noises` is the number of noise sequences per start state, the same at every point."""
        flat, self._unravel = ravel_pytree(bench.subject.actor)
        self.theta = np.asarray(flat)
        worlds, *shape = bench.plan.shape
        key = seeds.key(seeds.after(config.seed, 77))
        self._noise = jax.random.normal(key, (worlds, noises, *shape))
        how = switches(config.horizon, bootstrap=config.bootstrap)
        subject, plan = bench.subject, jnp.zeros(shape)

        def simulator(actor: Any, start: Any, noise: Array) -> Array:
            parameters = Parameters(actor, plan)
            return paths.through_simulator(env, subject, parameters, start, noise, how).total[0]

        def model(actor: Any, start: Any, noise: Array) -> Array:
            return paths.through_model(subject, Parameters(actor, plan), start, noise, how).total[0]

        self._run = {
            "simulator": _over(simulator, bench.starts.initial),
            "model": _over(model, bench.obs),
        }

    def __call__(
        self, theta: Float[NDArray, " d"], dynamics: str = "simulator", noise: bool = True
    ) -> Float[NDArray, " S"]:
        """Mean return at every start state."""
        used = self._noise if noise else jnp.zeros_like(self._noise[:, :1])
        actor = self._unravel(jnp.asarray(theta, self.theta.dtype))
        return np.asarray(self._run[dynamics](actor, used))


def _over(value: Callable, starts: Any) -> Callable:
    over_noise = jax.vmap(value, (None, None, 0))

    def run(actor: Any, noise: Array) -> Array:
        return jax.vmap(over_noise, (None, 0, 0))(actor, starts, noise).mean(axis=1)

    return jax.jit(run)


def improvements(
    objective: Objective,
    gradients: dict[str, tuple[Float[NDArray, " d"], int]],
    strata: Sequence[NDArray],
    tick: Callable[[str], None],
) -> list[Improvement]:
    """A step along each gradient, of every size, in the simulator, against none.

    Args:
        objective: in both dynamics.
        gradients: by name; each with the samples per start state that it is the mean of.
        strata: start states by stratum.
        tick: called after each step.
    """
    start_values, length = objective(objective.theta), np.linalg.norm(objective.theta)
    choose, score = ([ids[i::2] for ids in strata if len(ids) > i] for i in (0, 1))
    rows = []
    for name, (gradient, samples) in gradients.items():
        direction = gradient / max(np.linalg.norm(gradient), 1e-300)
        gains = []
        for size in SIZES:
            gains.append(objective(objective.theta + size * length * direction) - start_values)
            tick(f"step along {name}")
        chosen = np.concatenate(choose) if choose else np.zeros(0, int)
        # A step to where the return is not finite gained nothing.
        best = int(np.argmax(np.nan_to_num([gain[chosen].mean() for gain in gains], nan=-np.inf)))
        spread = [_mean(gain, strata) for gain in gains]
        rows.append(Improvement(name, samples, spread, SIZES[best], _mean(gains[best], score)))
    return rows


def _mean(values: Float[NDArray, " S"], strata: Sequence[NDArray]) -> Interval:
    if not strata:
        return Interval(*3 * [float("nan")])
    return bootstrap(lambda ids: {"mean": float(values[ids].mean())}, strata)["mean"]


def lines(
    objective: Objective,
    directions: dict[str, Float[NDArray, " d"]],
    strata: Sequence[NDArray],
    tick: Callable[[str], None],
) -> list[Line]:
    """The objective on a line through the parameters, in simulator and model, noise on and off."""
    length, drawn_lines = np.linalg.norm(objective.theta), []
    for name, direction in directions.items():
        unit = direction / max(np.linalg.norm(direction), 1e-300)
        for dynamics in ("simulator", "model"):
            for noise in (True, False):
                values = np.array(
                    [
                        objective(objective.theta + a * length * unit, dynamics, noise)
                        for a in np.linspace(-REACH, REACH, POINTS)
                    ]
                )
                rough = bootstrap(
                    lambda ids, v=values: {"": metrics.roughness(v[:, ids].mean(axis=1))}, strata
                )[""]
                drawn_lines.append(Line(name, dynamics, noise, values.mean(axis=1).tolist(), rough))
                tick(f"line along {name}")
    return drawn_lines


def random_direction(objective: Objective, seed: int) -> Float[NDArray, " d"]:
    """A direction that is nobody's gradient."""
    return np.random.default_rng(seed).normal(size=objective.theta.shape)
