"""optax on networks: its types take trees of arrays, and do not know that networks are such."""

from typing import Any, NamedTuple, TypeVar

import optax

T = TypeVar("T")


class Optimizer(NamedTuple):
    """An optax transformation of gradients, applied to networks or any trees of arrays."""

    transformation: optax.GradientTransformation

    def init(self, parameters: Any) -> optax.OptState:
        """The state before the first step."""
        return self.transformation.init(parameters)

    def step(self, parameters: T, gradient: T, state: optax.OptState) -> tuple[T, optax.OptState]:
        """The parameters and the state after one step down the gradient."""
        tree: Any = parameters
        updates, state = self.transformation.update(gradient, state, tree)  # pyright: ignore[reportArgumentType]
        after: Any = optax.apply_updates(tree, updates)
        return after, state


def moved_towards(slow: T, fast: T, rate: float) -> T:
    """`slow` + `rate` * (`fast` - `slow`): target networks that follow those that are trained."""
    new: Any = fast
    old: Any = slow
    after: Any = optax.incremental_update(new, old, rate)
    return after
