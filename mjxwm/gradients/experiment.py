"""The whole experiment: start states, gates, estimators, landscape; a report of plain values."""

from collections.abc import Callable
from typing import Any, NamedTuple

import mjxwm_envs as envs
import numpy as np
from mjxwm_envs import seeds
from mjxwm_envs.env import Env

from mjxwm import ConfigError
from mjxwm.algos import pwm
from mjxwm.gradients import config as gradients_config
from mjxwm.gradients import engine_gates, gates, laboratory, landscape, strata, summary
from mjxwm.gradients.config import TRUTH, Config
from mjxwm.gradients.gate import Gate
from mjxwm.gradients.laboratory import Bench, Measurements, Worlds
from mjxwm.gradients.refit import Refitted, refit
from mjxwm.gradients.results import Report
from mjxwm.gradients.sampling import Measured
from mjxwm.gradients.subject import Subject, take

Tick = Callable[[str], None]


class Task(NamedTuple):
    """What `envs.make` needs."""

    name: str
    fields: dict[str, Any]
    action_repeat: int


def worlds(config: Config, task: Task) -> Worlds:
    """The engines that are needed.

    Raises:
        ConfigError: the task is unknown, or MJX has no gradient for it.
    """
    try:
        fast, mjx = (
            envs.make_task(task.name, engine, action_repeat=task.action_repeat, **task.fields)
            for engine in ("native", "mjx")
        )
    except ValueError as error:
        raise ConfigError(str(error)) from error
    if not mjx.engine.differentiable:
        why = getattr(mjx.engine, "obstacle", None) or "its engine has no gradients"
        raise ConfigError(f"task {task.name!r}: {why}")
    return Worlds(fast, mjx, laboratory.soft_twin(mjx, config.soft_time))


def labels(config: Config, task: Task, share: float, seed: int) -> dict[str, Any]:
    """What tells a report from the others of a study, as `pooled.cells` reads it.

    Args:
        config: the laboratory's, for how model and critics were trained.
        task: the task.
        share: share of the run's iterations after which the policy was kept.
        seed: the run's.
    """
    env = envs.make_task(task.name, "native", action_repeat=task.action_repeat, **task.fields)
    return {
        "body": task.name.removesuffix("-stiff"),
        "contact_time": getattr(env.task, "contact_time", None),
        "share": share,
        "seed": seed,
        "training": {
            "data": config.refit_data,
            "window": config.refit_window if config.refit_data else 0,
            "values": config.refit_values,
        },
    }


def check_sizes(subject: Subject, env: Env, name: str) -> None:
    """Raises ConfigError where the policy is of other sizes than the task."""
    spec = env.spec
    sizes = (subject.obs.mean.shape[0], subject.actor.log_std.shape[0])
    if sizes != (spec.obs_size, spec.action_size):
        raise ConfigError(
            f"the policy has {sizes[0]} observations and {sizes[1]} actions, task {name!r} has "
            f"{spec.obs_size} and {spec.action_size}; give a run of this task with --policy"
        )


def trained_anew(
    config: Config, task: Task, trained: pwm.Config, networks: pwm.Networks
) -> Refitted:
    """The policy, with model and critics trained anew where the configuration says so.

    Args:
        config: sizes.
        task: the task, as in the policy's run.
        trained: the configuration of that run.
        networks: the policy of that run.

    Raises:
        ConfigError: as `run`.
    """
    if not (config.refit_data or config.refit_values):
        return Refitted(networks, {})
    gradients_config.validate(config)
    env = worlds(config, task).fast
    check_sizes(take(trained, networks), env, task.name)
    return refit(config, trained, env, networks)


