"""The contracts of the package: the data that worlds are made of, and what may be asked of them.

    Task x Engine = Env (one world)  --batch(B)-->  WorldBatch (B worlds, stepped together)

A task never sees an engine and an engine never sees a task: they meet in `Physics`. A learner sees
neither: it asks a `Source`, which is an `Env` of ours or a foreign environment, for a `WorldBatch`.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol, Self

import jax
import mujoco
from jax.sharding import PartitionSpec
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray, UInt8

from mjxwm_envs import shards


class Physics(NamedTuple):
    """The part of one world's state that a task may read, in MuJoCo's names and units."""

    time: Float[Array, ""]
    """Simulated time [s]."""
    qpos: Float[Array, " nq"]
    """Generalised positions [m, rad]."""
    qvel: Float[Array, " nv"]
    """Generalised velocities [m/s, rad/s]."""
    act: Float[Array, " na"]
    """Actuator activations (muscles: 0 to 1); empty without stateful actuators."""
    ctrl: Float[Array, " nu"]
    """The controls of the last control step; zero after a reset."""
    derived: dict[str, Array]
    """The `MjData` fields that the task declares in `Task.derived`, at this state."""
    goal: Any = ()
    """The episode's goal, `Initial.goal`; constant until the next reset."""


class Initial(NamedTuple):
    """The start state of an episode."""

    qpos: Float[Array, " nq"]
    qvel: Float[Array, " nv"]
    act: Float[Array, " na"]
    goal: Any = ()
    """The episode's goal (a target, a command): any pytree, the same shapes every time."""
    fields: dict[str, Array] = {}  # noqa: RUF012  never written to
    """Values of `MjModel` fields for this world alone: whole arrays by name, such as `geom_size` or
    `opt.gravity`, with the same names every time. Constants that MuJoCo derives from masses and
    inertias are computed from them (`mjxwm_envs.engines.derived_constants`); other constants that
    its compiler derives, such as `geom_rbound`, must be given as fields too."""
    lag: Any = ()
    """Delay of this episode's actions [control steps], if delays are randomised."""


class SimState(NamedTuple):
    """The simulator's state of one world between two control steps."""

    physics: Physics
    hidden: Any
    """Engine state beyond `physics` that an exact continuation needs (warm start, float64)."""
    fields: dict[str, Array] = {}  # noqa: RUF012  never written to
    """`Initial.fields` of this episode."""


class State(NamedTuple):
    """The state of one world, with what the agent gets from its last step."""

    sim: SimState
    obs: Float[Array, " o"]
    reward: Float[Array, ""]
    terminated: Bool[Array, ""]
    terms: dict[str, Float[Array, ""]]
    """Reward terms by name; all zero after a reset."""
    success: Bool[Array, ""] | None
    """Whether the task is solved in this state; None if the task does not define success."""
    pending: Any = ()
    """Delayed actions: (delay [control steps], the last actions, newest first)."""


class Worlds(NamedTuple):
    """The state of B worlds and of their running episodes."""

    state: State
    """Every leaf has a leading axis B."""
    clock: Int[Array, " B"]
    """Agent steps as the time limit counts them; starts above 0 if the worlds are staggered."""
    steps: Int[Array, " B"]
    """Agent steps since the episode began."""
    episode_return: Float[Array, " B"]
    """Undiscounted return since the episode began."""
    key: PRNGKeyArray
    """Random key of the resets to come."""

    @property
    def obs(self) -> Float[Array, "B o"]:
        """The observations to act on."""
        return self.state.obs

    def layout(self) -> Self:
        """A `PartitionSpec` for each leaf: worlds are split over devices, the key is not."""
        split = jax.tree.map(lambda x: shards.spread(), self)
        return split._replace(key=PartitionSpec())


class Step(NamedTuple):
    """The outcome of one action in each of B worlds."""

    reward: Float[Array, " B"]
    terminated: Bool[Array, " B"]
    """The episode ended and nothing follows."""
    truncated: Bool[Array, " B"]
    """The episode was cut: by the time limit, or because the physics diverged (not `valid`)."""
    valid: Bool[Array, " B"]
    """False where physics, action, observation or reward was not finite: reward and next_obs are
    placeholders there."""
    next_obs: Float[Array, "B o"]
    """The observation after the step and before any reset."""
    episode_return: Float[Array, " B"]
    """Return of the episode up to and including this step."""
    episode_length: Int[Array, " B"]
    """Length of the episode up to and including this step [agent steps]."""
    terms: dict[str, Float[Array, " B"]]
    """Reward terms by name."""
    success: Bool[Array, " B"] | None
    """Whether the task is solved after the step; None if the task does not define success."""
    fault: UInt8[Array, " B"] | None = None
    """1 + place in `batch.FAULTS` of what was not finite, 0 if valid; None: not known."""


