"""Compiles the kernels of a task for a GPU that need not be here: MuJoCo Warp's share of the start.

Warp compiles a module of kernels when it first starts one of them, which takes minutes for a task,
and keeps the results in a folder (`WARP_CACHE_PATH`, else in the user's cache). It can compile for
a GPU on any machine, but has to know what that GPU will run: MuJoCo Warp's functions are called as
on a GPU, and what would start a kernel notes its module and its block size instead.
"""

import contextlib
import math
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, NamedTuple
from unittest import mock

import warp

from mjxwm_envs.engines import warp_calls
from mjxwm_envs.engines.warp import Warp

_DEFAULT_BLOCK = 256
"""Threads of a block where a launch names no number."""


class Variant(NamedTuple):
    """A module of kernels as it is compiled: for one number of threads per block."""

    module: Any
    block: int

    def compile(self, arch: int) -> bool:
        """Puts it into Warp's cache, for GPUs of this architecture, such as 90 for an H100.

        Returns:
            Whether it was compiled now; False if it had been before.
        """
        options = self.module.resolve_options(warp.config, block_dim=self.block)
        return self.module._compile(output_arch=arch, use_ptx=False, options=options)


def variants(engine: Warp, varying: tuple[str, ...] = ()) -> list[Variant]:
    """What a GPU loads to step and to reset worlds of this engine.

    Args:
        engine: with buffers for the number of worlds that will run, if fields vary between
            them; else for any number.
        varying: fields of the model of which each world has its own value.
    """
    worlds = engine.buffers(varying)
    with _recorded() as started:
        for work in engine.works:
            worlds.run(work)
    # The module of the calls themselves has no kernels, but is loaded too.
    started[warp.get_module(warp_calls.__name__), _DEFAULT_BLOCK] = None
    return [Variant(*key) for key in started]


@contextlib.contextmanager
def _recorded() -> Iterator[dict[Any, None]]:
    """Notes modules and block sizes of the kernels that a GPU would start; none is started here."""
    started: dict[Any, None] = {}

    def launch(kernel: Any, dim: Any, *args: Any, block_dim: int | None = None, **kw: Any) -> None:
        if math.prod(dim if hasattr(dim, "__len__") else (dim,)):
            started[kernel.module, block_dim or _DEFAULT_BLOCK] = None

    def suggested(kernel: Any, device: Any = None) -> tuple[int, int]:
        # Warp asks the compiled kernel.
        started[kernel.module, kernel.module.options["block_dim"]] = None
        return _DEFAULT_BLOCK, gpu.sm_count

    gpu = SimpleNamespace(is_cuda=True, is_cpu=False, sm_count=132)
    replaced = {
        "launch": launch,
        "launch_tiled": launch,
        "get_suggested_block_size": suggested,
        "get_device": lambda *args: gpu,
        "capture_while": lambda condition, while_body, **kw: while_body(**kw),
        "capture_if": lambda condition, on_true, **kw: on_true(**kw),
    }
    with contextlib.ExitStack() as stack:
        for name, function in replaced.items():
            stack.enter_context(mock.patch.object(warp, name, function))
        yield started
