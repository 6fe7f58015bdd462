"""The interface of the three physics engines."""

from typing import Protocol

import mujoco
from jaxtyping import Array, Bool, Float

from mjxwm_envs.core import Initial, SimState


class Engine(Protocol):
    """Advances one world; `jax.vmap` makes it many. Implementations: native, mjx, warp."""

    name: str
    model: mujoco.MjModel
    n_substeps: int
    """Physics steps per control step."""
    derived: tuple[str, ...]
    """Names of the `MjData` fields in `Physics.derived`."""
    differentiable: bool
    """Whether `jax.grad` through `step` is defined."""

    def for_worlds(self, num_worlds: int) -> "Engine":
        """This engine with its buffers sized for `num_worlds` worlds stepped together."""
        ...

    def check_devices(self, num_devices: int) -> None:
        """Raises ValueError if it cannot run on this many devices of one process."""
        ...

    def can_differ(self, name: str) -> bool:
        """Whether each world may have its own value of this `MjModel` field."""
        ...

    def reset(self, initial: Initial) -> SimState:
        """A world at `initial`, with the derived fields computed there."""
        ...

    def step(self, sim: SimState, ctrl: Float[Array, " nu"]) -> SimState:
        """`n_substeps` physics steps under constant `ctrl`.

        The next state has `ctrl` in its physics, the same `goal` and `fields`, and the derived
        fields of the last substep. A world that diverges has NaN in it; nothing is raised.
        """
        ...

    def reset_where(self, done: Bool[Array, ""], initial: Initial, sim: SimState) -> SimState:
        """A world at `initial` where `done`, else `sim`."""
        ...
