"""The training loop: the only place where time, disk and console meet."""

import contextlib
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
from mjxwm_envs import seeds

from mjxwm import ConfigError
from mjxwm.models import nets
from mjxwm.runs import contradictions, devices, folders
from mjxwm.runs.between import Cadence, Loop, interruptible, summarize
from mjxwm.runs.build import Config, Trainer, build, eval_key, load, make_env, new_run, start
from mjxwm.runs.evaluate import Evaluation
from mjxwm.runs.folders import RunFolder, quoted
from mjxwm.runs.record import ConsoleLine, JsonLines
from mjxwm.runs.recorder import Recorder
from mjxwm.runs.running import Running
from mjxwm.types import Metrics

__all__ = [
    "Config",
    "Result",
    "Trainer",
    "build",
    "load",
    "make_env",
    "new_run",
    "say_failures",
    "summarize",
    "train",
]


class Result(NamedTuple):
    """What a run came to."""

    run: RunFolder
    evaluation: Evaluation | None
    """The last evaluation; None if the run was interrupted before its end."""
    iteration: int
    env_steps: int
    seconds: float
    """Wall-clock time of this process's part of the run, compilation included."""


def train(cfg: Config, run: RunFolder, resume: bool = False, stop_at: int | None = None) -> Result:
    """Trains until the budget of env steps is spent, or Ctrl-C.

    Args:
        cfg: the configuration.
        run: the run's folder.
        resume: go on from the newest checkpoint, bitwise as if it had never stopped.
        stop_at: an iteration to stop at before the end.

    Raises:
        ConfigError: a name is unknown, a value out of range, or there is nothing to resume.
    """
    began = time.monotonic()
    if resume and devices.leads():
        folders.say_edits(run)  # first: they may be why it cannot go on
    trainer = build(cfg)
    key = seeds.key(cfg.seed)
    state, iteration, seconds = start(trainer, run, key, resume)
    if devices.leads():
        folders.keep_trained(run)
        _announce(cfg, trainer, run, state)
    total = trainer.algorithm.iterations
    last = min(total, stop_at or total)
    with (
        ConsoleLine(total) as console,
        interruptible() as interrupted,
        contextlib.ExitStack() as stack,
    ):
        # Others do not even open the record: to do so is to cut it to where the run goes on.
        leads = devices.leads()
        trackers = (JsonLines(run.metrics, iteration if resume else None), console) if leads else ()
        loop = Loop(
            trainer.algorithm,
            lambda state: trainer.evaluate(state, eval_key(cfg)),
            Cadence.spread(total, cfg.evaluations, cfg.checkpoints),
            run,
            trackers,
            began - seconds,
            iteration,
            Recorder(cfg, trainer, state, resume) if cfg.data else None,
        )
        late = ended = False
        running = Running(trainer.programs.iteration, state)
        del state
        step = _stepper(running, trainer, iteration, stack)
        while iteration < last and not ended and not late:
            metrics = step()
            iteration += 1
            late = cfg.minutes is not None and time.monotonic() - began + seconds > 60 * cfg.minutes
            failed = _failed(cfg, trainer, iteration == last, metrics)
            late, ended = devices.any_of(late, bool(interrupted))
            stopping = iteration == last or ended or late or bool(failed)
            loop.after(iteration, running, metrics, stopping, evaluate=late)
            if failed:
                raise ConfigError(
                    f"{failed} The run is saved: `mjxwm train --resume {quoted(run.path)}` goes "
                    "on; with `on_failure: go-on` in its config.yaml, past what fails."
                )
            if loop.trouble:
                loop.save(iteration, running.state)
                raise ConfigError(f"run {run.path} ends at {iteration=}: {loop.trouble}")
    finished = iteration == total or late
    final = jax.device_get(trainer.evaluate(running.state, eval_key(cfg))) if finished else None
    say_failures(trainer)
    return Result(
        run, final, iteration, trainer.algorithm.env_steps(iteration), time.monotonic() - began
    )


def _stepper(
    running: Running, trainer: Trainer, iteration: int, stack: contextlib.ExitStack
) -> Callable[[], Metrics]:
    """An iteration, with the data that it learns from where it learns from data."""
    if trainer.algorithm.feed is None:
        return running
    feed = stack.enter_context(trainer.algorithm.feed(iteration))
    return lambda: running(next(feed))


def _failed(cfg: Config, trainer: Trainer, last: bool, metrics: Any) -> str:
    """What failed in foreign worlds, if that is to end the run; else it is only said."""
    if last:
        jax.block_until_ready(metrics)
    failures = trainer.env.failures() + trainer.eval_env.failures()
    if not failures:
        return ""
    more = f" (and {len(failures) - 1} more)" if len(failures) > 1 else ""
    said = f"{trainer.env.name}: {failures[0]}{more}."
    if cfg.on_failure == "stop" or any(failure.world is None for failure in failures):
        return said
    print(said, flush=True)
    return ""


def say_failures(trainer: Trainer) -> None:
    """Prints what failed in an evaluation's foreign worlds, if anything did."""
    for failure in trainer.eval_env.failures():
        print(f"{trainer.eval_env.name}: in this evaluation {failure}", flush=True)


def _announce(cfg: Config, trainer: Trainer, run: RunFolder, state: Any) -> None:
    spec, algo = trainer.env.spec, cfg.algo
    networks = trainer.algorithm.networks(state).items()
    sizes = [f"{name} {nets.num_parameters(tree):,} parameters" for name, tree in networks]
    print(f"run      {run.path}")
    print(
        f"task     {spec.name}: {spec.obs_size} observations, {spec.action_size} actions, "
        f"{spec.episode_length} steps of {spec.ctrl_dt * 1e3:.3g} ms"
    )
    device = devices.described(cfg.devices)
    worlds = f"{algo.worlds} worlds" if algo.worlds else "for evaluations alone"
    print(f"engine   {spec.engine}, {worlds}; learner on {device}")
    print(f"learner  {', '.join([cfg.algorithm, *sizes])}")
    iterations = f"{trainer.algorithm.iterations:,} iterations"
    if algo.env_steps:
        each = f"{algo.steps_per_iteration:,} steps and {algo.updates} updates"
        print(f"budget   {algo.env_steps:,} env steps = {iterations} of {each}", flush=True)
    else:
        print(f"budget   no env steps, {algo.settings.updates:,} updates in {iterations}")
    for remark in contradictions.remarks(cfg, trainer.env, trainer.algorithm):
        print(f"note     {remark}", flush=True)
