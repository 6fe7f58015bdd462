"""A run's programs, compiled side by side before they are needed.

The first state, the iteration and the evaluation are programs of their own. Each is traced in
turn, and compiled in a thread: while the first states are computed, the others go on compiling.
"""

import threading
import time
from collections.abc import Callable
from typing import Any

import jax
from mjxwm_envs import seeds

from mjxwm.maths import platform
from mjxwm.runs import devices, output, progress, stops
from mjxwm.runs.build import Trainer
from mjxwm.types import no_batches


class Compiling:
    """A jitted function that is being compiled for arguments of certain shapes.

    It is called as the function itself; the first call waits until it is compiled.
    """

    def __init__(self, function: Any, *shapes: Any):
        """Traces the function here, since JAX's contexts hold in one thread only.

        Args:
            function: what `jax.jit` returned.
            shapes: abstract values of its arguments, with their shardings where they matter.
        """
        lowered = function.lower(*shapes)
        self._compiled: Any = None
        self._error: BaseException | None = None
        self._began, self.seconds = time.monotonic(), 0.0
        self._thread = threading.Thread(target=self._compile, args=(lowered,))
        self._thread.start()

    def _compile(self, lowered: Any) -> None:
        try:
            self._compiled = lowered.compile()
        except BaseException as error:  # raised where the program is needed
            self._error = error
        self.seconds = time.monotonic() - self._began

    def wait(self) -> None:
        """Returns once it is compiled; raises what the compiler raised."""
        self._thread.join()
        if self._error is not None:
            raise self._error

    def __call__(self, *args: Any) -> Any:
        """The function's value."""
        self.wait()
        return self._compiled(*args)


class _AtFirstCall:
    """A jitted function that its first call compiles: a signal meanwhile leaves at once."""

    def __init__(self, function: Any):
        self._function, self._compiled = function, False

    def __call__(self, *args: Any) -> Any:
        if self._compiled:
            return self._function(*args)
        _say("compile  iteration", end="\n")  # a whole line, as the live line is below it by now
        began = time.monotonic()
        with stops.at_once():
            value = self._function(*args)
        _say(f"compiled in {time.monotonic() - began:.0f} s", end="\n")
        self._compiled = True
        return value


def side_by_side(trainer: Trainer, resume: bool) -> Trainer:
    """The same trainer with its programs on their way to be compiled.

    A resumed run needs no program for its first state. An iteration that takes batches of a data
    set is compiled at its first call, which has the first ones.

    Args:
        trainer: of `build.build`.
        resume: whether the first state comes from a checkpoint.
    """
    try_kernels(trainer.algorithm.trial, len(trainer.seeds or (0,)))
    with progress.step("traces   the programs of the run"):
        return _traced(trainer, resume)


def _traced(trainer: Trainer, resume: bool) -> Trainer:
    programs, algorithm = trainer.programs, trainer.algorithm
    key = trainer.keys(seeds.key)
    state = programs.place(jax.eval_shape(programs.init, key))
    if not resume:
        programs = programs._replace(init=Compiling(programs.init, key))
    ahead = algorithm.batches is no_batches
    iterate = Compiling(programs.iterate, state) if ahead else _AtFirstCall(programs.iterate)
    programs = programs._replace(iterate=iterate)
    evaluate: Any = trainer.evaluate
    if evaluate is not None:
        evaluate = Compiling(evaluate, devices.local_shapes(algorithm.policy(state)), key)
    return trainer._replace(programs=programs, evaluate=evaluate)


def try_kernels(trial: Callable[..., str], seeds: int = 1) -> None:
    """Does without fast kernels where they fail, on all processes if they do on one.

    Args:
        trial: of an algorithm.
        seeds: how many are in one program.
    """
    with progress.step("tries    fast kernels on this device"):
        reason = trial(seeds)
    (refused,) = devices.any_of(bool(reason))
    if not refused:
        return
    platform.refuse_pallas(reason or "another process's device")
    if devices.leads():
        why = reason or "they fail on another process's device"
        print(
            f"note     slower kernels, layer by layer; the fast ones do not serve here: {why}",
            flush=True,
        )


def first(trainer: Trainer, key: jax.Array) -> Any:
    """The first state, and how long its program takes to compile, said."""
    init = trainer.programs.init
    if not isinstance(init, Compiling):
        return init(key)
    _say("compile  first state: ")
    init.wait()
    _say(f"{init.seconds:.0f} s", end="\n")
    return init(key)


def wait(trainer: Trainer) -> None:
    """Returns once the iteration is compiled, and says how long that took."""
    iterate = trainer.programs.iterate
    if not isinstance(iterate, Compiling):
        return
    aside = "" if trainer.evaluate is None else ", evaluation beside it"
    _say(f"compile  iteration{aside}: ")
    iterate.wait()
    _say(f"{iterate.seconds:.0f} s", end="\n")


def _say(text: str, end: str = "") -> None:
    """Says it once for all processes."""
    if devices.leads():
        output.say(text, end)
