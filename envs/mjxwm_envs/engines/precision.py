"""Physics in full float32, whatever JAX's default precision of matrix products is.

On NVIDIA GPUs JAX multiplies float32 matrices in TF32, with 10 bits: enough for a network, but a
physics step, its solver and their gradients lose three digits. A product gets the default precision
that holds while it is traced, and the products of its backward pass inherit it. Derivative rules
(`jax.custom_jvp`) may be traced later and outside, so they need the decorator, too.
"""

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import jax
from jax.extend.core import Jaxpr, jaxpr_as_fun

P = ParamSpec("P")
T = TypeVar("T")
_FULL = (jax.lax.Precision.HIGHEST, jax.lax.Precision.HIGHEST)


def in_full(function: Callable[P, T]) -> Callable[P, T]:
    """Decorator: matrix products of `function` are in full precision, unless they set another."""

    @functools.wraps(function)
    def inside(*args: P.args, **kwargs: P.kwargs) -> T:
        with jax.default_matmul_precision("highest"):
            return function(*args, **kwargs)

    return inside


def all_in_full(function: Callable[P, T]) -> Callable[P, T]:
    """Decorator: matrix products of `function` are in full precision, even if they set another.

    It traces the function once more. For functions of other packages: MJX's search for the axis
    that separates two boxes sets a precision that is TF32 on a GPU.
    """

    @functools.wraps(function)
    def inside(*args: P.args, **kwargs: P.kwargs) -> T:
        traced, shape = jax.make_jaxpr(function, return_shape=True)(*args, **kwargs)
        leaves = jaxpr_as_fun(_raised(traced))(*jax.tree.leaves((args, kwargs)))
        return jax.tree.unflatten(jax.tree.structure(shape), leaves)

    return inside


def _raised(part: Any) -> Any:
    """A jaxpr, or a parameter of one of its operations, with all products in full precision."""
    if _is_program(part):
        opened = getattr(part, "jaxpr", part)
        raised = opened.replace(eqns=[_raised_operation(operation) for operation in opened.eqns])
        return raised if opened is part else part.replace(jaxpr=raised)
    if isinstance(part, tuple | list):
        return type(part)(map(_raised, part)) if any(map(_is_program, part)) else part
    return part


def _raised_operation(operation: Any) -> Any:
    params = {name: _raised(value) for name, value in operation.params.items()}
    if operation.primitive is jax.lax.dot_general_p:
        params["precision"] = _FULL
    return operation.replace(params=params)


def _is_program(part: Any) -> bool:
    # jax 0.10 has another class around a jaxpr with its constants, jax 0.12 one class for both.
    return isinstance(getattr(part, "jaxpr", part), Jaxpr)