class EnvSpec(NamedTuple):
    """Sizes and times of an environment."""

    name: str
    engine: str
    obs_size: int
    action_size: int
    ctrl_dt: float
    """Time between two actions of the agent [s], action repeat included."""
    sim_dt: float
    """Physics step [s]."""
    n_substeps: int
    """Physics steps between two actions of the agent."""
    episode_length: int
    """Actions of the agent until truncation."""
    differentiable: bool
    """Whether `jax.grad` through a step is defined."""
    obstacle: str = ""
    """If it is not differentiable: the reason, and which environment or engine would be."""
    action_repeat: int = 1
    """Control steps per action of the agent."""
    terminates: bool | None = None
    """Whether an episode can end before its time limit; None if unknown."""
    on_host: bool = False
    """Whether the worlds live in Python on the host: one ordered callback per step, on one device,
    and a checkpoint does not hold their state."""


class Failure(NamedTuple):
    """An error in a foreign world: an exception, or outputs of a wrong shape or not finite."""

    world: int | None
    """Number of the world; None if only the whole batch is known to have failed."""
    step: int
    """Steps that it had taken before."""
    what: str
    """The error."""

    def __str__(self) -> str:
        """The failure as a sentence."""
        which = "the worlds" if self.world is None else f"world {self.world}"
        return f"{which} failed at step {self.step}: {self.what}"


class Marker(NamedTuple):
    """A ball drawn in an episode's pictures beside the model, such as a target."""

    place: Any
    """Its centre [3] in the world [m]."""
    radius: Any = 0.01
    """Radius, or three half-axes [m]."""
    rgba: tuple[float, float, float, float] = (0.0, 1.0, 0.0, 0.3)
    """Red, green, blue and opacity, from 0 to 1."""


class Scene(NamedTuple):
    """What stays the same in the pictures of one episode."""

    model: mujoco.MjModel
    """The world's model, with its own field values and its goal."""
    markers: Sequence[Marker] = ()


class WorldBatch(Protocol):
    """B worlds of one environment, stepped together. `reset` and `step` may be compiled."""

    @property
    def env(self) -> "Source":
        """The environment that these are worlds of."""
        ...

    @property
    def num_worlds(self) -> int:
        """B, on all devices together."""
        ...

    def reset(self, key: PRNGKeyArray, stagger: bool = False) -> Any:
        """New episodes in all worlds, as `Worlds` or a NamedTuple with its `obs` and `layout`.

        Args:
            key: random key.
            stagger: start the episode clocks at random times, so that the time limits of the
                worlds do not coincide.
        """
        ...

    def step(self, worlds: Any, action: Float[Array, "B a"]) -> tuple[Any, Step]:
        """One action in [-1, 1] in each world; worlds whose episode ended are reset."""
        ...


class Source(Protocol):
    """An environment as a learner sees it, ours or foreign: where its data come from."""

    @property
    def name(self) -> str:
        """The task's name."""
        ...

    @property
    def spec(self) -> EnvSpec:
        """Sizes and times."""
        ...

    @property
    def action_size(self) -> int:
        """Numbers in an action."""
        ...

    def batch(self, num_worlds: int) -> WorldBatch:
        """`num_worlds` worlds, stepped together."""
        ...

    def failures(self) -> list[Failure]:
        """Errors in foreign worlds since the last call."""
        ...

    def check_devices(self, num_devices: int) -> None:
        """Raises ValueError if worlds cannot be split over this many devices (all processes)."""
        ...

    def scene(self, fields: dict[str, Array], goal: Any) -> Scene | None:
        """What to draw of one world's episode; None if there is no MuJoCo model of it.

        Args:
            fields: `SimState.fields` of the world.
            goal: `Physics.goal` of the world.
        """
        ...


class World(Source, Protocol):
    """A source whose single world is pure functions: `jax.vmap` makes it many."""

    @property
    def episode_length(self) -> int:
        """Actions of the agent until truncation."""
        ...

    @property
    def reset_computes(self) -> bool:
        """Whether a reset runs physics (for derived fields) besides writing a start state."""
        ...

    @property
    def reset_is_cheap(self) -> bool:
        """Whether a GPU resets all worlds in less time than it waits for which of them ended."""
        ...

    def for_worlds(self, num_worlds: int) -> "World":
        """The same environment with the engine's buffers sized for `num_worlds` worlds."""
        ...

    def initial(self, key: PRNGKeyArray) -> Any:
        """Draws a start state."""
        ...

    def reset(self, key: PRNGKeyArray) -> State:
        """A new episode."""
        ...

    def reset_where(self, done: Bool[Array, ""], initial: Any, state: State) -> State:
        """A world at `initial` where `done`, else `state`."""
        ...

    def step(self, state: State, action: Float[Array, " a"]) -> State:
        """One action."""
        ...
