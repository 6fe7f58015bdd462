"""What comes of a run."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax

from mjxwm.runs import devices, exits, keeping, together
from mjxwm.runs.build import Trainer
from mjxwm.runs.config import Config
from mjxwm.runs.evaluate import Evaluation
from mjxwm.runs.folders import RunFolder
from mjxwm.runs.start import eval_key


class Result(NamedTuple):
    """The outcome of a run."""

    config: Config
    run: RunFolder
    evaluation: Evaluation | None
    """The evaluation at its end; None if it was interrupted before, or has no environment."""
    finished: bool
    """Whether its budget, or its time (`minutes`), is spent; False after a signal or `stop_at`."""
    iteration: int
    env_steps: int
    seconds: float
    """Wall-clock time of this process's part of the run, compilation included."""
    trouble: str = ""
    """Why it ended before the other seeds of its program; empty if it did not."""
    signal: int | None = None
    """The signal that stopped it, or that came while its last iteration was evaluated and saved:
    whatever was to follow the run does not."""
    unwritten: tuple[str, ...] = ()
    """What of it is not on disk, since that could not be written."""

    @property
    def status(self) -> int:
        """The exit status of a process that trained it, of `exits`."""
        if self.unwritten:
            return exits.UNWRITTEN
        return exits.DONE if self.signal is None else exits.of_signal(self.signal)


class End(NamedTuple):
    """Where a program stopped; see `Result`."""

    iteration: int
    finished: bool
    seconds: float
    signal: int | None


def results(
    trainer: Trainer,
    runs: Sequence[RunFolder],
    end: End,
    evaluations: Sequence[Evaluation] | None,
    ended: Mapping[RunFolder, tuple[int, str]],
) -> list[Result]:
    """The outcome of each run of a program.

    Args:
        trainer: what was trained.
        runs: the run's folder; with `trainer.seeds` the folder of each.
        end: where the program stopped.
        evaluations: the last ones, of each run.
        ended: the runs that ended before the program: at which iteration, and why.
    """
    outcomes = []
    for i, run in enumerate(runs):
        iteration, trouble = ended.get(run, (end.iteration, ""))
        finished = end.finished and not trouble
        outcomes.append(
            Result(
                config=dataclasses.replace(
                    trainer.config, seed=(trainer.seeds or [trainer.config.seed])[i]
                ),
                run=run,
                evaluation=evaluations[i] if finished and evaluations else None,
                finished=finished,
                iteration=iteration,
                env_steps=trainer.algorithm.env_steps(iteration),
                seconds=end.seconds,
                trouble=trouble,
                signal=end.signal,
                unwritten=keeping.unwritten(run),
            )
        )
    return outcomes


def evaluated(trainer: Trainer, state: Any) -> list[Evaluation]:
    """Evaluates a state, or each seed's part of a stacked one.

    The start states are the same every time, and never those of the training.
    """
    assert trainer.evaluate is not None
    keys = trainer.keys(eval_key)
    policy = devices.local(trainer.algorithm.policy(state))
    evaluations = jax.device_get(trainer.evaluate(policy, keys))
    return together.each(evaluations, trainer.seeds)
