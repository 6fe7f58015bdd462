"""The result of a run: its policy evaluated and rendered, its curve drawn, its page written."""

import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np

from mjxwm.maths import ranges
from mjxwm.reports import foreign_film, one_run, plot, video
from mjxwm.reports.one_run import foresight
from mjxwm.runs import build, keeping, policies, progress
from mjxwm.runs.announce import say_failures
from mjxwm.runs.config import Config, check
from mjxwm.runs.evaluate import Evaluation
from mjxwm.runs.folders import RunFolder
from mjxwm.runs.policies import Policy
from mjxwm.runs.policy_files import Header
from mjxwm.runs.start import eval_key


def returns(evaluation: Any) -> dict[str, Any]:
    """Returns, lengths, ends, success and the task's own numbers of an evaluation, as JSON."""
    returned, success = [float(r) for r in evaluation.episode_return], evaluation.success
    return {
        "eval_return_mean": evaluation.mean_return,
        "eval_return_std": float(evaluation.episode_return.std()),
        "eval_returns": returned,
        "eval_length_mean": float(evaluation.length.mean()),
        **({} if success is None else {"eval_success": float(success.mean())}),
        **({"eval_diverged": evaluation.lost} if evaluation.lost else {}),
        **({} if evaluation.ended is None else {"eval_ended": float(evaluation.ended.mean())}),
        "eval_lengths": [int(n) for n in evaluation.length],
        **{f"eval_{name}": [float(x) for x in each] for name, each in evaluation.measures.items()},
    }


def best_row(header: Header | None) -> dict[str, Any]:
    """The best policy's iteration and return, as JSON has them."""
    if header is None:
        return {}
    return {"best_iteration": header.iteration, "best_return": header.eval_return}


def artifacts(config: Config, run: RunFolder, evaluation: Evaluation) -> dict[str, str]:
    """Draws the learning curve, renders the policy and writes the page about the run.

    Where something cannot be, a line says so and the others are made.
    """
    files = {}
    with progress.step("draws    learning curve, video and report"):
        _draw(config, run, evaluation, files)
        if foresight.worthwhile(run):
            look_ahead(run)
        return files | page(run)


def _draw(config: Config, run: RunFolder, evaluation: Evaluation, files: dict[str, str]) -> None:
    """Adds to `files` what could be drawn."""
    if run.metrics.is_file():
        records = {run.path.name: run.metrics}
        draw = functools.partial(plot.learning_curve, records, run.curve, config.task)
        if keeping.attempt(run, "the learning curve", draw):
            files["curve"] = str(run.curve)
    if config.video:
        reader = functools.partial(policies.of_run, run.path)
        try:
            files["video"] = str(film(config, evaluation, run.video, reader))
        except video.RenderingUnavailableError as error:
            print(f"no video: {error}")


def look_ahead(run: RunFolder) -> None:
    """Measures how far a run's model and critics see; a line says so where it cannot."""
    try:
        keeping.attempt(run, foresight.FILE, functools.partial(foresight.measure, run))
    except Exception as error:  # a trained run is not lost with a figure of it
        print(f"no look at its model: {type(error).__name__}: {error}")


def page(run: RunFolder) -> dict[str, str]:
    """Writes the page about a run; a line says so where it cannot."""
    target: Path | None = None

    def write() -> None:
        nonlocal target
        target = one_run.write(run)

    try:
        keeping.attempt(run, "the report", write)
    except Exception as error:  # a trained run is not lost with a picture of it
        print(f"no report: {type(error).__name__}: {error}")
    return {} if target is None else {"report": str(target)}


def film(
    config: Config, evaluation: Evaluation, path: Path, policy: Callable[[], Policy] | None = None
) -> Path:
    """Renders an evaluation's first episode.

    Args:
        config: what it was evaluated with.
        evaluation: the episodes.
        path: the file to write.
        policy: reads the policy, which a foreign world is run with once more.

    Raises:
        RenderingUnavailableError: there is nothing to render with, or no body to render.
    """
    env = build.make_env(config)
    scene = env.scene(evaluation.fields, evaluation.goal)
    path.parent.mkdir(parents=True, exist_ok=True)
    qpos = np.asarray(evaluation.qpos[: int(evaluation.length[0]) + 1])
    try:
        if scene is not None:
            return video.video(scene, qpos, env.spec.ctrl_dt, path)
        if policy is None:
            raise video.RenderingUnavailableError(f"{env.name} is simulated elsewhere")
        return foreign_film.film(env, policy(), config.seed, path)
    except OSError as error:  # a disk that is full, an encoder that ended
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        if path.is_file() and not path.stat().st_size:
            path.unlink()
        raise video.RenderingUnavailableError(f"{path} cannot be written: {reason}") from error


def evaluate_run(
    run: RunFolder,
    episodes: int | None = None,
    seed: int | None = None,
    task_fields: dict[str, Any] | None = None,
    engine: str | None = None,
    best: bool = False,
) -> tuple[Config, Evaluation, int]:
    """Evaluates the policy of a run, on any engine.

    Args:
        run: its folder, or that of its policies.
        episodes: how many; by default the run's number.
        seed: of the start states; by default the run's own.
        task_fields: other values for fields of the task than it was trained with.
        engine: the engine; by default that of the run's evaluations.
        best: whether to take the policy of the best evaluation, not the last.

    Returns:
        The configuration evaluated with, the episodes, and the iterations of its training.

    Raises:
        ConfigError: the seed is out of its range, there is no policy, or it is damaged or does not
            fit the task.
    """
    if seed is not None:
        ranges.sound(Config(seed=seed))
    policy = policies.of_run(run.path, best)
    config = build.on_engine(policy.config, engine)
    changes: dict[str, Any] = {} if episodes is None else {"episodes": episodes}
    if seed is not None:
        changes["seed"] = seed
    if task_fields:
        changes["task_fields"] = {**config.task_fields, **task_fields}
    config = dataclasses.replace(config, **changes)
    check(config)
    env = build.make_env(config)
    policies.check_sizes(policy, env.spec)
    evaluate = build.evaluation(policy.agent, env, config.episodes)
    key = eval_key(config.seed)
    with progress.step(f"compile  evaluation, then {config.episodes} episodes"):
        evaluation = jax.device_get(evaluate(policy.arrays, key))
    say_failures(env)
    return config, evaluation, policy.iteration
