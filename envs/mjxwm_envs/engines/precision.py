"""Physics in full float32, whatever JAX's default precision of products is.

On NVIDIA GPUs JAX multiplies float32 matrices in TF32, with 10 bits: for a network that is enough,
while a physics step, its solver and their gradients lose three digits. The default is set where a
product is traced, so that what encloses a step also decides over its backward pass: products that
differentiation makes of it inherit its precision. A rule of derivatives (`jax.custom_jvp`) may be
traced later and elsewhere, and needs the same.
"""

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import jax
from jax.extend.core import ClosedJaxpr, Jaxpr, jaxpr_as_fun

P = ParamSpec("P")
T = TypeVar("T")
_FULL = (jax.lax.Precision.HIGHEST, jax.lax.Precision.HIGHEST)


def in_full(function: Callable[P, T]) -> Callable[P, T]:
    """`function`, whose products are in full precision where they do not ask for another."""

    @functools.wraps(function)
    def inside(*args: P.args, **kwargs: P.kwargs) -> T:
        with jax.default_matmul_precision("highest"):
            return function(*args, **kwargs)

    return inside


def all_in_full(function: Callable[P, T]) -> Callable[P, T]:
    """`function`, with products in full precision that ask for another, too.

    It is traced once more than else. For functions of others that cannot be changed: MJX's search
    for the axis that separates two boxes asks for a precision which is TF32 on a GPU.
    """

    @functools.wraps(function)
    def inside(*args: P.args, **kwargs: P.kwargs) -> T:
        traced, shape = jax.make_jaxpr(function, return_shape=True)(*args, **kwargs)
        leaves = jaxpr_as_fun(_raised(traced))(*jax.tree.leaves((args, kwargs)))
        return jax.tree.unflatten(jax.tree.structure(shape), leaves)

    return inside


def _raised(part: Any) -> Any:
    """A program, or a parameter of one of its operations, with the products in it in full."""
    if isinstance(part, ClosedJaxpr):
        return part.replace(jaxpr=_raised(part.jaxpr))
    if isinstance(part, Jaxpr):
        return part.replace(eqns=[_raised_operation(operation) for operation in part.eqns])
    if isinstance(part, tuple | list):
        return type(part)(map(_raised, part)) if any(map(_is_program, part)) else part
    return part


def _raised_operation(operation: Any) -> Any:
    params = {name: _raised(value) for name, value in operation.params.items()}
    if operation.primitive is jax.lax.dot_general_p:
        params["precision"] = _FULL
    return operation.replace(params=params)


def _is_program(part: Any) -> bool:
    return isinstance(part, ClosedJaxpr | Jaxpr)
