"""The guard of a run on the host: it stops what is no longer finite, and keeps the last good state.

Each iteration says in one number whether it was sound (`mjxwm.maths.finite`). That number is read
some iterations later, when the device has long computed it: the loop goes on meanwhile. What led
to a stop is kept in the run's folder `dump`, see `mjxwm.runs.dump` and `mjxwm replay`.
"""

import functools
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from mjxwm import GuardError
from mjxwm.maths import finite
from mjxwm.runs import checkpoint, devices, dump, folders, keeping, together
from mjxwm.runs.build import Trainer
from mjxwm.runs.folders import RunFolder
from mjxwm.types import Algorithm

LAG = 6
"""Iterations that are dispatched before the number of one is read: enough that the device never
waits for the host, few enough that a run stops soon. The same in all processes of a run, so that
all of them stop together."""

STAGES = finite.STAGES

_WORDS = {
    "action": "the policy's actions were not finite",
    "physics": "physics diverged",
    "obs": "observations of the task were not finite",
    "reward": "rewards of the task were not finite",
    "step": "steps of the worlds were not finite",
    "moments": "moments of observations or rewards became infinite",
    "model": "the world model's loss or gradient was not finite",
    "actor": "the actor's loss or gradient was not finite",
    "returns": "moments of imagined returns became infinite",
    "policy": "the policy's loss or gradient was not finite",
    "entropy": "the gradient of the entropy's weight was not finite",
    "temperature": "the temperature's loss or gradient was not finite",
    "critic": "the critics' loss or gradient was not finite",
    "losses": "losses or their gradient were not finite",
    "parameters": "parameters are not finite",
}
_OF_THE_TASK = ("obs", "reward")
"""Stages whose numbers a task's own functions give: no learning rate mends them."""


def stage(metrics: dict[str, Any]) -> str:
    """The stage of an iteration that was the first that was not finite; "" if everything was."""
    place = int(metrics[finite.FIRST])
    return finite.STAGES[place - 1] if place else ""


def described(stage: str) -> str:
    """What was not finite in a stage, in words."""
    return _WORDS[stage]


class _Streak(NamedTuple):
    """Iterations in a row that were not sound."""

    first: int
    count: int  # pyright: ignore[reportIncompatibleMethodOverride]  # tuple.count
    stage: str
    """What was first not finite in the first of them."""


