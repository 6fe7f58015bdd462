"""The whole experiment: start states, gates, estimators, landscape; a report of plain values."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

import envs
from envs.core import Env
from mjxwm.config import ConfigError
from mjxwm.gradients import config as settings
from mjxwm.gradients import gates, laboratory, landscape, metrics, strata
from mjxwm.gradients.config import Config
from mjxwm.gradients.gates import Gate
from mjxwm.gradients.laboratory import TRUTH, Bench, Found, Worlds
from mjxwm.gradients.subject import Subject

Tick = Callable[[str], None]


class Task(NamedTuple):
    """What `envs.make` needs."""

    name: str
    fields: dict[str, Any]
    action_repeat: int


class Report(NamedTuple):
    """What was found; `plain` turns it into JSON."""

    task: str
    horizon: int
    starts: dict[str, int]
    """Start states by stratum."""
    gates: list[Gate]
    plan: dict[str, Any]
    """Statistics of action-sequence gradients by estimator, see `laboratory.summarize`."""
    actor: dict[str, Any]
    """The same of gradients with respect to the policy's parameters."""
    strata: dict[str, dict[str, Any]]
    """`plan` for the start states of each stratum."""
    horizons: dict[int, dict[str, Any]]
    """`plan` by horizon, the longest included."""
    growth: dict[str, dict[int, float]]
    """Median length of the gradient with respect to the first action alone, by horizon."""
    lines: list[landscape.Line]
    improvements: list[landscape.Improvement]


def worlds(config: Config, task: Task) -> Worlds:
    """The engines that are needed.

    Raises:
        ConfigError: the task is unknown, or MJX has no gradient for it.
    """
    try:
        fast, mjx = (
            envs.make(task.name, engine, task.action_repeat, **task.fields)
            for engine in ("native", "mjx")
        )
    except ValueError as error:
        raise ConfigError(str(error)) from error
    if not mjx.engine.differentiable:
        why = getattr(mjx.engine, "obstacle", None) or "its engine has no gradients"
        raise ConfigError(f"task {task.name!r}: {why}")
    return Worlds(fast, mjx, laboratory.soft_twin(mjx, config.soft_time))


def check_sizes(subject: Subject, env: Env, name: str) -> None:
    """Raises ConfigError where the policy is of other sizes than the task."""
    spec = env.spec
    sizes = (subject.obs.mean.shape[0], subject.actor.log_std[...].shape[0])
    if sizes != (spec.obs_size, spec.action_size):
        raise ConfigError(
            f"the policy has {sizes[0]} observations and {sizes[1]} actions, task {name!r} has "
            f"{spec.obs_size} and {spec.action_size}; give a run of this task with --policy"
        )


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
    settings.validate(config)
    engines = worlds(config, task)
    check_sizes(subject, engines.fast, task.name)
    key = jax.random.key(config.seed)
    episode = strata.play(engines.fast, subject, key, config.worlds, config.steps)
    try:
        starts = strata.choose(
            engines.fast.engine.model, episode, config.horizon, config.states, config.seed
        )
    except ValueError as error:
        raise ConfigError(str(error)) from error
    bench = laboratory.prepare(config, engines.fast, subject, starts)
    table = laboratory.entries(config, engines)
    checks = _gates(config, task, engines, bench, tick)
    found, growth = {}, {}
    for horizon in (*config.horizons, config.horizon):
        found[horizon] = laboratory.measure(config, bench, table, "plan", horizon, tick)
        growth[horizon] = _first_action(found[horizon], bench)
    actor = laboratory.measure(config, bench, table, "actor", config.horizon, tick)
    plan = found[config.horizon]
    shortest = min(found)
    if shortest == 1:
        checks.insert(2, gates.bias_gate("G3 single step", found[1]))
    checks.append(gates.finite({**{f"{k} (plan)": m for k, m in plan.items()}, **actor}))
    lines, gains = _landscape(config, engines.fast, bench, actor, tick)
    names = {n: len(ids) for n, ids in laboratory.by_stratum(starts)}
    return Report(
        task=task.name,
        horizon=config.horizon,
        starts=names,
        gates=checks,
        plan=laboratory.summarize(plan, None),
        actor=laboratory.summarize(actor, None),
        strata={n: laboratory.summarize(plan, ids) for n, ids in laboratory.by_stratum(starts)},
        horizons={h: laboratory.summarize(f, None) for h, f in found.items()},
        growth={name: {h: growth[h][name] for h in growth} for name in plan},
        lines=lines,
        improvements=gains,
    )


def steps(config: Config, task: Task) -> int:
    """How often `run` ticks."""
    table = laboratory.entries(config, worlds(config, task))
    lines = 4 * _DIRECTIONS
    sizes = len(landscape.SIZES) * sum(e.level in ("actor", "both") for e in table.values())
    return laboratory.ticks(config, table) + lines + sizes + 2 + config.resolution


_DIRECTIONS = 5


def _gates(config: Config, task: Task, engines: Worlds, bench: Bench, tick: Tick) -> list[Gate]:
    checks = [gates.differences(task.name, task.fields, task.action_repeat, bench, config.seed)]
    tick("G1")
    checks.append(gates.pendulum(config))
    tick("G2")
    if config.resolution:
        checks.append(gates.resolution(config, engines.differentiable, bench))
        tick("G4")
    else:
        checks.append(Gate("G4 resolution", None, "not run", {}))
    return checks


def _first_action(found: Found, bench: Bench) -> dict[str, float]:
    """Median over start states of the length of the mean gradient for the first action."""
    size = bench.plan.shape[-1]
    return {
        name: float(np.median(np.linalg.norm(m.sums.mean[:, :size], axis=1)))
        for name, m in found.items()
    }


def _landscape(
    config: Config, env: Env, bench: Bench, actor: Found, tick: Tick
) -> tuple[list[landscape.Line], list[landscape.Improvement]]:
    means = {name: m.sums.mean[m.sums.count > 1].mean(axis=0) for name, m in actor.items()}
    objective = landscape.Objective(config, env, bench, noises=128)
    shown = {name: means[name] for name in (TRUTH, "simulator", "model")}
    for seed in range(_DIRECTIONS - len(shown)):
        shown[f"random {seed}"] = landscape.random_direction(objective, seed)
    return (
        landscape.lines(objective, shown, tick),
        landscape.improvements(objective, means, tick),
    )


def plain(value: Any) -> Any:
    """A report as JSON takes it: no tuples with names, no NaN."""
    if isinstance(value, metrics.Interval):
        return [plain(x) for x in value]
    if hasattr(value, "_asdict"):
        return {k: plain(v) for k, v in value._asdict().items()}
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if isinstance(value, float | np.floating):
        return float(f"{value:.6g}") if np.isfinite(value) else None
    if isinstance(value, np.integer | np.bool_):
        return value.item()
    return value
