"""PPO-normalised scores: what a run's policy returns, in units of what PPO's returns on that task.

score = (return at the end of the run) / (mean such return of the reference runs, PPO's). A score of
1 is PPO's; the unit is that of PWM's tables (Georgiev et al. 2024), which subtract nothing either,
so 0 is a return of 0 and not that of an untrained policy. Scores of several seeds and tasks are
summed up by the interquartile mean, with intervals from a bootstrap stratified by task (Agarwal et
al. 2021, arXiv 2108.13264): every task's runs are drawn anew, with replacement, from its own.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mjxwm import ConfigError
from mjxwm.maths import bootstrap
from mjxwm.runs import record
from mjxwm.runs.folders import RunFolder, quoted
from mjxwm.runs.presets import read_yaml

RESAMPLES = 10_000
UNIT = "ppo"
"""The algorithm whose return is the unit."""


class End(NamedTuple):
    """Result of a run."""

    run: str
    task: str
    """Name and changed fields: runs that differ in these are not of one task."""
    algorithm: str
    env_steps: int
    """At the run's last evaluation."""
    end_return: float
    """Mean return there, deterministic and closed loop."""
    budget: int | None = None
    """Env steps that the run was configured to take."""
    config: tuple[tuple[str, str], ...] = ()
    """Names and values of its configuration, without those in which seeds of one experiment may
    differ."""


class Score(NamedTuple):
    """One run's score."""

    end: End
    reference: float
    """PPO's mean end return on the task."""
    score: float


class Aggregate(NamedTuple):
    """An algorithm's scores on one task, or over several."""

    task: str
    """The task, or "all"."""
    algorithm: str
    runs: int
    iqm: float
    low: float
    """Lower end of the 95% bootstrap interval of the interquartile mean."""
    high: float
    mean: float


def read(run: RunFolder) -> End:
    """Reads a run's result from its configuration and its record.

    Raises:
        ConfigError: it was never evaluated.
    """
    values = read_yaml(run.config)
    if not isinstance(values, dict) or "task" not in values:
        raise ConfigError(f"{run.path} is no run of one task: its config.yaml names none")
    rows = record.evaluations(run.metrics)
    if not rows:
        raise ConfigError(
            f"run {run.path} has no evaluation in its record; go on with it: "
            f"mjxwm train --resume {quoted(run.path)}"
        )
    fields = [
        f"{name}={value}" for name, value in sorted((values.get("task_fields") or {}).items())
    ]
    task = f"{values['task']} ({', '.join(fields)})" if fields else values["task"]
    return End(
        str(run.path),
        task,
        _algorithm(values),
        rows[-1]["env_steps"],
        float(rows[-1]["eval/return"]),
        values.get("algo", {}).get("env_steps"),
        tuple(sorted((k, str(v)) for k, v in _flat(values) if k not in _NOT_COMPARED)),
    )


_NOT_COMPARED = {
    *("seed", "task", "task_fields", "task_folder", "algorithm_folder"),
    *("video", "checkpoints", "evaluations", "episodes"),
}


def _algorithm(values: dict[str, Any]) -> str:
    """The algorithm's name; SAPO and APG are configurations of SHAC."""
    name = values.get("algorithm", "pwm")  # runs older than the field are all PWM's
    if name != "shac":
        return name
    algo = values.get("algo", {})
    return "apg" if not algo.get("bootstrap") else "sapo" if algo.get("tune_entropy") else "shac"


def _flat(values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}." if key != "algo" else "")
        else:
            yield f"{prefix}{key}", value


def distinguish(ends: Sequence[End]) -> list[End]:
    """The runs; where runs of an algorithm on a task are configured differently, its name says how.

    So two configurations of one algorithm are two rows of a table, not seeds of one.

    Raises:
        ConfigError: a run is given twice.
    """
    paths = [Path(end.run).resolve() for end in ends]
    for end, path in zip(ends, paths, strict=True):
        if paths.count(path) > 1:
            raise ConfigError(f"run {end.run} is given twice; each run counts once")
    named = []
    for end in ends:
        kin = [dict(e.config) for e in ends if e[1:3] == end[1:3]]
        own_values = dict(end.config)
        apart = [k for k in own_values if any(other.get(k) != own_values[k] for other in kin)]
        name = ", ".join(f"{k}={own_values[k]}" for k in apart)
        named.append(end._replace(algorithm=f"{end.algorithm} ({name})") if name else end)
    return named


def score(ends: Sequence[End], references: Sequence[End] = ()) -> list[Score]:
    """Scores of runs, grouped by task.

    Args:
        ends: the runs.
        references: runs of PPO; for a task without one, PPO's runs among `ends` are taken.

    Raises:
        ConfigError: a reference is not PPO's, a task has none, or PPO's return on it is not above
            0, where a quotient says nothing.
    """
    for end in references:
        if not _is_unit(end):
            raise ConfigError(
                f"reference run {end.run} is of {end.algorithm}; the unit of scores is {UNIT}'s "
                "return, so give a run of it"
            )
    tasks = list(dict.fromkeys(end.task for end in ends))
    units = {task: _unit(task, ends, references) for task in tasks}
    ordered = sorted(ends, key=lambda end: tasks.index(end.task))
    return [Score(end, units[end.task], end.end_return / units[end.task]) for end in ordered]


