"""The few types that cross rooms, and the axis letters.

T unroll time, B worlds, L sampled length, N sampled batch, H imagined horizon, E ensemble,
o a z sizes of observation, action, latent. Time comes first.
"""

import contextlib
import itertools
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any, NamedTuple, TypeVar

from jaxtyping import Array, Bool, Float, PRNGKeyArray


class Transition(NamedTuple):
    """One step of a world; with leading axes [T, B] it is a trajectory."""

    obs: Float[Array, "*s o"]
    action: Float[Array, "*s a"]
    reward: Float[Array, "*s"]
    terminated: Bool[Array, "*s"]
    """The episode terminates at this step: its return has no further rewards."""
    truncated: Bool[Array, "*s"]
    """The episode is cut off at this step, and its return goes on. Learning on the trajectory
    itself bootstraps from `next_obs`; a replay does not store it and masks the step."""
    valid: Bool[Array, "*s"]
    """False if the physics diverged; reward and next_obs are then placeholders."""
    next_obs: Float[Array, "*s o"]
    """The observation after the step, before any reset."""


class StepCounts(NamedTuple):
    """Numbers of unmasked steps in a batch that is spread over D devices, divided by D.

    Losses divide by them: the mean over devices of the loss is then that of the whole batch, even
    if more steps are masked on some devices than on others.
    """

    mask: Float[Array, "*s"]
    """Steps whose reward and termination may be learned from."""
    next_mask: Float[Array, "*s"]
    """Steps that are followed by an observation of the same episode."""
    outcome: Float[Array, "*s"]
    """Steps of `mask` that terminated or are followed by an observation of the same episode."""


Trajectory = Transition
"""Transitions with leading axes [T, B]."""

Metrics = dict[str, Float[Array, ""]]
"""Scalars by name, `group/name`."""

Noise = TypeVar("Noise")
Policy = Callable[[Float[Array, "B o"], Noise], Float[Array, "B a"]]
"""Actions for B observations and the noise of the step: a draw, a key, whatever it needs."""


@contextlib.contextmanager
def no_batches(iteration: int) -> Iterator[Iterator[tuple[Any, ...]]]:
    """The batches of an algorithm that collects its data itself: empty ones, without end."""
    yield itertools.repeat(())


class Algorithm(NamedTuple):
    """An algorithm as pure functions; the caller jits `iterate` once and donates the state.

    A state is a NamedTuple, of which a few fields are read from outside where it has them:
    `iteration` (always), `replay` (a `mjxwm.data.replay.Replay`) and `worlds`. A state with a
    method `layout`, which returns the `PartitionSpec` of every leaf, runs on several devices.
    """

    init: Callable[[PRNGKeyArray], Any]
    """key -> state, initial data included; compiled already."""
    iterate: Callable[..., tuple[Any, Metrics]]
    """(state, *batches) -> state and metrics of one iteration: T control steps in B worlds, then
    the updates; or updates on batches of a data set."""
    act: Callable[..., Float[Array, "B a"]]
    """(state, obs [B, o], key or None) -> actions; without a key the deterministic ones."""
    iterations: int
    """Iterations until the budget of env steps, or of updates, is spent."""
    env_steps: Callable[[int], int]
    """Env steps taken after so many iterations, the initial data included."""
    networks: Callable[[Any], dict[str, Any]] = lambda state: {}
    """state -> what it learns, by name: trees of parameters, to say how large they are."""
    batches: Callable[[int], AbstractContextManager[Iterator[tuple[Any, ...]]]] = no_batches
    """iteration -> a context, in it an iterator over what `iterate` takes beside the state, from
    that iteration on."""
    controller: "Controller | None" = None
    """What acts in evaluations where it carries something from step to step; else `act` does."""


class Controller(NamedTuple):
    """A deterministic policy with a memory, such as a planner, which carries its plan on."""

    start: Callable[[int], Any]
    """number of worlds -> the memory before the first step."""
    act: Callable[[Any, Any, Float[Array, "B o"]], tuple[Any, Float[Array, "B a"]]]
    """(state, memory, obs [B, o]) -> the next memory and the actions."""


def controller(algorithm: Algorithm) -> Controller:
    """What acts in an algorithm's evaluations: its controller, or `act` without a memory."""
    if algorithm.controller is not None:
        return algorithm.controller
    return Controller(lambda worlds: (), lambda state, _, obs: ((), algorithm.act(state, obs)))
