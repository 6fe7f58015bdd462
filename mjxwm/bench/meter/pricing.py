"""Time of a program's kernels on a GPU, estimated from what each of them moves and multiplies.

A kernel takes the time to start it, and then that of its traffic or of its matrix products,
whichever is longer. This leaves out what the text of a program cannot say: which tiling a GPU would
choose after trying several, what is still in its cache from the kernel before (then traffic costs
less), how well the reads of a kernel coalesce, and gaps where the host is slower than the GPU. The
constants are of one H100, see docs/performance.md; other GPUs are scaled by their data sheets.

The blocks of a kernel of Pallas read the same weights, each of them again and again: that traffic
is the cache's, and counts as well. Its constants are not measured.
"""

import math
from collections.abc import Iterable

from mjxwm.bench.meter import pallas
from mjxwm.bench.meter.gpus import Gpu
from mjxwm.bench.meter.hlo import Product
from mjxwm.bench.meter.kernels import CALL, WAIT, Kernel, Kernels

LAUNCH = 2.2e-6
"""Seconds from a small kernel to the next within a CUDA graph."""
_FIRST_TILE = 4.5e-6
"""Seconds more that a small matrix product takes until its inputs are on the multiprocessor."""
_WAIT = 15e-6
"""Seconds until the host has read a number and goes on."""
_CALL, _BUFFER = 50e-6, 0.6e-6
"""Seconds of a call of Warp in which the GPU has nothing to do: in any case, and for each array."""
_OF_BANDWIDTH = 0.78
"""Share of the data sheet's bandwidth that kernels reach."""
_OF_PEAK = 0.6
"""Share of the data sheet's rate that a large matrix product reaches."""
_TILE = 64
"""Rows and columns of the result that one multiprocessor works out at a time."""
_PORT = 64
"""Bytes that a multiprocessor takes from the cache in a clock cycle at most."""
_OF_PORT, _OF_PORTS = 0.6, 0.33
"""Share of that which a kernel of Pallas reaches: one multiprocessor, and all of them together."""
_STEP = 1.2e-6
"""Seconds until a block has read the first of what its threads have just written."""


def seconds(gpu: Gpu, kernels: Kernels) -> float:
    """Estimated time of a program [s]."""
    return sum(n * of_kernel(gpu, kernel) for kernel, n in kernels.runs.items())


def of_kernel(gpu: Gpu, kernel: Kernel) -> float:
    """Estimated time of a kernel [s]."""
    if kernel.kind == WAIT:
        return _WAIT
    if kernel.kind == CALL:
        return _CALL + kernel.buffers * _BUFFER
    moving = (kernel.read + kernel.written) / (_OF_BANDWIDTH * gpu.bandwidth)
    longest = max(moving, multiplying(gpu, kernel.products))
    return LAUNCH + (longest if kernel.work is None else max(longest, _loading(gpu, kernel.work)))


def _loading(gpu: Gpu, work: pallas.Work) -> float:
    """Time until the blocks of a kernel have read what they read from the cache [s].

    Blocks that read the same weights each read them all, for each of their products anew.
    """
    at_once = _PORT * gpu.clock * 1e9
    rounds = math.ceil(work.blocks / gpu.cores)
    one = _OF_PORT * at_once
    together = _OF_PORTS * at_once * gpu.cores
    reading = max(rounds * work.loaded / work.blocks / one, work.loaded / together)
    return reading + rounds * work.waits * _STEP


def multiplying(gpu: Gpu, products: Iterable[Product]) -> float:
    """Time of matrix products in which only as many multiprocessors work as there are tiles [s]."""
    return sum(_product(gpu, product) for product in products)


def _product(gpu: Gpu, product: Product) -> float:
    if not product.flops:
        return 0.0
    batch, rows, columns = product.outputs
    tiles = batch * math.ceil(rows / _TILE) * math.ceil(columns / _TILE)
    # A whole number of rounds, each with all multiprocessors at once.
    rounds = math.ceil(tiles / gpu.cores)
    rate = _OF_PEAK * gpu.flops.get(product.kind, gpu.flops["f32"]) / gpu.cores
    return _FIRST_TILE + rounds * 2 * product.depth * _TILE**2 / rate
