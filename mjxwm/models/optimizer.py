"""optax on networks: its types take trees of arrays, and do not know that networks are such."""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float

from mjxwm.maths import finite, platform

T = TypeVar("T")


class Packed(NamedTuple):
    """An optimiser's state in which each tree of the parameters' form is one vector.

    A step then takes some ten kernels on a GPU, instead of two to each array of the networks.
    Checkpoints hold trees: a loop over steps packs before it and unpacks after it.
    """

    state: Any


class Optimizer(NamedTuple):
    """An optax transformation of gradients, applied to networks or any trees of arrays."""

    transformation: optax.GradientTransformation
    scaled: Callable[[Any], Any] | None = None
    """What is done to the steps at the end, in a tree like the parameters: some made shorter."""

    def init(self, parameters: Any) -> optax.OptState:
        """The state before the first step."""
        return self.transformation.init(parameters)

    def step(
        self, parameters: T, gradient: T, state: Any, loss: Any = 0.0
    ) -> tuple[T, Any, Float[Array, ""]]:
        """The parameters and the state after one step down the gradient.

        A step is skipped, and parameters and state stay as they were, if the loss, the gradient's
        norm or one of the parameters after it is not finite. On several devices loss and gradient
        are the same on all.

        With a `Packed` state all numbers pass through the transformation as one vector. What it
        does may depend on their norm, but not on which array a number is from; `scaled` may.

        Returns:
            Parameters, state, and 1 if the step was skipped, else 0.
        """
        tree: Any = parameters
        slope: Any = gradient
        if isinstance(state, Packed):
            new, inner, sound = self._packed_step(tree, _vector(slope), state.state, loss)
            return new, Packed(inner), finite.skipped(sound)
        steps, moments = self.transformation.update(slope, state, tree)
        after: Any = optax.apply_updates(tree, self._scaled(steps))
        sound = jnp.isfinite(norm(slope)) & jnp.isfinite(loss) & finite.all_finite(after)
        parameters, state = finite.kept_unless(sound, (after, moments), (parameters, state))
        return parameters, state, finite.skipped(sound)

    def _packed_step(
        self, tree: Any, slope: Float[Array, " n"], state: Any, loss: Any
    ) -> tuple[Any, Any, Bool[Array, ""]]:
        """Parameters, moments, and whether the step was made; of vectors as far as possible: a
        kernel instead of one to each array."""
        vector = _vector(tree)
        result: Any = self.transformation.update(slope, state, vector)
        steps, moments = result
        # Of the steps before they are scaled, which makes them shorter at most.
        after_finite = finite.all_finite(vector + steps)
        sound = jnp.isfinite(jnp.sqrt((slope**2).sum())) & jnp.isfinite(loss) & after_finite
        steps = jnp.where(sound, steps, 0)
        after = jax.tree.map(jnp.add, tree, self._scaled(_tree(steps, tree)))
        return after, finite.kept_unless(sound, moments, state), sound

    def _scaled(self, steps: Any) -> Any:
        return steps if self.scaled is None else self.scaled(steps)

    def packed(self, parameters: Any, state: Any) -> Any:
        """The state for a loop over steps: on a GPU `Packed`, on a CPU as it is.

        What is one array already stays as it is, too: nothing tells its moments from a count.
        """
        one = jax.tree.structure(parameters) == jax.tree.structure(0)
        if platform.compiled_for() == "cpu" or one or not jax.tree.leaves(state):
            return state
        is_of_form = _of_form(parameters)
        parts = jax.tree.map(
            lambda x: _vector(x) if is_of_form(x) else x, state, is_leaf=is_of_form
        )
        return Packed(parts)

    def unpacked(self, parameters: Any, state: Any) -> Any:
        """The state as `init` makes it, of what `packed` gave."""
        if not isinstance(state, Packed):
            return state
        is_of_form = _of_form(parameters)

        def unpack(like: Any, part: Any) -> Any:
            return _tree(part, like) if is_of_form(like) else part

        fresh = jax.eval_shape(self.transformation.init, parameters)
        return jax.tree.map(unpack, fresh, state.state, is_leaf=is_of_form)


def _of_form(parameters: Any) -> Callable[[Any], bool]:
    form = jax.tree.structure(parameters)
    return lambda part: jax.tree.structure(part) == form


def _vector(tree: Any) -> Float[Array, " n"]:
    return jnp.concatenate([x.ravel() for x in jax.tree.leaves(tree)])


def _tree(vector: Float[Array, " n"], like: T) -> T:
    leaves, form = jax.tree.flatten(like)
    starts = [0]
    for leaf in leaves:
        starts.append(starts[-1] + leaf.size)
    # Not `jnp.split`: on a GPU these slices become parts of the kernels that take them.
    parts = [
        jax.lax.slice(vector, (start,), (start + leaf.size,)).reshape(leaf.shape)
        for start, leaf in zip(starts, leaves, strict=False)
    ]
    return jax.tree.unflatten(form, parts)


def norm(tree: Any) -> Float[Array, ""]:
    """The Euclidean norm of all numbers of a tree together, as in clipping by a global norm."""
    if platform.compiled_for() == "cpu":
        return optax.tree.norm(tree)
    return jnp.sqrt((_vector(tree) ** 2).sum())


def moved_towards(slow: T, fast: T, rate: float) -> T:
    """`slow` + `rate` * (`fast` - `slow`): target networks that follow those that are trained."""
    if rate == 1:
        return fast
    new: Any = fast
    old: Any = slow
    after: Any = optax.incremental_update(new, old, rate)
    return after
