"""Policies of runs, kept apart from their training: `policy/last` and `policy/best`.

A policy needs neither the engine it was trained on nor worlds, optimisers or replay: with its
folder alone it is evaluated on any engine and any device.
"""

import dataclasses
import functools
import math
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
from mjxwm_envs import EnvSpec

from mjxwm import ConfigError
from mjxwm.runs import devices, folders, keeping, policy_files, presets, start, together
from mjxwm.runs.build import Trainer
from mjxwm.runs.config import Config, entry
from mjxwm.runs.evaluate import Evaluation
from mjxwm.runs.folders import RunFolder
from mjxwm.runs.policy_files import Header
from mjxwm.types import Agent, Sizes


class Policy(NamedTuple):
    """A policy with all that is needed to run it."""

    config: Config
    """The configuration that it was trained with."""
    sizes: Sizes
    iteration: int
    """Iterations that it was trained for."""
    agent: Agent
    """How it acts."""
    arrays: Any
    """Its networks and normalisation, which the agent takes."""


def of_run(path: Path | str, best: bool = False, at: float | None = None) -> Policy:
    """The policy of a run: by itself, or in a run of an earlier version its checkpoint's.

    Args:
        path: see `policy_files.folder`.
        best: whether the best is meant, not the last.
        at: the share of the run's iterations after which it was kept, see `policy_files.stage`.

    Raises:
        ConfigError: there is no such policy, or it is damaged.
    """
    path = Path(path)
    place = policy_files.folder(path, best) if at is None else policy_files.stage(path, at)
    if place is not None:
        policy = load(place)
        if entry(policy.config.algorithm).takes_env:
            _say_edits(RunFolder(path), policy)
            return policy
        folders.find(path)  # which says what it is
        raise ConfigError(f"{place} is a model of many tasks, not a policy")
    run = folders.find(path)
    if best:
        raise ConfigError(f"{path} keeps no best policy; evaluate its newest checkpoint")
    trainer, state, iteration = start.load(run)
    assert trainer.env is not None, "a model of many tasks is no run of this kind"
    algorithm = trainer.algorithm
    sizes = Sizes.of(trainer.env.spec)
    return Policy(trainer.config, sizes, iteration, algorithm.agent, algorithm.policy(state))


def _say_edits(run: RunFolder, policy: Policy) -> None:
    """Prints how a run's configuration differs from that of its policy, which holds."""
    if not run.config.is_file():
        return
    try:
        configs = (policy.config, presets.load_yaml(Config, run.config))
        kept, now = (presets.to_dict(dataclasses.replace(c, devices=1)) for c in configs)
        edits = presets.differences(kept, now)
    except ConfigError as error:
        edits = [str(error)]
    for edit in edits:
        print(
            f"note     edited since its policy was kept, which stays: {edit}",
            flush=True,
        )


def load(place: Path) -> Policy:
    """Reads a policy.

    Args:
        place: its folder, of `policy_files.folder`.

    Raises:
        ConfigError: it is damaged, or of another version.
    """
    header = policy_files.read_header(place)
    agent = _agent(place, header)
    try:
        shapes = jax.eval_shape(agent.init, jax.random.key(0))
    except (TypeError, ValueError, OverflowError) as error:  # sizes beyond what arrays can have
        reason = (str(error).splitlines() or [""])[0][:200]
        raise ConfigError(f"{place / policy_files.NAME} describes no networks: {reason}") from error
    try:
        arrays = policy_files.read_arrays(place, header, shapes)
    except ConfigError:
        # A run that goes on may have written its next policy meanwhile.
        if policy_files.read_header(place) == header:
            raise
        return load(place)
    return Policy(header.config, header.sizes, header.iteration, agent, arrays)


def _agent(place: Path, header: Header) -> Agent:
    registered = entry(header.config.algorithm)
    if registered.takes_model and header.card is None:
        raise ConfigError(f"{place / policy_files.NAME} lacks the card of its model")
    card = [header.card] if registered.takes_model else []
    try:
        return registered.agent(header.config.algo, header.sizes, *card)
    except ValueError as error:
        raise ConfigError(f"{place / policy_files.NAME}: {error}") from error


