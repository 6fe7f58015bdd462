"""Repeats what the guard stopped a run for, from its dump."""

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import jax
from mjxwm_envs import seeds

from mjxwm import ConfigError
from mjxwm.maths import finite
from mjxwm.runs import checkpoint, compilation, dump, guard
from mjxwm.runs.build import Trainer, build
from mjxwm.runs.folders import RunFolder
from mjxwm.types import no_batches


class Replayed(NamedTuple):
    """What came of the iterations before a stop when they were run again."""

    event: dump.Event
    iteration: int | None
    """The first iteration that was not sound; None if all were."""
    stage: str
    """What was first not finite in it; one of `mjxwm.maths.finite.STAGES`."""
    metrics: dict[str, float]
    """Its metrics, or those of the last iteration."""

    @property
    def reproduced(self) -> bool:
        """Whether the same stage of the same iteration was the first that was not finite."""
        return (self.iteration, self.stage) == (self.event.first, self.event.stage)

    @property
    def bitwise(self) -> bool:
        """Whether all metrics of that iteration are the same, bit by bit."""
        return self.reproduced and dump.same(self.event.metrics[self.event.first], self.metrics)


def replay(run: RunFolder, say: Callable[[str], None] = print) -> Replayed:
    """Runs iterations again, from the last good state to the first that was not sound.

    Args:
        run: a run that the guard has stopped.
        say: takes a line about how far it is.

    Raises:
        ConfigError: there is no dump, or its iterations do not repeat: worlds live in Python, or
            its batches were read by a process before that of the stop.
    """
    config, event = dump.read(run)
    trainer = build(config, fits=False)
    if trainer.env is not None and trainer.env.spec.on_host:
        raise ConfigError(
            f"{run.path}: worlds of task {config.task!r} live outside of the state that is kept, "
            "so its iterations do not repeat. dump/event.json says what was not finite"
        )
    compilation.try_kernels(trainer.algorithm.trial)  # as the run itself
    state, start = _start(trainer, run, event)
    say(f"from iteration {start}, to {event.first}, where {event.what}")
    iteration, metrics = start, {}
    with _batches(trainer, run, event, start) as batches:
        for batch in batches:
            if iteration >= event.stopped:
                break
            state, on_device = trainer.programs.iterate(state, *batch)
            iteration += 1
            metrics = {name: float(x) for name, x in jax.device_get(on_device).items()}
            if metrics[finite.UNSOUND]:
                return Replayed(event, iteration, guard.stage(metrics), metrics)
    return Replayed(event, None, "", metrics)


@contextmanager
def _batches(
    trainer: Trainer, run: RunFolder, event: dump.Event, start: int
) -> Iterator[Iterator[tuple[Any, ...]]]:
    """The batches of the process that was stopped, from an iteration on."""
    before = event.began - start
    if before > 0 and trainer.algorithm.batches is not no_batches:
        raise ConfigError(
            f"{run.path}: the process that was stopped went on at iteration {event.began}, and of "
            f"that there is no checkpoint any more; the batches of the {before} iterations before "
            "are another process's and do not repeat. dump/event.json says what was not finite"
        )
    with trainer.algorithm.batches(event.began) as batches:
        yield itertools.islice(batches, max(0, -before), None)


def _start(trainer: Trainer, run: RunFolder, event: dump.Event) -> tuple[Any, int]:
    key = trainer.keys(seeds.key)
    if event.checkpoint is None:
        return trainer.programs.init(key), 0
    shapes = trainer.programs.place(jax.eval_shape(trainer.algorithm.init, key))
    return checkpoint.restore(dump.checkpoints(run), shapes), event.checkpoint
