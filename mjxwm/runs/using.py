"""Run folders in use: by one process at a time, and with room for a checkpoint."""

import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Concatenate, ParamSpec, TypeVar

import jax
from mjxwm_envs import seeds

from mjxwm import ConfigError
from mjxwm.runs import devices, keeping, memory, trackers
from mjxwm.runs.build import Trainer
from mjxwm.runs.folders import RunFolder

P = ParamSpec("P")
T = TypeVar("T")


def folders_locked(
    train: Callable[Concatenate[Trainer, Sequence[RunFolder], P], T],
) -> Callable[Concatenate[Trainer, Sequence[RunFolder], P], T]:
    """Makes a function hold the folders of its runs for this process while it trains them."""

    @functools.wraps(train)
    def locked(trainer: Trainer, runs: Sequence[RunFolder], *args: P.args, **kwargs: P.kwargs) -> T:
        with _locked(trainer, runs):
            return train(trainer, runs, *args, **kwargs)

    return locked


@contextmanager
def _locked(trainer: Trainer, runs: Sequence[RunFolder]) -> Iterator[None]:
    try:
        devices.refuse(_refusal(trainer, runs) if devices.leads() else "")
        yield
    finally:
        for run in runs:
            keeping.end(run)


def _refusal(trainer: Trainer, runs: Sequence[RunFolder]) -> str:
    """Why these runs cannot train here, or nothing; their folders are locked."""
    try:
        trackers.check(trainer.config.track)
        for run in runs:
            keeping.begin(run)
    except ConfigError as refusal:
        return str(refusal)
    needed = memory.size(jax.eval_shape(trainer.programs.init, trainer.keys(seeds.key)))
    if not keeping.lacks_room(runs[0].path, needed):
        return ""
    left = keeping.size(keeping.free(runs[0].path) or 0)
    return (
        f"{runs[0].path.parent}: a checkpoint takes up to {keeping.size(needed)}, and "
        f"{left} are free. Make room, take another --folder, or a smaller replay "
        "(`capacity`)"
    )
