"""The few types that cross rooms, and the axis letters.

T unroll time, B worlds, L sampled length, N sampled batch, H imagined horizon, E ensemble,
o a z sizes of observation, action, latent. Time comes first.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from jaxtyping import Array, Bool, Float, PRNGKeyArray


class Transition(NamedTuple):
    """One step of a world; with leading axes [T, B] it is a trajectory."""

    obs: Float[Array, "*s o"]
    action: Float[Array, "*s a"]
    reward: Float[Array, "*s"]
    terminated: Bool[Array, "*s"]
    """The episode ended here and nothing follows."""
    truncated: Bool[Array, "*s"]
    """The episode was cut here; the return goes on from `next_obs`."""
    valid: Bool[Array, "*s"]
    """False where physics diverged: reward and next_obs are placeholders."""
    next_obs: Float[Array, "*s o"]
    """The observation after the step, before any reset."""


class Known(NamedTuple):
    """Shares of a batch's steps that count, over all of a batch of which one device has a part."""

    mask: Float[Array, "*s"]
    """Of steps whose reward and end count."""
    next_mask: Float[Array, "*s"]
    """Of steps whose next observation is what they led to."""
    outcome: Float[Array, "*s"]
    """Of steps after which nothing follows, or whose next observation is known."""


Trajectory = Transition
"""Transitions with leading axes [T, B]."""

Metrics = dict[str, Float[Array, ""]]
"""Scalars by name, `group/name`."""

Noise = TypeVar("Noise")
Policy = Callable[[Float[Array, "B o"], Noise], Float[Array, "B a"]]
"""Actions for B observations and the noise of the step: a draw, a key, whatever it needs."""


class Algorithm(NamedTuple):
    """An algorithm as pure functions; the caller jits them once and donates the state."""

    init: Callable[[PRNGKeyArray], Any]
    """key -> state, initial data included."""
    iterate: Callable[..., tuple[Any, Metrics]]
    """state -> state and metrics of one iteration: T control steps in B worlds, then the updates.
    One that learns from data takes the next of its `feed` beside the state."""
    act: Callable[..., Float[Array, "B a"]]
    """(state, obs[B, o], key or None) -> actions; without a key the deterministic ones."""
    iterations: int
    """Iterations until the budget of env steps is spent."""
    env_steps: Callable[[int], int]
    """Env steps taken after so many iterations, the initial data included."""
    networks: Callable[[Any], dict[str, Any]] = lambda state: {}
    """state -> what it learns, by name: trees of parameters, to say how large they are."""
    planner: "Planner | None" = None
    """What acts in evaluations instead of `act`, where actions are planned."""
    feed: Callable[[int], Any] | None = None
    """iteration -> an iterator over what `iterate` takes beside the state, from there on, for one
    that learns from data; such a state is made uncompiled, of what is on disk."""
    replay: Callable[[Any], Any] | None = None
    """state -> its `mjxwm.data.replay.Replay`; None where none is kept."""
    worlds: Callable[[Any], Any] | None = None
    """state -> its worlds, of one that steps some and keeps no replay."""
    layout: Callable[[Any], Any] | None = None
    """state -> the `PartitionSpec` of every leaf, under which `init` and `iterate` run on several
    devices (`mjxwm_envs.shards`); None for one that runs on one device alone."""
    spread: dict[str, int] = {}  # noqa: RUF012  # never changed
    """Sizes, by the names of their settings, that the number of devices has to divide."""
    trouble: Callable[[dict[str, Any]], str] = lambda row: ""
    """A row of the record -> why the run has to end, since it no longer learns; else nothing."""


class Planner(NamedTuple):
    """A policy that carries its plan from step to step."""

    init: Callable[[int], Any]
    """number of worlds -> no plan yet."""
    act: Callable[[Any, Any, Float[Array, "B o"]], tuple[Any, Float[Array, "B a"]]]
    """(state, plans, obs [B, o]) -> the next plans and the deterministic actions."""