def _unit(task: str, ends: Sequence[End], references: Sequence[End]) -> float:
    for pool in (references, ends):
        units = [e for e in pool if e.task == task and _is_unit(e)]
        kinds = list(dict.fromkeys(e.algorithm for e in units))
        if len(kinds) > 1:
            raise ConfigError(
                f"the runs of {UNIT} on task {task!r} are of several settings, so they are no "
                f"unit: {'; '.join(kinds)}. Give those of one with --reference"
            )
        if units:
            mean = float(np.mean([e.end_return for e in units]))
            if mean <= 0:
                raise ConfigError(
                    f"{UNIT}'s mean end return on task {task!r} is {mean:.4g}; scores are "
                    "quotients and need one above 0: train it for longer"
                )
            return mean
    raise ConfigError(
        f"no run of {UNIT} on task {task!r} is among these runs, and its return is the unit; give "
        f"one with --reference (to train one: a preset of ppo with --task {task.split(' ')[0]})"
    )


def _is_unit(end: End) -> bool:
    return end.algorithm.split(" ")[0] == UNIT


def interquartile_mean(values: ArrayLike) -> float:
    """Mean of the middle half: a quarter of the weight is cut off at each end.

    Where a quarter of n is no whole number, the outermost of those left count in part, so that the
    value moves with every one of them and the mean of three is not that of the middle one alone.

    Raises:
        ValueError: no values.
    """
    return float(_middle(np.asarray(values, float).ravel()[None])[0])


def bootstrap_interval(
    groups: Sequence[ArrayLike], level: float = 0.95, resamples: int = RESAMPLES, seed: int = 0
) -> tuple[float, float]:
    """Percentile interval of the interquartile mean over all groups together.

    Args:
        groups: values by stratum, such as the scores of a task's seeds; each is drawn from alone.
        level: share of the draws inside.
        resamples: number of draws.
        seed: of the draws.

    With one value per group there is nothing to draw: both ends are the interquartile mean, which
    says nothing of how sure it is.
    """
    values = [np.asarray(group, float) for group in groups]
    low, high = bootstrap.interval(_middle, values, (1 - level) / 2, resamples, seed)
    return float(low), float(high)


def aggregate(scores: Sequence[Score]) -> list[Aggregate]:
    """Per task and algorithm, and over all tasks for an algorithm that has runs on several."""
    rows = []
    for algorithm in dict.fromkeys(s.end.algorithm for s in scores):
        by_task: dict[str, list[float]] = {}
        for one in scores:
            if one.end.algorithm == algorithm:
                by_task.setdefault(one.end.task, []).append(one.score)
        rows += [_aggregate(task, algorithm, [values]) for task, values in by_task.items()]
        if len(by_task) > 1:
            rows.append(_aggregate("all", algorithm, list(by_task.values())))
    return sorted(rows, key=lambda row: (row.task == "all", row.task, -row.iqm))


def table(scores: Sequence[Score], aggregates: Sequence[Aggregate]) -> str:
    """Scores and aggregates as text for people."""
    runs, tasks = (max(map(len, names)) for names in zip(*(s.end[:2] for s in scores), strict=True))
    lines = [
        f"{e.run:{runs}}  {e.task:{tasks}}  {e.algorithm:5}{e.env_steps:>13,} env steps"
        f"{_early(e)}  return {e.end_return:9.1f} / {unit:.1f} = {value:.3f}"
        for e, unit, value in scores
    ]
    for a in aggregates:
        interval = f" [{a.low:.3f}, {a.high:.3f}]" if a.runs > 1 else ""
        count = f"{a.runs} runs" if a.runs > 1 else "1 run"
        lines.append(f"{a.task}: {a.algorithm} {a.iqm:.3f}{interval}, mean {a.mean:.3f}, {count}")
    lines.append("1 is PPO's end return; interquartile means, 95% bootstrap intervals over runs")
    return "\n".join(lines)


def _early(end: End) -> str:
    """The words " of <budget>" for a run that was cut off early."""
    cut = end.budget is not None and end.env_steps < 0.98 * end.budget
    return f" of {end.budget:,}" if cut else ""


def _aggregate(task: str, algorithm: str, groups: list[list[float]]) -> Aggregate:
    values = [value for group in groups for value in group]
    low, high = bootstrap_interval(groups)
    mean = float(np.mean(values))
    return Aggregate(task, algorithm, len(values), interquartile_mean(values), low, high, mean)


def _middle(values: NDArray) -> NDArray:
    """Interquartile means of the rows of `values` [R, n]."""
    n = values.shape[1]
    if n == 0:
        raise ValueError("the interquartile mean of no values is not defined")
    # Value i of the sorted row stands for the interval [i, i + 1] of [0, n]; [n/4, 3n/4] is kept.
    i = np.arange(n)
    weight = np.minimum(i + 1, 0.75 * n) - np.maximum(i, 0.25 * n)
    return np.sort(values, axis=1) @ np.maximum(weight, 0) / (n / 2)
