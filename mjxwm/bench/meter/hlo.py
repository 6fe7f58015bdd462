"""The kernels of a program, read from XLA's optimised HLO for a GPU.

In that text every instruction of the entry computation, and of the bodies of its loops, is a kernel
or free; fusions are computations of their own, from which follows what they really read and write.
"""

import functools
import math
import re
from collections.abc import Callable
from typing import NamedTuple

_BYTES = {"pred": 1, "bf16": 2, "f16": 2}
_FREE = {
    "parameter", "constant", "tuple", "get-tuple-element", "bitcast", "after-all", "partition-id",
    "replica-id", "opt-barrier", "optimization-barrier", "async-done", "async-update", "copy-done",
    "add-dependency",
}  # fmt: skip


class Instruction(NamedTuple):
    """A line of HLO."""

    name: str
    shape: str
    op: str
    operands: tuple[str, ...]
    inside: str
    """What stands between the parentheses: for a parameter, its number."""
    attributes: str
    root: bool

    def called(self, attribute: str) -> str | None:
        """The computation that an attribute names, such as body or calls."""
        match = re.search(rf"\b{attribute}=%?([\w.\-]+)", self.attributes)
        return match.group(1) if match else None


Computation = dict[str, Instruction]


class Module(NamedTuple):
    """A program."""

    computations: dict[str, Computation]
    entry: str


def parse(text: str) -> Module:
    """Reads the text that `compiled.as_text()` returns."""
    computations: dict[str, Computation] = {}
    entry, current = "", None
    for line in text.splitlines():
        if line.startswith("  ") and current is not None:
            instruction = _instruction(line.strip())
            if instruction:
                current[instruction.name] = instruction
        elif head := re.match(r"(ENTRY )?%?([\w.\-]+) \(.*\{\s*$", line):
            current = computations[head.group(2)] = {}
            entry = head.group(2) if head.group(1) else entry
        else:
            current = None
    return Module(computations, entry)


def _instruction(line: str) -> Instruction | None:
    head = re.match(r"(ROOT )?%?([\w.\-]+) = ", line)
    if not head:
        return None
    rest = line[head.end() :]
    end = _closing(rest, 0) if rest.startswith("(") else rest.find(" ")
    shape, rest = rest[:end], rest[end:].lstrip()
    opening = rest.find("(")
    if opening < 0:
        return None
    closing = _closing(rest, opening)
    inside = rest[opening + 1 : closing - 1]
    operands = () if rest.startswith("constant") else tuple(re.findall(r"%([\w.\-]+)", inside))
    root = bool(head.group(1))
    return Instruction(head.group(2), shape, rest[:opening], operands, inside, rest[closing:], root)


def _closing(text: str, opening: int) -> int:
    """The index after the parenthesis that closes the one at `opening`."""
    depth = 0
    for match in re.finditer(r"[()]", text[opening:]):
        depth += 1 if match.group() == "(" else -1
        if not depth:
            return opening + match.end()
    return len(text)


def arrays(shape: str) -> list[tuple[str, tuple[int, ...]]]:
    """(type, dimensions) of the arrays of a shape, one, or several of a tuple."""
    return [
        (kind, tuple(int(n) for n in dims.replace("<=", "").split(",") if n))
        for kind, dims in re.findall(r"\b([a-z]+\d*\w*)\[([\d,<=]*)\]", shape)
    ]


@functools.lru_cache(100_000)
def size(shape: str) -> int:
    """Bytes of a shape."""
    return int(sum(math.prod(dims) * _width(kind) for kind, dims in arrays(shape)))


def _width(kind: str) -> float:
    bits = re.match(r"[a-z]+(\d+)", kind)
    return _BYTES.get(kind) or (int(bits.group(1)) / 8 if bits else 0)


class Traffic(NamedTuple):
    """What a kernel moves [bytes]."""

    read: int
    written: int


def traffic(module: Module, computation: Computation, instruction: Instruction) -> Traffic:
    """What an instruction reads of its operands and writes of its result."""
    shapes = [computation[name].shape for name in instruction.operands if name in computation]
    sizes, written = [size(shape) for shape in shapes], size(instruction.shape)
    body = module.computations.get(instruction.called("calls") or "")
    if instruction.op in ("fusion", "async-start") and body:
        return _of_fusion(body, sizes, written)
    if instruction.op == "dynamic-update-slice":
        return Traffic(sizes[1], sizes[1])
    if instruction.op in ("dynamic-slice", "slice", "gather"):
        return Traffic(written + sum(sizes[1:]), written)
    return Traffic(sum(sizes), written)


