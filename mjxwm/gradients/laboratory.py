"""Runs every estimator on the same start states and puts the statistics together."""

import copy
import dataclasses
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
from jaxtyping import Array, PRNGKeyArray

from envs import engines
from envs.core import Env, Initial
from mjxwm.gradients import estimators, metrics, paths
from mjxwm.gradients.config import Config
from mjxwm.gradients.estimators import Estimator, Measured
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
    in_sim, in_model = first(simulate(mjx)), first(paths.through_model)
    soft = first(simulate(mjx, paths.softened(mjx, worlds.soft)))
    hybrid, few = first(mixed), config.samples
    bar = estimators.smoothed(in_sim, _perturb(config.smoothing), config.perturbations)
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
        "smoothed": Entry(bar, True, False, "both", few, CHUNK),
    }


def _perturb(size: float) -> Callable[[Initial, PRNGKeyArray], Initial]:
    def perturb(initial: Initial, key: PRNGKeyArray) -> Initial:
        keys = jax.random.split(key)
        qpos, qvel = (
            x + size * jax.random.normal(k, x.shape)
            for x, k in zip((initial.qpos, initial.qvel), keys, strict=True)
        )
        return initial._replace(qpos=qpos, qvel=qvel)

    return perturb


class Bench(NamedTuple):
    """What all estimators get."""

    subject: Subject
    starts: Starts
    obs: Array
    """Of the start states [S, o]."""
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


Found = dict[str, Measured]
"""By estimator."""


def measure(
    config: Config,
    bench: Bench,
    table: dict[str, Entry],
    level: str,
    horizon: int,
    tick: Callable[[str], None],
    bootstrap: bool | None = None,
) -> Found:
    """Every estimator of a level at one horizon.

    At level `plan` the plan acts alone and gradients are of the plan; at level `actor` the policy
    acts on what it sees and gradients are of its parameters.
    """
    feedback = level == "actor"
    plan = jnp.zeros_like(bench.plan) if feedback else bench.plan
    parameters = Parameters(bench.subject.actor, plan)
    value = config.bootstrap if bootstrap is None else bootstrap
    found = {}
    for i, (name, entry) in enumerate(table.items()):
        if entry.level not in (level, "both"):
            continue
        both = estimators.measure(
            entry.estimator,
            bench.subject,
            parameters,
            bench.obs if entry.in_model else bench.starts.initial,
            switches(horizon, feedback, entry.attached, value),
            samples=entry.samples,
            chunk=entry.chunk,
            # The truth's noise is nobody else's; all first-order estimators share theirs.
            seed=config.seed + (1000 + i if entry.chunk == MANY else 0),
            tick=lambda name=name: tick(f"{level}, {horizon} steps: {name}"),
        )
        found[name] = both[0] if feedback else both[1]
    return found


def ticks(config: Config, table: dict[str, Entry]) -> int:
    """Chunks that all measurements together have."""

    def chunks(level: str) -> int:
        return sum(-(-e.samples // e.chunk) for e in table.values() if e.level in (level, "both"))

    return chunks("actor") + chunks("plan") * (1 + len(config.horizons))


def summarize(found: Found, groups: Any, seed: int = 0) -> dict[str, dict[str, Any]]:
    """Statistics with intervals, errors against batch size, break-even, tails; by estimator.

    Args:
        found: measurements; the truth among them.
        groups: which start states count: indices, or all of them for None.
        seed: of the bootstrap.
    """
    truth = _pick(found[TRUTH].sums, groups)
    rows: dict[str, dict[str, Any]] = {}
    for name, measured in found.items():
        sums = _pick(measured.sums, groups)
        number = len(sums.count)
        functions = metrics.statistics(sums, truth)
        row: dict[str, Any] = {
            statistic: metrics.bootstrap(function, number, seed=seed)
            for statistic, function in functions.items()
            if name != TRUTH or statistic not in ("bias2", "cosine")
        }
        row["nonfinite"] = measured.nonfinite / len(measured.norms)
        row["tails"] = metrics.tails(measured.norms)
        rows[name] = row
    spread = rows[TRUTH]["variance"].value
    for name, row in rows.items():
        bias2 = 0.0 if name == TRUTH else row["bias2"].value
        row["mse"] = metrics.mse(bias2, row["variance"].value, BATCHES)
        if name != TRUTH:
            row["break_even"] = metrics.break_even(bias2, row["variance"].value, spread)
    return rows


BATCHES = (1, 4, 16, 64, 256, 1024, 4096)
"""Batch sizes for the mean squared error."""


def _pick(sums: metrics.Sums, groups: Any) -> metrics.Sums:
    return sums if groups is None else metrics.Sums(*(x[groups] for x in sums))


def by_stratum(starts: Starts) -> Iterator[tuple[str, np.ndarray]]:
    """The strata that occur, and which start states are theirs."""
    names = np.array(starts.stratum)
    for name in dict.fromkeys(starts.stratum):
        yield name, np.nonzero(names == name)[0]
