"""Repeats what the guard stopped a run for, from its dump."""

import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
from mjxwm_envs import seeds

from mjxwm import ConfigError
from mjxwm.maths import finite
from mjxwm.runs import checkpoint, dump, guard
from mjxwm.runs.build import Trainer, build
from mjxwm.runs.folders import RunFolder


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
        ConfigError: there is no dump, or its worlds live in Python and cannot be restored.
    """
    config, event = dump.read(run)
    trainer = build(config, fits=False)
    if trainer.env is not None and trainer.env.spec.on_host:
        raise ConfigError(
            f"{run.path}: worlds of task {config.task!r} live outside of the state that is kept, "
            "so its iterations do not repeat. dump/event.json says what was not finite"
        )
    state, start = _start(trainer, run, event)
    say(f"from iteration {start}, to {event.first}, where {event.what}")
    iteration, metrics = start, {}
    with trainer.algorithm.batches(event.began) as batches:
        for batch in itertools.islice(batches, start - event.began, None):
            if iteration >= event.stopped:
                break
            state, on_device = trainer.programs.iterate(state, *batch)
            iteration += 1
            metrics = {name: float(x) for name, x in jax.device_get(on_device).items()}
            if metrics[finite.UNSOUND]:
                return Replayed(event, iteration, guard.stage(metrics), metrics)
    return Replayed(event, None, "", metrics)


def _start(trainer: Trainer, run: RunFolder, event: dump.Event) -> tuple[Any, int]:
    key = trainer.keys(seeds.key)
    if event.checkpoint is None:
        return trainer.programs.init(key), 0
    shapes = trainer.programs.place(jax.eval_shape(trainer.algorithm.init, key))
    return checkpoint.restore(dump.checkpoints(run), shapes), event.checkpoint