def run(config: Config, task: Task, subject: Subject, tick: Tick = lambda _: None) -> Report:
    """Everything, on one policy.

    Args:
        config: sizes.
        task: the task, as in the policy's run.
        subject: the policy with its model and critic.
        tick: called with what was just done, `steps(config)` times.

    Raises:
        ConfigError: a setting out of range, or a task or policy that does not fit.
    """
    gradients_config.validate(config)
    engines = worlds(config, task)
    check_sizes(subject, engines.fast, task.name)
    key = seeds.key(config.seed)
    episode = strata.play(engines.fast, subject, key, config.worlds, config.steps)
    try:
        starts = strata.choose(
            engines.fast.engine.model, episode, config.horizon, config.states, config.seed
        )
    except ValueError as error:
        raise ConfigError(str(error)) from error
    bench = laboratory.prepare(config, engines.fast, subject, starts)
    table = laboratory.entries(config, engines)
    groups = laboratory.strata(bench.starts)
    everywhere = list(groups.values())
    checks = _engine_gates(config, engines, bench, table, tick)
    by_row = laboratory.measure(config, bench, table, "plan", tick)
    by_horizon = {h: by_row[h, config.bootstrap] for h in (*config.horizons, config.horizon)}
    plan = by_horizon[config.horizon]
    actor: Measurements = {}
    if "actor" in config.levels:
        (actor,) = laboratory.measure(config, bench, table, "actor", tick).values()
    checks.append(gates.single_step(by_row[1, False], groups))
    checks.append(gates.finite({**{f"{k} (plan)": m for k, m in plan.items()}, **actor}))
    levels = {"plan": (plan, False), **({"actor": (actor, True)} if actor else {})}
    checks.append(gates.truth(levels, everywhere, by_horizon))
    lines, gains = [], []
    if config.landscape:
        lines, gains = _landscape(config, engines.fast, bench, actor, everywhere, tick)
    pair = ("model", "simulator")
    pooled = {"actor": summary.difference(actor, *pair, everywhere, pooled=True)} if actor else {}
    return Report(
        task=task.name,
        horizon=config.horizon,
        starts={name: len(ids) for name, ids in groups.items()},
        gates=sorted(checks, key=lambda gate: gate.name),
        plan=summary.summarize(plan, everywhere, pooled=False),
        actor=summary.summarize(actor, everywhere, pooled=True),
        strata={n: summary.summarize(plan, [ids], pooled=False) for n, ids in groups.items()},
        horizons={
            h: summary.summarize(results, everywhere, pooled=False)
            for h, results in by_horizon.items()
        },
        growth=summary.growth(by_horizon, everywhere),
        ahead={
            "plan": summary.difference(plan, *pair, everywhere, pooled=False),
            **pooled,
            **{n: summary.difference(plan, *pair, [i], pooled=False) for n, i in groups.items()},
        },
        lines=lines,
        improvements=gains,
        states=summary.states(by_horizon, bench.starts.stratum),
    )


def steps(config: Config, task: Task) -> int:
    """How often `run` ticks."""
    table = laboratory.entries(config, worlds(config, task))
    actors = sum(e.level in ("actor", "both") for e in table.values()) + len(_ORACLES)
    drawn = 4 * _DIRECTIONS + len(landscape.SIZES) * actors if config.landscape else 0
    return laboratory.ticks(config, table) + 2 + config.resolution + drawn


_DIRECTIONS = 5
_ORACLES = (TRUTH,)
"""Estimators whose step is taken with all of their samples, too."""


def _engine_gates(
    config: Config,
    engines: Worlds,
    bench: Bench,
    table: dict[str, laboratory.Entry],
    tick: Tick,
) -> list[Gate]:
    """G1, G2, G4: those that need no measurement of the estimators."""
    checks = [engine_gates.derivative(engines, bench, config.seed)]
    tick("G1")
    checks.append(gates.pendulum(config))
    tick("G2")
    if not config.resolution:
        return [*checks, Gate("G4 resolution", None, "not run", {})]
    simulator = table["simulator"].estimator
    checks.append(engine_gates.resolution(config, engines.differentiable, bench, simulator))
    tick("G4")
    return checks


def _landscape(
    config: Config,
    env: Env,
    bench: Bench,
    actor: Measurements,
    strata: list[np.ndarray],
    tick: Tick,
) -> tuple[list[landscape.Line], list[landscape.Improvement]]:
    few = {name: (_mean_over_states(m.early, m), config.samples) for name, m in actor.items()}
    every = {name: (_mean_over_states(m.sums.mean, m), config.truth) for name, m in actor.items()}
    objective = landscape.Objective(config, env, bench, noises=128)
    shown = {name: every[name][0] for name in (TRUTH, "simulator", "model")}
    for seed in range(_DIRECTIONS - len(shown)):
        shown[f"random {seed}"] = landscape.random_direction(objective, seed)
    steps = few | {f"{name}, all samples": every[name] for name in _ORACLES}
    return (
        landscape.lines(objective, shown, strata, tick),
        landscape.improvements(objective, steps, strata, tick),
    )


def _mean_over_states(means: np.ndarray, measured: Measured) -> np.ndarray:
    return means[measured.sums.count > 1].mean(axis=0)