class Guard:
    """Watches the iterations of a run, or of the runs of several seeds in one program."""

    def __init__(
        self,
        trainer: Trainer,
        runs: Sequence[RunFolder],
        iteration: int,
        wait: Callable[[], object],
    ):
        """Args:
        trainer: what is trained.
        runs: the folder of its run, or those of its seeds.
        iteration: where this part of the run begins.
        wait: returns once no checkpoint is being written.
        """
        config = trainer.config
        self._trainer, self._runs, self._began = trainer, list(runs), iteration
        self._wait = wait
        shortest = max(1, trainer.algorithm.iterations // 2)
        self.most = min(config.stop_after_skips, shortest)
        self._pending: deque[tuple[int, Any]] = deque()
        self._past: deque[tuple[int, Any]] = deque(maxlen=self.most + LAG + 1)
        self._streaks: dict[RunFolder, _Streak] = {}
        self._stopped: set[RunFolder] = set()
        self._postponed: set[RunFolder] = set()

    def add(self, iteration: int, metrics: Any, waiting: bool) -> dict[RunFolder, str]:
        """Takes an iteration's metrics, which stay on the device; looks at those of older ones.

        Args:
            iteration: its number.
            metrics: its metrics.
            waiting: look at those of all iterations, since the host waits for the device now.

        Returns:
            Why runs have to stop; those alone that have to.
        """
        self._pending.append((iteration, metrics))
        troubles: dict[RunFolder, str] = {}
        while len(self._pending) > (0 if waiting else LAG):
            iteration, metrics = self._pending.popleft()
            self._past.append((iteration, metrics))
            levels = np.atleast_1d(np.asarray(metrics[finite.UNSOUND]))
            for i in range(len(levels)):
                run = self._runs[i]
                if run not in self._stopped and self._unsound(i, iteration, int(levels[i])):
                    self._stopped.add(run)
                    troubles[run] = self._stop(i, iteration)
        return troubles

    @property
    def doubtful(self) -> set[RunFolder]:
        """Runs whose latest iterations were not sound: what they learned is not kept."""
        return {*self._stopped, *self._streaks}

    def _unsound(self, index: int, iteration: int, level: int) -> bool:
        """Takes note of an iteration of a run; whether it has to stop."""
        run = self._runs[index]
        if not level:
            self._streaks.pop(run, None)
            return False
        streak = self._streaks.get(run)
        if streak is None:
            streak = _Streak(iteration, 0, stage(self._metrics(index, self._past[-1][1])))
        streak = streak._replace(count=streak.count + 1)
        self._streaks[run] = streak
        return level > 1 or streak.count >= self.most

    def _metrics(self, index: int, metrics: Any) -> dict[str, Any]:
        return together.each(jax.device_get(metrics), self._trainer.seeds)[index]

    def _stop(self, index: int, iteration: int) -> str:
        """Dumps what led to a stop; why it is, and the way out."""
        run, streak = self._runs[index], self._streaks[self._runs[index]]
        history = {n: self._metrics(index, metrics) for n, metrics in self._past}
        what = _WORDS[streak.stage] + f" from iteration {streak.first} on"
        if int(history[iteration][finite.UNSOUND]) > 1:
            what = f"{_WORDS['parameters']} at {iteration=}"
        self._wait()  # one that is being written now may be the last good state
        last_good = checkpoint.latest(run.checkpoints)
        event = dump.Event(
            what, self._began, last_good, streak.first, iteration, streak.stage, history
        )
        if devices.leads():
            write = functools.partial(dump.write, run, self._trainer, index, event)
            keeping.attempt(run, "the dump", write)
        advice = self._trainer.config.algo.advice(history[iteration])
        change = "a lower learning rate, say"
        if streak.stage in _OF_THE_TASK:
            name = folders.quoted(self._trainer.config.task)
            change = f"a change of the task: `mjxwm envs check {name}` says which term it is"
        way_out = _way_out(run, last_good, change)
        return "; ".join([what, *([advice] if advice else []), way_out])

    def due(self, runs: Iterable[RunFolder], stopping: bool, state: Any) -> list[RunFolder]:
        """The runs whose state is to be saved now, among those whose checkpoint is due.

        A state that is not finite is never saved, nor that of a run which this guard has stopped.
        While updates are skipped a checkpoint waits for the next sound iteration, unless the run is
        `stopping`: the last good one is not replaced by a worse one.
        """
        self._postponed |= set(runs)
        if not self._postponed or self._pending:  # those of which not all is known wait
            return []
        ready = [run for run in self._runs if run in self._postponed - self._stopped]
        self._postponed = set()
        if not stopping:
            self._postponed = {run for run in ready if run in self._streaks}
            ready = [run for run in ready if run not in self._streaks]
        return [run for run in ready if self._savable(run, state)]

    def _savable(self, run: RunFolder, state: Any) -> bool:
        seeds = self._trainer.seeds
        of_run = state if seeds is None else together.take(state, self._runs.index(run))
        if bool(_sound(of_run, self._trainer.algorithm)):
            return True
        if devices.leads():
            keeping.refuse(run, "the checkpoint", "the state is not finite")
        return False


def _sound(state: Any, algorithm: Algorithm) -> Any:
    """Whether networks are finite, and nothing else that is learned is NaN."""
    fields = {name: getattr(state, name) for name in state._fields if name not in _COLLECTED}
    return _all_sound(fields, algorithm.networks(state))


@jax.jit
def _all_sound(learned: Any, networks: Any) -> Any:
    return finite.no_nan(learned) & finite.all_finite(networks)


_COLLECTED = ("worlds", "replay", "buffer", "plans")
"""Fields of a training state that hold data. They are finite where a step is valid, and masked
elsewhere; an engine's own fields may be infinite, for "no bound"."""


def _way_out(run: RunFolder, last_good: int | None, change: str) -> str:
    path = folders.quoted(run.path)
    look = f"`mjxwm replay {path}` repeats it and says where it begins"
    if last_good is None:
        return (
            f"there is no checkpoint before it. {look}; then train anew under another name, with "
            f"{change}"
        )
    return (
        f"the last good state is the checkpoint of iteration {last_good}. {look}; "
        f"`mjxwm train --resume {path}` goes on from there, after a change in its config.yaml or "
        f"code: {change}"
    )


def say_stopped(troubles: dict[RunFolder, str], iteration: int, others: bool) -> None:
    """Prints which runs stop here, if any, and why; the other seeds of their program go on.

    Raises:
        GuardError: there are no others.
    """
    texts = [f"run {run.path} stopped at {iteration=}: {why}" for run, why in troubles.items()]
    if texts and not others:
        raise GuardError("\n".join(texts), [run.path for run in troubles])
    for text in texts:
        print(f"{text}. The other seeds go on.", flush=True)
