"""The contracts of `envs`: what a task may read, what an engine must do, and how both make an Env.

Everything here is for *one* world and pure; `jax.vmap` makes it many (`mjxwm_envs.batch`). A task
never sees an engine and an engine never sees a task: they meet in the `Physics` view.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import jax.numpy as jnp
import mujoco
from jaxtyping import Array, Bool, Float, PRNGKeyArray


class Physics(NamedTuple):
    """What a task may read of one world, in MuJoCo's own names and units."""

    time: Float[Array, ""]
    """Simulated time [s]."""
    qpos: Float[Array, " nq"]
    """Generalised positions [m, rad]."""
    qvel: Float[Array, " nv"]
    """Generalised velocities [m/s, rad/s]."""
    act: Float[Array, " na"]
    """Actuator activations (muscles: 0 to 1); empty without stateful actuators."""
    ctrl: Float[Array, " nu"]
    """The controls that led here; zero after a reset."""
    derived: dict[str, Array]
    """The derived fields that the task declares, at this state: `sensordata`, `xpos`, ..."""
    goal: Any = ()
    """What this episode asks for, as its `Initial` said; constant until the next reset."""


class SimState(NamedTuple):
    """One world between two control steps."""

    physics: Physics
    hidden: Any
    """What the engine needs besides the view to go on exactly (warm start, double precision)."""
    fields: dict[str, Array] = {}  # noqa: RUF012  never written to
    """Fields of the model that differ from world to world, see `Initial`."""


class Initial(NamedTuple):
    """Where a world starts."""

    qpos: Float[Array, " nq"]
    qvel: Float[Array, " nv"]
    act: Float[Array, " na"]
    goal: Any = ()
    """What the episode asks for (a target, a command): any pytree, the same shapes every time."""
    fields: dict[str, Array] = {}  # noqa: RUF012  never written to
    """`MjModel` fields of this world alone, whole arrays by name, such as `geom_size` or
    `opt.gravity`; the same names every time. What MuJoCo derives from masses and inertias follows
    (`mjxwm_envs.derived_constants`); other constants that its compiler derives are fields of their
    own, such as `geom_rbound`."""
    lag: Any = ()
    """Control steps by which this episode's actions come late, where worlds are randomised so."""


class Engine(Protocol):
    """Advances one world. Three implementations share this interface: native, mjx, warp."""

    name: str
    model: mujoco.MjModel
    n_substeps: int
    derived: tuple[str, ...]
    differentiable: bool
    """Whether `jax.grad` through `step` is defined."""

    def for_worlds(self, num_worlds: int) -> "Engine":
        """This engine with its buffers sized for `num_worlds` worlds stepped together."""
        ...

    def can_differ(self, name: str) -> bool:
        """Whether worlds may have values of their own of this field of `MjModel`."""
        ...

    def reset(self, initial: Initial) -> SimState:
        """A world at `initial`, with the derived fields computed there."""
        ...

    def step(self, sim: SimState, ctrl: Float[Array, " nu"]) -> SimState:
        """`n_substeps` physics steps under constant `ctrl`."""
        ...

    def reset_where(self, done: Bool[Array, ""], initial: Initial, sim: SimState) -> SimState:
        """A world at `initial` where `done`, `sim` unchanged elsewhere."""
        ...


class Marker(NamedTuple):
    """A ball that pictures of an episode show beside the model, such as a target."""

    place: Any
    """Its centre [3] in the world [m]."""
    radius: Any = 0.01
    """One, or three half-axes [m]."""
    rgba: tuple[float, float, float, float] = (0.0, 1.0, 0.0, 0.3)
    """Red, green, blue and opacity, from 0 to 1."""


