"""Every estimator on the same start states."""

import copy
import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

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
from mjxwm.gradients.config import TRUTH, Config, Level
from mjxwm.gradients.estimators import Estimator
from mjxwm.gradients.sampling import Measured, Sampling
from mjxwm.gradients.strata import Starts
from mjxwm.gradients.subject import Parameters, Subject, Switches, switches

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
    """The estimators that are measured, by name. The first is the truth."""
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
    table = {
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
    return {name: entry for name, entry in table.items() if name in config.estimators}


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


Row = tuple[int, bool]
"""An objective: its horizon, and whether the critic values where the path ends."""


def rows(config: Config) -> tuple[Row, ...]:
    """What is measured on one set of paths: a single step's reward, and every horizon."""
    return ((1, False), *((h, config.bootstrap) for h in (*config.horizons, config.horizon)))


def measure(
    config: Config,
    bench: Bench,
    table: dict[str, Entry],
    level: Level,
    tick: Callable[[str], None],
) -> dict[Row, Measurements]:
    """Every estimator of a level.

    At level `plan` the plan acts alone and gradients are of the plan, for each of `rows`; at level
    `actor` the policy acts on what it sees and gradients are of its parameters, for the longest
    horizon alone.
    """
    feedback = level == "actor"
    plan = jnp.zeros_like(bench.plan) if feedback else bench.plan
    parameters = Parameters(bench.subject.actor, plan)
    objectives = rows(config)[-1:] if feedback else rows(config)
    measured: dict[Row, Measurements] = {row: {} for row in objectives}
    for i, (name, entry) in enumerate(table.items()):
        if entry.level not in (level, "both"):
            continue
        zeroth = entry.chunk == MANY
        # First-order programs are the same at both levels and so are their horizons: the
        # simulator's gradient compiles for minutes.
        entry_rows = objectives if zeroth else rows(config)
        results = sampling.measure(
            entry.estimator,
            bench.subject,
            parameters,
            bench.obs if entry.in_model else bench.starts.initial,
            switches(
                [h for h, _ in entry_rows], feedback, entry.attached, [v for _, v in entry_rows],
                entry.smoothing,
            ),
            # The truth's noise is nobody else's; all first-order estimators share theirs.
            Sampling(
                entry.samples, entry.chunk, seeds.after(config.seed, 1000 + i if zeroth else 0),
                config.samples, config.states,
            ),
            level=level,
            levels=(level,) if zeroth else config.levels,
            head=bench.plan.shape[-1],
            tick=lambda name=name: tick(f"{level}: {name}"),
        )  # fmt: skip
        for row, one in zip(entry_rows, results, strict=True):
            if row in measured:
                measured[row][name] = one
    return measured


def ticks(config: Config, table: dict[str, Entry]) -> int:
    """Chunks that all measurements together have."""

    def chunks(level: Level) -> int:
        return sum(-(-e.samples // e.chunk) for e in table.values() if e.level in (level, "both"))

    return sum(map(chunks, config.levels))


def strata(starts: Starts) -> dict[str, NDArray]:
    """The strata that occur, and which start states are theirs."""
    names = np.array(starts.stratum)
    return {name: np.nonzero(names == name)[0] for name in dict.fromkeys(starts.stratum)}
