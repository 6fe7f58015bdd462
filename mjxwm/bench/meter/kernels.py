"""What a compiled program runs on a GPU: each kernel, its kind, and how often."""

import collections
import math
import re
from collections.abc import Mapping
from typing import NamedTuple

from mjxwm.bench.meter import hlo, pallas

PRODUCT, REDUCTION, ELEMENTWISE = "matrix product", "reduction", "element-wise"
STORE, COPY, FILL, SORT = "store of a step", "copy", "fill", "sort"
PALLAS, LIBRARY = "Pallas", "library"
CALL, WARP, WAIT = "call of Warp", "Warp", "wait of the host"
_FOREIGN = (CALL, WARP, WAIT)

_MOVES = {
    "parameter", "copy", "transpose", "bitcast", "slice", "dynamic-slice", "concatenate",
    "reshape", "pad", "tuple", "constant", "get-tuple-element", "broadcast",
}  # fmt: skip
_FILLS = {"broadcast", "constant", "iota", "parameter", "tuple", "bitcast", "convert"}
_SCALAR = 16
"""Bytes below which an input of a fill counts as a number."""


class Kernel(NamedTuple):
    """A kernel, or a call of a foreign library that runs some."""

    name: str
    """XLA's, without its number."""
    kind: str
    read: int
    """[bytes]."""
    written: int
    """[bytes]."""
    products: tuple[hlo.Product, ...] = ()
    buffers: int = 0
    """Arrays that a call of Warp takes and returns."""
    arrays: pallas.Arrays = ()
    """What a kernel of Pallas reads and writes."""
    work: pallas.Work | None = None
    """What it does, where that is known."""


class Kernels(NamedTuple):
    """Those of a program, each with the number of times that it runs."""

    runs: collections.Counter[Kernel]
    open_loops: int = 0
    """Loops whose number of turns depends on the data: their bodies are counted once."""

    @property
    def count(self) -> int:
        """Kernels of XLA's, copies included; Warp's are not."""
        return sum(n for kernel, n in self.runs.items() if kernel.kind not in _FOREIGN)

    @property
    def moved(self) -> int:
        """Bytes that XLA's kernels read and write."""
        return sum(n * (k.read + k.written) for k, n in self.runs.items() if k.kind not in _FOREIGN)

    @property
    def flops(self) -> int:
        """Operations of the matrix products."""
        return sum(n * sum(p.flops for p in k.products) for k, n in self.runs.items())

    def by_kind(self) -> dict[str, int]:
        """Runs of each kind, most first."""
        kinds: collections.Counter[str] = collections.Counter()
        for kernel, n in self.runs.items():
            kinds[kernel.kind] += n
        return dict(kinds.most_common())


def of(text: str) -> Kernels:
    """The kernels of a program, from the text of its optimised HLO."""
    module = hlo.parse(text)
    return _Reader(module).computation(module.entry)