@dataclasses.dataclass(frozen=True)
class Task:
    """A model and the functions that make it a task. Subclasses are one task or one family each.

    The fields are the task's physical parameters, and `envs.make(name, field=value)` changes them.
    `reward` is of the transition, r(s, a, s'), and returns its named terms for the metrics.
    """

    ctrl_dt: float
    """Time between two actions [s]."""
    sim_dt: float
    """Physics step [s]; `ctrl_dt` is a whole multiple of it."""
    episode_length: int
    """Control steps until an episode is truncated."""

    @property
    def derived(self) -> tuple[str, ...]:
        """Derived `MjData` fields that the task reads, `sensordata` among them."""
        return ()

    def mjcf(self) -> str:
        """The model as an MJCF string. The physics step is set from `sim_dt`."""
        raise NotImplementedError

    def model(self) -> mujoco.MjModel:
        """The model compiled; override it, instead of `mjcf`, for a model that is composed."""
        return mujoco.MjModel.from_xml_string(self.mjcf())

    def initial(self, key: PRNGKeyArray) -> Initial:
        """Draws a start state."""
        raise NotImplementedError

    def observe(self, physics: Physics) -> Float[Array, " o"]:
        """What the policy sees of a state."""
        raise NotImplementedError

    def reward(
        self, before: Physics, action: Float[Array, " a"], after: Physics
    ) -> tuple[Float[Array, ""], dict[str, Float[Array, ""]]]:
        """The reward of a transition and its terms by name; `action` is in [-1, 1]."""
        raise NotImplementedError

    def terminated(self, physics: Physics) -> Bool[Array, ""]:
        """Whether the episode ends here with nothing to come (a fall). Never a time limit."""
        return jnp.zeros((), bool)

    def shape(self, action: Float[Array, " a"]) -> Float[Array, " a"]:
        """Bends an action in [-1, 1] before it is mapped onto the control ranges; in [-1, 1]."""
        return action

    def success(self, physics: Physics) -> Bool[Array, ""] | None:
        """Whether the task is solved in this state; None for a task that has no such notion."""
        return None

    def show(self, model: mujoco.MjModel, goal: Any) -> Sequence[Marker]:
        """Brings an episode's goal into its pictures.

        Args:
            model: this world's model, a copy that is drawn and nothing else: what stands for the
                goal is moved, resized or hidden here (`model.site("target").pos = goal`).
            goal: `Physics.goal`, as numpy arrays.

        Returns:
            Balls to draw beside the model, where it has nothing to stand for the goal.
        """
        return ()


class EnvSpec(NamedTuple):
    """Sizes and times that learning needs to know."""

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
    obstacle: str = ""
    """Why it is not differentiable, and what would be."""
    action_repeat: int = 1
    """Control steps per action of the agent."""
    terminates: bool | None = None
    """Whether an episode can end before its time limit; None where that is not known."""


class Failure(NamedTuple):
    """A foreign world that raised, or said something that it cannot mean."""

    world: int | None
    """Its number; None where it cannot be told which of them it was."""
    step: int
    """Its steps until then."""
    what: str

    def __str__(self) -> str:
        """In words."""
        which = "the worlds" if self.world is None else f"world {self.world}"
        return f"{which} failed at step {self.step}: {self.what}"


class Source(Protocol):
    """What a learner needs of an environment, our own or a foreign one."""

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

    def worlds(self, num_worlds: int) -> Any:
        """B worlds with `reset` and `step`: an `envs.BatchEnv` or what behaves like one."""
        ...

    def failures(self) -> list[Failure]:
        """What went wrong in foreign worlds since the last call."""
        ...


class State(NamedTuple):
    """One world as the agent meets it."""

    sim: SimState
    obs: Float[Array, " o"]
    reward: Float[Array, ""]
    terminated: Bool[Array, ""]
    terms: dict[str, Float[Array, ""]]
    """Reward terms by name; all zero after a reset."""
    success: Bool[Array, ""] | None
    """Whether the task is solved here; None where the task does not say."""
    pending: Any = ()
    """Actions that come late: (by how many control steps, the last ones, newest first)."""


class Randomiser(Protocol):
    """What makes worlds differ; `mjxwm_envs.randomisation.Randomisation` is one."""

    latency: int
    """Most control steps by which actions come late."""

    def apply(self, model: mujoco.MjModel, key: PRNGKeyArray, initial: Initial) -> Initial:
        """`initial` with fields of the model, and a lag, of its own."""
        ...