def _of_fusion(body: Computation, sizes: list[int], written: int) -> Traffic:
    """A fusion reads an array in parts where only parts of it are used, and updates in place."""
    read, users = 0, _users(body)
    for instruction in body.values():
        if instruction.op == "parameter":
            whole = sizes[int(instruction.inside)] if int(instruction.inside) < len(sizes) else 0
            read += min(whole, _used(body, users, instruction.name))
        if instruction.op == "dynamic-update-slice" and _is_result(users, instruction):
            update = body.get(instruction.operands[1])
            written -= size(instruction.shape) - (size(update.shape) if update else 0)
    return Traffic(read, max(written, 0))


_Users = dict[str, list[tuple[Instruction, int]]]


def _users(body: Computation) -> _Users:
    users: _Users = {}
    for instruction in body.values():
        for place, name in enumerate(instruction.operands):
            users.setdefault(name, []).append((instruction, place))
    return users


def _is_result(users: _Users, instruction: Instruction) -> bool:
    onwards = [user for user, _ in users.get(instruction.name, [])]
    return instruction.root or all(
        user.op in ("tuple", "bitcast") and (user.root or _is_result(users, user))
        for user in onwards
    )


def _used(body: Computation, users: _Users, name: str) -> int:
    """Bytes that are read of a value: all, but where only slices of it are, or it is updated."""
    total = 0
    for user, place in users.get(name, []):
        if user.op in ("dynamic-slice", "slice", "gather") and place == 0:
            total += size(user.shape)
        elif user.op == "bitcast":
            total += _used(body, users, user.name)
        elif not (user.op == "dynamic-update-slice" and place == 0):
            return size(body[name].shape)
    return total


class Product(NamedTuple):
    """A matrix product."""

    flops: int
    """Two per multiplication and addition."""
    kind: str
    """Type of the inputs; tf32 for float32 without a higher precision."""
    outputs: tuple[int, int, int]
    """Batch, rows and columns of the result."""
    depth: int
    """Terms of each of its sums."""


def products(module: Module, computation: Computation, instruction: Instruction) -> list[Product]:
    """The matrix products in an instruction: a product, a fusion around some, or a library call."""
    if instruction.op == "fusion":
        body = module.computations.get(instruction.called("calls") or "", {})
        inner = [products(module, body, each) for each in body.values()]
        return [product for several in inner for product in several]
    library = 'custom_call_target="__cublas' in instruction.attributes
    if instruction.op != "dot" and not library:
        return []
    left = computation.get(instruction.operands[0])
    if left is None:
        return []
    (kind, dims), attributes = arrays(left.shape)[0], instruction.attributes
    contracted = _numbers(attributes, "lhs_contracting_dim")
    batched = _numbers(attributes, "lhs_batch_dim")
    depth = math.prod(dims[axis] for axis in contracted)
    batch = math.prod(dims[axis] for axis in batched)
    out = math.prod(arrays(instruction.shape)[0][1])
    rows = math.prod(dims) // max(1, depth * batch)
    exact = re.search(r'operand_precision[=":{[]+(?:highest|high)\b', attributes, re.IGNORECASE)
    precise = "f32" if exact else "tf32"
    return [
        Product(
            2 * out * depth,
            precise if kind == "f32" else kind,
            (batch, rows, out // max(1, rows * batch)),
            depth,
        )
    ]


def _numbers(attributes: str, name: str) -> list[int]:
    """Axes of an attribute: `name={1,2}`, or `"name":["1","2"]` of a library's call."""
    match = re.search(rf'{name}\w*"?[=:][{{\[]([\d,"]*)[}}\]]', attributes)
    return [int(n) for n in re.findall(r"\d+", match.group(1))] if match else []


def is_free(instruction: Instruction) -> bool:
    """Whether it runs no kernel: names, views of memory, empty arrays."""
    return instruction.op in _FREE or (
        instruction.op != "custom-call"
        and instruction.op != "while"
        and not size(instruction.shape)
    )


def trips(loop: Instruction) -> int | None:
    """How often a loop's body runs; None if that depends on the data."""
    match = re.search(r'known_trip_count"?[:=]\{"?n"?:"?(\d+)', loop.attributes)
    return int(match.group(1)) if match else None


def branches(conditional: Instruction) -> list[str]:
    """The computations that a conditional chooses from."""
    listed = re.search(r"branch_computations=\{([^}]*)\}", conditional.attributes)
    if listed:
        return re.findall(r"%?([\w.\-]+)", listed.group(1))
    both = (conditional.called("true_computation"), conditional.called("false_computation"))
    return [name for name in both if name]


def any_inside(
    module: Module, computation: Computation, test: Callable[[Instruction], bool]
) -> bool:
    """Whether any instruction of a fusion's computation, or of fusions in it, passes a test."""
    for instruction in computation.values():
        inner = module.computations.get(instruction.called("calls") or "", {})
        if test(instruction) or (inner and any_inside(module, inner, test)):
            return True
    return False
