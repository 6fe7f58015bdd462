"""Runs of several seeds that trained in one program: each one's return, their mean, one curve."""

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mjxwm.reports import means, plot, several_runs
from mjxwm.runs import keeping, record, symptoms
from mjxwm.runs.folders import RunFolder
from mjxwm.runs.result import Result


def summary(results: Sequence[Result]) -> dict[str, Any]:
    """Mean of the last evaluations over the seeds that have one, with its 95 % interval.

    The interval is a bootstrap over seeds; one seed has none.
    """
    returns = [r.evaluation.mean_return for r in results if r.evaluation]
    if not returns:
        return {"seeds": 0, "mean": None, "low": None, "high": None}
    low, high = means.interval(np.array(returns)[:, None])
    several = len(returns) > 1
    return {
        "seeds": len(returns),
        "mean": float(np.mean(returns)),
        "low": float(low[0]) if several else None,
        "high": float(high[0]) if several else None,
    }


def table(results: Sequence[Result]) -> str:
    """A line for each seed, and one for their mean, as text for people."""
    lines = []
    for result in results:
        symptom = _symptoms(result.run)
        if result.evaluation is None:
            score = f"not evaluated, stopped at iteration {result.iteration:,}"
        else:
            returns = result.evaluation.episode_return
            score = (
                f"return {returns.mean():.1f} +- {returns.std():.1f} over {len(returns)} episodes"
                if result.evaluation.steps
                else f"no valid step in {len(returns)} episodes"
            )
        lines.append(
            "  ".join([f"seed {result.config.seed}", score, *symptom, str(result.run.path)])
        )
    total = summary(results)
    if total["low"] is not None:
        lines.append(
            f"mean of {total['seeds']} seeds {total['mean']:.1f}, "
            f"95% interval [{total['low']:.1f}, {total['high']:.1f}]"
        )
    return "\n".join(lines)


def _symptoms(run: RunFolder) -> list[str]:
    rows = record.read(run.metrics) if run.metrics.is_file() else []
    return symptoms.words(symptoms.symptoms(rows[-1]), most=1) if rows else []


def curve(results: Sequence[Result], title: str) -> Path | None:
    """Draws the mean curve of the seeds that were evaluated, with its interval.

    Returns:
        The PNG beside the runs' folders, NAME-seeds.png; None if no seed was evaluated, or it
        cannot be written, which is said.
    """
    runs = [result.run for result in results if result.evaluation is not None]
    if not runs:
        return None
    curves, target = [_curve(run) for run in runs], _file_of_all(runs, ".png")
    draw = functools.partial(plot.comparison, {f"{len(runs)} seeds": curves}, target, title)
    return target if keeping.attempt(runs[0], f"the curve {target.name}", draw) else None


def page(results: Sequence[Result]) -> Path | None:
    """Writes the page that has all seeds on it, NAME-seeds.html beside the runs' folders.

    Returns:
        The page; None if nothing was recorded yet, or it cannot be written, which is said.
    """
    runs = [result.run for result in results if result.run.metrics.is_file()]
    if not runs:
        return None
    target = _file_of_all(runs, ".html")

    def write() -> None:
        several_runs.write(several_runs.grouped(runs), target)

    return target if keeping.attempt(runs[0], f"the page {target.name}", write) else None


def _file_of_all(runs: Sequence[RunFolder], suffix: str) -> Path:
    name = runs[0].path.name.rpartition("-seed")[0] or runs[0].path.name
    return runs[0].path.parent / f"{name}-seeds{suffix}"


def _curve(run: RunFolder) -> dict[str, np.ndarray]:
    rows = record.evaluations(run.metrics, "minutes")
    return {
        "env steps of a seed, all worlds": np.array([r["env_steps"] for r in rows], float),
        "minutes, compilation included": np.array([r["minutes"] for r in rows], float),
        "return": np.array([r["eval/return"] for r in rows], float),
    }
