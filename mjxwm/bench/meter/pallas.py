"""Work within kernels of Pallas, which the text of a compiled program does not show."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax

from mjxwm.bench import flops


class Work(NamedTuple):
    """What all blocks of a kernel do together."""

    blocks: int
    flops: int
    """Operations of matrix products."""
    loaded: int
    """Bytes read as often as they are, from memory or from a cache."""
    waits: int
    """Times that the threads of a block wait for what they have written, before they read it."""


Arrays = tuple[tuple[str, tuple[int, ...]], ...]
"""(type, dimensions) of what a kernel reads and writes."""

_TYPES = {"float32": "f32", "bfloat16": "bf16", "float16": "f16", "int32": "s32", "uint32": "u32"}


def works(function: Callable, *args: Any) -> dict[Arrays, Work]:
    """The work of each kernel of Pallas in a function, by the kernel's operands and results.

    Raises:
        ValueError: a product lies in a loop whose length is not known.
    """
    works: dict[Arrays, Work] = {}
    _find(jax.make_jaxpr(function)(*args).jaxpr, works)
    return works


def _find(jaxpr: Any, works: dict[Arrays, Work]) -> None:
    for equation in jaxpr.eqns:
        if equation.primitive.name == "pallas_call":
            avals = [x.aval for x in (*equation.invars, *equation.outvars)]
            key = tuple((_TYPES.get(str(x.dtype), str(x.dtype)), tuple(x.shape)) for x in avals)
            works[key] = _work(equation.params)
        else:
            for inner in _inside(equation.params):
                _find(inner, works)


def _work(params: dict[str, Any]) -> Work:
    inside, mapping = params["jaxpr"], params["grid_mapping"]
    blocks = math.prod(mapping.grid)
    shapes = [block.array_aval.shape for block in mapping.block_mappings]
    arrays = dict(zip(inside.invars, shapes, strict=True))
    loaded, waits = _sum(inside, _loaded, arrays), _sum(inside, _is_wait, arrays)
    return Work(blocks, blocks * flops.of_jaxpr(inside), blocks * loaded, waits)


_Shapes = dict[Any, tuple[int, ...]]
"""The shapes of the arrays that a kernel's references are to parts of."""


def _sum(jaxpr: Any, amount: Callable[[Any, _Shapes], int], arrays: _Shapes) -> int:
    """An amount of each equation, added up as often as they run."""
    total = 0
    for equation in jaxpr.eqns:
        times = equation.params["length"] if equation.primitive.name == "scan" else 1
        for inner in _inside(equation.params):
            # The last operands of an equation are those of the function that it applies.
            operands = equation.invars[-len(inner.invars) :] if inner.invars else []
            values = {
                var: arrays[x]
                for var, x in zip(inner.invars, operands, strict=False)
                if not hasattr(x, "val") and x in arrays
            }
            total += times * _sum(inner, amount, values)
        total += amount(equation, arrays)
    return total


def _loaded(equation: Any, arrays: _Shapes) -> int:
    if equation.primitive.name not in ("get", "masked_load"):
        return 0
    (read,) = (x.aval for x in equation.outvars)
    size = read.size * read.dtype.itemsize
    array = arrays.get(equation.invars[0])
    if equation.primitive.name == "masked_load" and array:
        # What is not in the array is masked. Axes of `vmap` come first.
        inner = array[len(array) - len(read.shape) :]
        size *= math.prod(min(1, n / m) for n, m in zip(inner, read.shape, strict=True))
    return round(size)


def _is_wait(equation: Any, arrays: _Shapes) -> int:
    del arrays
    return int(equation.primitive.name == "debug_barrier_p")


def _inside(params: dict[str, Any]) -> list[Any]:
    """The functions that an equation applies, all branches of a conditional among them."""
    values = [x for value in params.values() for x in _several(value)]
    opened = [getattr(value, "jaxpr", value) for value in values]
    return [value for value in opened if hasattr(value, "eqns")]


def _several(value: Any) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, tuple | list) else (value,)
