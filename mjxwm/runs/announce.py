"""What a run says: what it is made of when it starts, and what failed in foreign worlds."""

from collections.abc import Sequence
from typing import Any, NoReturn

import jax
from mjxwm_envs import Source

from mjxwm import ConfigError
from mjxwm.models import nets
from mjxwm.runs import contradictions, devices, folders, keeping
from mjxwm.runs.build import Trainer
from mjxwm.runs.folders import RunFolder
from mjxwm.runs.output import say


def announce(trainer: Trainer, runs: Sequence[RunFolder]) -> None:
    """Prints what runs are made of, once for all processes, and keeps their configurations.

    Nothing is compiled for it: it is said before the first program is.

    Args:
        trainer: what is trained.
        runs: the folder of its run, or those of its seeds.
    """
    if not devices.leads():
        return
    config, algo = trainer.config, trainer.config.algo
    state = jax.eval_shape(trainer.algorithm.init, jax.random.key(0))
    networks = trainer.algorithm.networks(state).items()
    sizes = [f"{name} {nets.num_parameters(tree):,} parameters" for name, tree in networks]
    device = devices.described(config.devices)
    for run in runs:
        folders.keep_trained(run)
        say(f"run      {run.path}")
    if trainer.seeds is not None:
        say(f"seeds    {len(runs)} in one program; what follows is of each")
    if trainer.env is not None:
        spec = trainer.env.spec
        say(
            f"task     {spec.name}: {spec.obs_size} observations, {spec.action_size} actions, "
            f"{spec.episode_length} steps of {spec.ctrl_dt * 1e3:.3g} ms"
        )
        worlds = f"{algo.worlds} worlds" if algo.worlds else "for evaluations alone"
        say(f"engine   {spec.engine}, {worlds}; learner on {device}")
    else:
        say(f"engine   none; learner on {device}")
    say(f"learner  {', '.join([config.algorithm, *sizes])}")
    if algo.env_steps:
        iterations = f"{trainer.algorithm.iterations:,} iterations"
        each = f"{algo.steps_per_iteration:,} steps and {algo.updates} updates"
        say(f"budget   {algo.env_steps:,} env steps = {iterations} of {each}")
    for line in algo.summary():
        say(line)
    for remark in contradictions.remarks(config, trainer.env, trainer.algorithm):
        print(f"note     {remark}", flush=True)


def failure_text(trainer: Trainer, last: bool, metrics: Any) -> str:
    """What failed in foreign worlds, if that is to end the run; else it is only printed."""
    if trainer.env is None or trainer.eval_env is None:
        return ""
    if last:
        jax.block_until_ready(metrics)
    failures = trainer.env.failures() + trainer.eval_env.failures()
    if not failures:
        return ""
    more = f" (and {len(failures) - 1} more)" if len(failures) > 1 else ""
    text = f"{trainer.env.name}: {failures[0]}{more}."
    if trainer.config.on_failure == "stop" or any(failure.world is None for failure in failures):
        return text
    print(text, flush=True)
    return ""


def raise_failure(failure: str, runs: Sequence[RunFolder], saved: bool) -> NoReturn:
    """Ends a run for what failed in its foreign worlds.

    Args:
        failure: what failed, in words.
        runs: the run alone: foreign worlds are of one seed.
        saved: whether its last checkpoint could be written, which was waited for.

    Raises:
        ConfigError: always, with the way to go on.
    """
    (run,) = runs
    path, missing = folders.quoted(run.path), keeping.unwritten(run)
    if missing or not saved:
        what = " and ".join(missing or ["the checkpoint"])
        state = f"NOT WRITTEN: {what}; from its newest checkpoint"
    else:
        state = "The run is saved:"
    raise ConfigError(
        f"{failure} {state} `mjxwm train --resume {path}` goes on; with "
        "`on_failure: go-on` in its config.yaml, past what fails."
    )


def say_failures(env: Source | None) -> None:
    """Prints what failed in an evaluation's foreign worlds, if anything did."""
    if env is None:
        return
    for failure in env.failures():
        print(f"{env.name}: in this evaluation {failure}", flush=True)