def check_sizes(policy: Policy, spec: EnvSpec) -> None:
    """Raises ConfigError unless the task has the policy's numbers of observations and actions."""
    trained, sizes = policy.sizes, Sizes.of(spec)
    if (trained.obs_size, trained.action_size) != (sizes.obs_size, sizes.action_size):
        raise ConfigError(
            f"the policy takes {trained.obs_size} observations and gives {trained.action_size} "
            f"actions; task {spec.name!r} has {sizes.obs_size} and {sizes.action_size} here"
        )


def save(
    trainer: Trainer,
    runs: Sequence[RunFolder],
    state: Any,
    iteration: int,
    evaluations: Sequence[Evaluation] | None,
    ended: Collection[RunFolder] = (),
) -> None:
    """Keeps the policy of each run as its last, and as its best where its evaluation is.

    The best is among those none of whose evaluated episodes was cut short.

    Args:
        trainer: what is trained.
        runs: the folder of its run, or those of its seeds.
        state: the training state, stacked over several seeds.
        iteration: the state's.
        evaluations: of this state, one for each run; None if it was not evaluated.
        ended: runs that ended before the others, or whose policy is not to be kept.
    """
    if not devices.leads():
        return
    arrays = jax.device_get(devices.local(trainer.algorithm.policy(state)))
    each = together.each(arrays, trainer.seeds)
    for i, (run, policy) in enumerate(zip(runs, each, strict=True)):
        if run in ended:
            continue
        evaluation = None if evaluations is None else evaluations[i]
        mean = None if evaluation is None else evaluation.mean_return
        mean = None if mean is None or math.isnan(mean) else mean
        header = _header(trainer, i, iteration, mean)
        # Evaluations come after the same iterations of a run that was stopped in between.
        names = ["last", *([] if evaluation is None else _stages(trainer, run, iteration))]
        # An episode that physics cut short has a return of a part, which may be above a whole one.
        whole = evaluation is not None and not evaluation.lost
        if whole and mean is not None and mean > _best_return(run.policy / "best"):
            names.append("best")
        for name in names:
            write = functools.partial(policy_files.write, run.policy / name, header, policy)
            keeping.attempt(run, f"the {name} policy", write)


def _stages(trainer: Trainer, run: RunFolder, iteration: int) -> list[str]:
    """The stages that are reached, and not kept yet."""
    reached = [
        policy_files.stage_folder(share)
        for share in trainer.config.stages
        if iteration >= share * trainer.algorithm.iterations - 1e-6
    ]
    return [name for name in reached if not (run.policy / name).is_dir()]


def _best_return(place: Path) -> float:
    """The return of the best policy until now; minus infinity if there is none."""
    if not place.is_dir():
        return -math.inf
    try:
        best = policy_files.read_header(place).eval_return
    except ConfigError as error:
        print(f"note     {error}. The next evaluation chooses another best policy", flush=True)
        return -math.inf
    return -math.inf if best is None else best


def _header(trainer: Trainer, index: int, iteration: int, eval_return: float | None) -> Header:
    """All about the policy of a trainer's run, or of the seed with this index."""
    config, algorithm, env = start.with_folders(trainer), trainer.algorithm, trainer.env
    seed = config.seed if trainer.seeds is None else trainer.seeds[index]
    header = policy_files.describe(dataclasses.replace(config, seed=seed), iteration)
    if env is None or trainer.eval_env is None:
        return header
    return dataclasses.replace(
        header,
        env_steps=algorithm.env_steps(iteration),
        eval_return=eval_return,
        task=env.name,
        engine=env.spec.engine,
        eval_engine=trainer.eval_env.spec.engine,
        sizes=Sizes.of(env.spec),
        card=algorithm.agent.card,
    )
