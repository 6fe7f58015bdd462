"""The few types that cross rooms, and the axis letters.

T unroll time, B worlds, L sampled length, N sampled batch, H imagined horizon, E ensemble,
o a z sizes of observation, action, latent. Time comes first.
"""

import contextlib
import dataclasses
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


@dataclasses.dataclass(frozen=True)
class Sizes:
    """What a policy needs to know of its task; an `EnvSpec` says it."""

    obs_size: int
    """Numbers of an observation."""
    action_size: int
    """Numbers of an action."""
    episode_length: int
    """Actions until truncation."""

    @classmethod
    def of(cls, spec: Any) -> "Sizes":
        """The sizes of an environment, by its `EnvSpec`."""
        return cls(spec.obs_size, spec.action_size, spec.episode_length)


class Controller(NamedTuple):
    """A deterministic policy with a memory, such as a planner, which carries its plan on."""

    start: Callable[[int], Any]
    """number of worlds -> the memory before the first step."""
    act: Callable[[Any, Any, Float[Array, "B o"]], tuple[Any, Float[Array, "B a"]]]
    """(policy, memory, obs [B, o]) -> the next memory and the actions."""


class Followed(NamedTuple):
    """Actions that were taken in a world, followed in a world model from the first state on."""

    z: Float[Array, "H+1 B z"]
    """Latents that the model predicts; the first is encoded."""
    encoded: Float[Array, "H+1 B z"]
    """Latents of what was observed."""
    reward: Float[Array, "H B"]
    """Predicted rewards, in the unit of the task's."""


class Outlook(NamedTuple):
    """What a policy expects of the future, in the unit of the task's rewards."""

    gamma: float
    """Discount per action."""
    value: Callable[[Any, Float[Array, "B o"]], Float[Array, " B"]]
    """(policy, obs [B, o]) -> the discounted return that its critics expect from there on."""
    imagine: Callable[[Any, Float[Array, "B o"]], Float[Array, "H B"]] | None = None
    """(policy, obs [B, o]) -> the rewards of the next H steps that its world model predicts, each
    weighted by the probability that the episode lasts until then; None without a model."""
    follow: Callable[[Any, Float[Array, "H+1 B o"], Float[Array, "H B a"]], Followed] | None = None
    """(policy, observations, actions between them) -> what its world model makes of these actions
    from the first observation on; None without a model."""


class Agent(NamedTuple):
    """How a policy acts, apart from what trains it: pure functions, without worlds and engines.

    The policy itself is a tree of arrays: the networks and the normalisation that act, and what
    else of them others look at, such as the world model; no optimiser states, no data.
    """

    init: Callable[[PRNGKeyArray], Any]
    """key -> a policy before any training, whose shapes are those of a trained one."""
    act: Callable[..., Float[Array, "B a"]]
    """(policy, obs [B, o], key or None) -> actions; without a key the deterministic ones."""
    planner: Controller | None = None
    """What acts in evaluations where it carries something from step to step; else `act` does."""
    card: Any = None
    """The card of the model of many tasks that it acts through; None without one."""
    outlook: Outlook | None = None
    """What it expects of the future; None for a policy that is kept without critics."""

    @property
    def controller(self) -> Controller:
        """What acts in evaluations: the planner, or `act` without a memory."""
        if self.planner is not None:
            return self.planner
        return Controller(lambda worlds: (), lambda policy, _, obs: ((), self.act(policy, obs)))


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
    agent: Agent
    """How its policy acts."""
    policy: Callable[[Any], Any]
    """state -> the policy, see `Agent`. It picks leaves and computes nothing, so that it does the
    same on a stacked state of several seeds and on one of shapes."""
    iterations: int
    """Iterations until the budget of env steps, or of updates, is spent."""
    env_steps: Callable[[int], int]
    """Env steps taken after so many iterations, the initial data included."""
    networks: Callable[[Any], dict[str, Any]] = lambda state: {}
    """state -> what it learns, by name: trees of parameters, to say how large they are."""
    batches: Callable[[int], AbstractContextManager[Iterator[tuple[Any, ...]]]] = no_batches
    """iteration -> a context, in it an iterator over what `iterate` takes beside the state, from
    that iteration on."""
    trial: Callable[..., str] = lambda seeds=1: ""
    """(seeds in one program, 1 by default) -> tries on this device, before anything is traced,
    what may not work on all: why its programs are to do without it, see `platform.refuse_pallas`;
    empty if all is well."""

    @property
    def act(self) -> Callable[..., Float[Array, "B a"]]:
        """(policy, obs [B, o], key or None) -> actions, see `Agent`."""
        return self.agent.act
