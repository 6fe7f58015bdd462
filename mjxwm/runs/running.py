"""A training state between iterations: its arrays alone.

Networks are trees of Python objects. A call of a compiled program takes them apart and puts them
together anew, milliseconds in which nothing else runs; between two iterations nobody looks at them.
"""

from collections.abc import Callable
from typing import Any

import jax

from mjxwm.types import Metrics


class Iteration:
    """An algorithm's iteration as a program of arrays, compiled for each structure of a state."""

    def __init__(self, iterate: Callable[..., tuple[Any, Metrics]]):
        """`iterate` is (state, *data) -> (state, metrics), not compiled."""
        self._iterate = iterate
        self._programs: dict[Any, Any] = {}

    def of(self, tree: Any) -> Any:
        """(arrays, *data) -> (arrays, metrics) for states of this structure; donates arrays."""

        def program(arrays: list[jax.Array], *data: Any) -> tuple[list[jax.Array], Metrics]:
            state, metrics = self._iterate(jax.tree.unflatten(tree, arrays), *data)
            after, there = jax.tree.flatten(state)
            # What it returns goes in again, as a state of the structure that it came with.
            assert there == tree, f"an iteration changed its state from {tree} to {there}"
            return after, metrics

        return self._programs.setdefault(tree, jax.jit(program, donate_argnums=0))


class Running:
    """A state that iterations go over."""

    def __init__(self, iteration: Iteration, state: Any):
        """Takes the state over: the first call consumes its arrays."""
        self._arrays, self._tree = jax.tree.flatten(state)
        self._program = iteration.of(self._tree)

    @property
    def state(self) -> Any:
        """The state as it is now; the next call consumes its arrays."""
        return jax.tree.unflatten(self._tree, self._arrays)

    def __call__(self, *data: Any) -> Metrics:
        """One iteration, with the data that the algorithm is fed with if it is fed."""
        self._arrays, metrics = self._program(self._arrays, *data)
        return metrics

    def wait(self) -> None:
        """Returns when all of the state is computed."""
        jax.block_until_ready(self._arrays)

    def compiled(self, *data: Any) -> Any:
        """The program, compiled now; the calls from here on are of it."""
        self._program = self._program.lower(self._arrays, *data).compile()
        return self._program
