"""Every estimator on the same start states."""

import copy
import dataclasses
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
from jaxtyping import Array, PRNGKeyArray
from mjxwm_envs import engines, seeds
from mjxwm_envs.core import Initial
from mjxwm_envs.env import Env
from numpy.typing import NDArray

from mjxwm.gradients import estimators, paths, sampling
from mjxwm.gradients.config import Config
from mjxwm.gradients.estimators import Estimator
from mjxwm.gradients.sampling import Measured, Sampling
from mjxwm.gradients.strata import Starts
from mjxwm.gradients.subject import Parameters, Subject, Switches, switches

TRUTH = "zeroth_simulator"
CHUNK = 8
"""First-order samples at once per start state."""
MANY = 64
"""Zeroth-order ones."""


class Worlds(NamedTuple):
    """The same task on the engines that the estimators need."""

    fast: Env
    """For values: the native engine."""
    differentiable: Env
    soft: Env
    """Differentiable, with softer contacts."""


class Entry(NamedTuple):
    """An estimator, and how it is run."""

    estimator: Estimator
    attached: bool
    in_model: bool
    """Whether it starts from an observation."""
    level: str
    """plan, actor, or both."""
    samples: int
    chunk: int
    smoothing: float = 0.0


def soft_twin(env: Env, time: float) -> Env:
    """The same environment with contacts of at least this time constant, on MJX."""
    model = copy.copy(env.engine.model)
    for name in ("geom_solref", "pair_solref"):
        solref = getattr(model, name)
        if solref.size:
            solref[:, 0] = np.where(solref[:, 0] > 0, np.maximum(solref[:, 0], time), solref[:, 0])
    return on(env, model)


def on(env: Env, model: mujoco.MjModel, substeps: int | None = None) -> Env:
    """The same environment on MJX with another model."""
    substeps = substeps or env.engine.n_substeps
    engine = engines.make("mjx", model, substeps, env.task.derived)
    return dataclasses.replace(env, engine=engine)


def entries(config: Config, worlds: Worlds) -> dict[str, Entry]:
    """The estimators by name. The first is the truth."""
    fast, mjx = worlds.fast, worlds.differentiable

    def simulate(env: Env, step: Any = None) -> estimators.Rollout:
        return lambda s, p, w, n, h: paths.through_simulator(env, s, p, w, n, h, step)

    def mixed(s: Subject, p: Parameters, w: Any, n: Array, h: Switches) -> paths.Path:
        return paths.hybrid(fast, s, p, w, n, h)

    zeroth, first = estimators.zeroth_order, estimators.first_order
    # One program for the simulator's gradient with and without smoothing: it compiles for minutes.
    in_sim, in_model = first(simulate(mjx), _perturb), first(paths.through_model)
    soft = first(simulate(mjx, paths.softened(mjx, worlds.soft)))
    hybrid, few = first(mixed), config.samples
    return {
        TRUTH: Entry(zeroth(simulate(fast)), True, False, "both", config.truth, MANY),
        "simulator": Entry(in_sim, True, False, "both", few, CHUNK),
        "simulator_detached": Entry(in_sim, False, False, "actor", few, CHUNK),
        "model": Entry(in_model, True, True, "both", few, CHUNK),
        "model_detached": Entry(in_model, False, True, "actor", few, CHUNK),
        "hybrid": Entry(hybrid, True, False, "both", few, CHUNK),
        "hybrid_detached": Entry(hybrid, False, False, "actor", few, CHUNK),
        "zeroth_model": Entry(zeroth(paths.through_model), True, True, "both", config.truth, MANY),
        "soft": Entry(soft, True, False, "both", few, CHUNK),
        "smoothed": Entry(in_sim, True, False, "both", few, CHUNK, config.smoothing),
    }


def _perturb(initial: Initial, key: PRNGKeyArray, size: Array) -> Initial:
    """Moves positions and velocities by normal noise of deviation `size`."""
    keys = jax.random.split(key)
    qpos, qvel = (
        x + size * jax.random.normal(k, x.shape, x.dtype)
        for x, k in zip((initial.qpos, initial.qvel), keys, strict=True)
    )
    return initial._replace(qpos=qpos, qvel=qvel)


class Bench(NamedTuple):
    """The inputs that all estimators have in common."""

    subject: Subject
    starts: Starts
    obs: Array
    """Observations of the start states [S, o]."""
    plan: Array
    """Means before tanh of the policy's noiseless path from each start [S, H, a]."""


def prepare(config: Config, env: Env, subject: Subject, starts: Starts) -> Bench:
    """Observations and plans of the start states."""
    closed = switches(config.horizon)
    zeros = jnp.zeros((config.horizon, env.action_size))

    def follow(initial: Initial) -> tuple[Array, Array]:
        parameters = Parameters(subject.actor, zeros)
        path = paths.through_simulator(env, subject, parameters, initial, zeros, closed)
        return env.place(initial).obs, path.before

    initial = jax.tree.map(lambda x: jnp.asarray(x, float), starts.initial)
    obs, plan = jax.jit(jax.vmap(follow))(initial)
    return Bench(subject, starts._replace(initial=initial), obs, plan)


Measurements = dict[str, Measured]
"""Measurements by the estimator's name."""


def measure(
    config: Config,
    bench: Bench,
    table: dict[str, Entry],
    level: Literal["actor", "plan"],
    horizon: int,
    tick: Callable[[str], None],
    bootstrap: bool | None = None,
) -> Measurements:
    """Every estimator of a level at one horizon.

    At level `plan` the plan acts alone and gradients are of the plan; at level `actor` the policy
    acts on what it sees and gradients are of its parameters.
    """
    feedback = level == "actor"
    plan = jnp.zeros_like(bench.plan) if feedback else bench.plan
    parameters = Parameters(bench.subject.actor, plan)
    value = config.bootstrap if bootstrap is None else bootstrap
    measurements = {}
    for i, (name, entry) in enumerate(table.items()):
        if entry.level not in (level, "both"):
            continue
        # The truth's noise is nobody else's; all first-order estimators share theirs.
        seed = seeds.after(config.seed, 1000 + i if entry.chunk == MANY else 0)
        measurements[name] = sampling.measure(
            entry.estimator,
            bench.subject,
            parameters,
            bench.obs if entry.in_model else bench.starts.initial,
            switches(horizon, feedback, entry.attached, value, entry.smoothing),
            Sampling(entry.samples, entry.chunk, seed, config.samples),
            level=level,
            head=bench.plan.shape[-1],
            tick=lambda name=name: tick(f"{level}, {horizon} steps: {name}"),
        )
    return measurements


def ticks(config: Config, table: dict[str, Entry]) -> int:
    """Chunks that all measurements together have."""

    def chunks(level: str) -> int:
        return sum(-(-e.samples // e.chunk) for e in table.values() if e.level in (level, "both"))

    return chunks("actor") + chunks("plan") * (1 + len(config.horizons))


def strata(starts: Starts) -> dict[str, NDArray]:
    """The strata that occur, and which start states are theirs."""
    names = np.array(starts.stratum)
    return {name: np.nonzero(names == name)[0] for name in dict.fromkeys(starts.stratum)}
