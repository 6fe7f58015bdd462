"""Floating-point operations of a function's matrix products, counted in its jaxpr.

XLA's own cost analysis counts the body of a loop once; here it counts as often as it runs.
"""

import math
from collections.abc import Callable
from typing import Any

import jax


def count(function: Callable, *args: Any) -> int:
    """Operations of the matrix products: two per multiplication and addition.

    Raises:
        ValueError: a product lies in a loop whose length is not known.
    """
    return of_jaxpr(jax.make_jaxpr(function)(*args).jaxpr)


def of_jaxpr(jaxpr: Any) -> int:
    """`count` of a function that has been traced."""
    return sum(map(_equation, jaxpr.eqns))


def _equation(equation: Any) -> int:
    name, params = equation.primitive.name, equation.params
    if name == "dot_general":
        (contracted, _), _ = params["dimension_numbers"]
        left = equation.invars[0].aval.shape
        summed = math.prod(left[axis] for axis in contracted)
        return 2 * summed * math.prod(equation.outvars[0].aval.shape)
    if name == "cond":
        return max(of_jaxpr(branch.jaxpr) for branch in params["branches"])
    if name == "while":
        loop = (params["body_jaxpr"].jaxpr, params["cond_jaxpr"].jaxpr)
        inside = sum(of_jaxpr(jaxpr) for jaxpr in loop)
        if inside:
            raise ValueError("a matrix product lies in a loop whose length is not known")
        return 0
    times = params["length"] if name == "scan" else 1
    if name == "pallas_call":  # once for each block of its grid
        times = math.prod(params["grid_mapping"].grid)
    return times * sum(of_jaxpr(jaxpr) for jaxpr in _inner(params))


def _inner(params: dict[str, Any]) -> list[Any]:
    opened = [getattr(value, "jaxpr", value) for value in params.values()]
    return [value for value in opened if hasattr(value, "eqns")]