class _Reader:
    def __init__(self, module: hlo.Module):
        self.module, self.counted = module, {}

    def computation(self, name: str) -> Kernels:
        """Kernels of one run of a computation, the loops in it included."""
        if name not in self.counted:
            runs: collections.Counter[Kernel] = collections.Counter()
            loops = 0
            for instruction in self.module.computations[name].values():
                inner, times = self._instruction(name, instruction)
                for kernel, n in inner.runs.items():
                    runs[kernel] += times * n
                loops += inner.open_loops
            self.counted[name] = Kernels(runs, loops)
        return self.counted[name]

    def _instruction(self, name: str, instruction: hlo.Instruction) -> tuple[Kernels, int]:
        if instruction.op == "while":
            return self._loop(instruction)
        if instruction.op == "conditional":
            # The one with most to do: among thousands of worlds there is nearly always one that
            # needs it.
            inner = [self.computation(branch) for branch in hlo.branches(instruction)]
            most = max(inner, key=lambda kernels: (kernels.count, kernels.moved))
            return _and_waits(most), 1
        called = instruction.called("to_apply") if instruction.op == "call" else None
        if instruction.op == "async-start":
            called = instruction.called("calls")
        if called:
            return self.computation(called), 1
        if hlo.is_free(instruction):
            return Kernels(collections.Counter()), 1
        return Kernels(collections.Counter([self._kernel(name, instruction)])), 1

    def _loop(self, loop: hlo.Instruction) -> tuple[Kernels, int]:
        turns, body = hlo.trips(loop), self.computation(loop.called("body") or "")
        if turns is not None:
            return body, turns
        condition = self.computation(loop.called("condition") or "")
        both = _and_waits(Kernels(body.runs + condition.runs, body.open_loops))
        return both._replace(open_loops=both.open_loops + 1), 1

    def _kernel(self, name: str, instruction: hlo.Instruction) -> Kernel:
        computation = self.module.computations[name]
        read, written = hlo.traffic(self.module, computation, instruction)
        products = tuple(hlo.products(self.module, computation, instruction))
        kind = _library(instruction) if instruction.op == "custom-call" else None
        kind = kind or (PRODUCT if products else self._kind(computation, instruction))
        plain = re.sub(r"[.\d]+$", "", instruction.name)
        if instruction.op == "custom-call":
            plain = _target(instruction)
        buffers = len(instruction.operands) + len(hlo.arrays(instruction.shape))
        kernel = Kernel(plain, kind, read, written, products, buffers if kind == CALL else 0)
        if kind != PALLAS:
            return kernel
        shapes = [computation[o].shape for o in instruction.operands if o in computation]
        arrays = [array for shape in (*shapes, instruction.shape) for array in hlo.arrays(shape)]
        return kernel._replace(arrays=tuple(arrays))

    def _kind(self, computation: hlo.Computation, instruction: hlo.Instruction) -> str:
        body = self.module.computations.get(instruction.called("calls") or "")
        body = body or {instruction.name: instruction}
        ops = {each.op for each in body.values()}
        operands = [computation[o].shape for o in instruction.operands if o in computation]
        if "sort" in ops:
            return SORT
        if "dynamic-update-slice" in ops:
            return STORE
        if hlo.any_inside(self.module, body, lambda each: each.op in ("reduce", "reduce-window")):
            return REDUCTION
        if ops <= _FILLS and sum(map(hlo.size, operands)) <= _SCALAR:
            return FILL
        return COPY if ops <= _MOVES or instruction.op.startswith("copy") else ELEMENTWISE


def _and_waits(kernels: Kernels) -> Kernels:
    """The host reads a value from the GPU before it goes on."""
    waits = collections.Counter([Kernel(WAIT, WAIT, 0, 0)])
    return kernels._replace(runs=kernels.runs + waits)


_SIDE = 64
"""Rows and columns that a block of Pallas is taken to work out."""


def with_pallas(kernels: Kernels, works: Mapping[pallas.Arrays, pallas.Work]) -> Kernels:
    """With the products, reads and waits of the kernels of Pallas."""
    runs: collections.Counter[Kernel] = collections.Counter()
    for kernel, n in kernels.runs.items():
        work = works.get(kernel.arrays) if kernel.kind == PALLAS else None
        runs[kernel if work is None else _of_pallas(kernel, work)] += n
    return kernels._replace(runs=runs)


def _of_pallas(kernel: Kernel, work: pallas.Work) -> Kernel:
    halves = any(kind == "bf16" for kind, _ in kernel.arrays)
    outputs = (work.blocks, _SIDE, _SIDE)
    depth = -(-work.flops // (2 * math.prod(outputs)))
    product = hlo.Product(work.flops, "bf16" if halves else "tf32", outputs, depth)
    return kernel._replace(products=(product,), work=work)


_SHARE = 2 / 15
"""Share of the worlds' buffers that one of Warp's kernels moves, on average."""


def with_warp(kernels: Kernels, started: int, held: int) -> Kernels:
    """With the kernels that Warp starts within its calls, of which HLO knows nothing.

    Args:
        kernels: those of the program.
        started: kernels of Warp in a run of it.
        held: bytes of the worlds' buffers.
    """
    launch = Kernel("MuJoCo Warp", WARP, round(_SHARE * held), 0)
    return kernels._replace(runs=kernels.runs + collections.Counter({launch: started}))


def _target(instruction: hlo.Instruction) -> str:
    target = re.search(r'custom_call_target="([^"]*)"', instruction.attributes)
    return target.group(1) if target else ""


_OF_XLA = ("__", "cu", "xla", "Sharding", "TopK", "AllocateBuffer", "annotate", "lapack")
"""How the targets of XLA's and JAX's own calls begin; others are Warp's."""


def _library(instruction: hlo.Instruction) -> str | None:
    target = _target(instruction)
    if "triton" in target or "mosaic" in target:
        return PALLAS
    if target.startswith(("__cublas", "__cudnn")):
        return PRODUCT
    return LIBRARY if target.startswith(_OF_XLA) else CALL
