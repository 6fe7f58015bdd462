"""Programs compiled for an NVIDIA GPU, on any machine.

XLA needs a description of the GPU and NVIDIA's compilers, but no GPU. It cannot try kernels out
then: matrix products, for instance, get a tiling by rule instead of the fastest of several.
"""

import functools
import importlib.metadata
import importlib.util
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple
from unittest import mock

import jax
from jax._src import hardware_utils, xla_bridge
from jax.experimental import topologies
from jax.experimental.compilation_cache import compilation_cache
from jax.sharding import AbstractDevice, AbstractMesh, SingleDeviceSharding, use_abstract_mesh

from mjxwm import ConfigError
from mjxwm.bench.meter.gpus import Gpu
from mjxwm.maths import platform

_PLUGINS = ("jax-cuda13-plugin", "jax-cuda13-pjrt")
_COMPILERS = ("nvidia-cuda-nvcc", "nvidia-nvvm")
_INSTALL = "`pip install 'mjxwm[gpu-compile]'` installs what fits"


class Compiled(NamedTuple):
    """A program for a GPU."""

    text: str
    """Its optimised HLO: which kernels there are, and in which order they run."""
    memory: Any
    """XLA's `CompiledMemoryStats`."""
    seconds: float
    """From tracing to machine code, no cache."""


def check_installed() -> None:
    """Refuses where the extra `gpu-compile` is missing, or made for another version of JAX.

    Raises:
        ConfigError: the message says what to install.
    """
    missing = [name for name in (*_PLUGINS, *_COMPILERS) if _version(name) is None]
    if missing:
        raise ConfigError(f"compiling for a GPU needs {', '.join(missing)}: {_INSTALL}")
    for name in _PLUGINS:
        if _version(name) != jax.__version__:
            raise ConfigError(
                f"{name} is of version {_version(name)}, but jax of {jax.__version__}, and they "
                f"work together only where these are equal: {_INSTALL}"
            )


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def leave_out_gpus_that_are_not_here() -> None:
    """Where no GPU is visible, JAX must not look for one: its plugin would refuse to be loaded.

    To be called before anything is computed; then it has no effect any more.
    """
    if not hardware_utils.has_visible_nvidia_gpu() and not xla_bridge.backends_are_initialized():
        jax.config.update("jax_platforms", "cpu")


@functools.cache
def device(gpu: str) -> Any:
    """A device that programs can be compiled for, but not run on.

    Args:
        gpu: XLA's description of it, `Gpu.description`.

    Raises:
        ConfigError: JAX was started in a way that keeps its plugin from being loaded.
    """
    jax.devices()  # loads the plugins
    try:
        topology = topologies.get_topology_desc(
            platform="cuda", topology_name="gpu", topology="1x1x1", target_config=gpu
        )
    except NotImplementedError as error:
        raise ConfigError(
            "JAX has not loaded its CUDA plugin; start again with JAX_PLATFORMS=cpu"
        ) from error
    return topology.devices[0]


@contextmanager
def _gpus_are_cuda() -> Iterator[None]:
    """JAX asks its backends which kind of GPU "gpu" stands for; here there may be none."""
    original = xla_bridge.canonicalize_platform

    def canonical(name: str) -> str:
        return "cuda" if name == "gpu" else original(name)

    with mock.patch.object(xla_bridge, "canonicalize_platform", canonical):
        yield


def _where(gpu: Gpu) -> Any:
    """Says to Pallas of JAX 0.11 and later for which GPU its kernels are."""
    device = AbstractDevice(gpu.name, gpu.cores, platform="gpu")
    return use_abstract_mesh(AbstractMesh((1,), ("gpu",), abstract_device=device))


def compile_for(gpu: Gpu, function: Callable, *args: Any, donate: bool = True) -> Compiled:
    """`function` as a program for one GPU.

    Args:
        gpu: the GPU.
        function: what is compiled.
        *args: arrays or `ShapeDtypeStruct`s, in trees.
        donate: whether the program may write its results into its first argument.
    """
    check_installed()
    place = SingleDeviceSharding(device(gpu.description))
    abstract = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=place), args)
    donated = 0 if donate else ()
    with no_cache(), platform.compiling_for_gpu(gpu.capability), _gpus_are_cuda():
        program = jax.jit(function, donate_argnums=donated, out_shardings=place)
        start = time.perf_counter()
        with _where(gpu):
            lowered = program.lower(*abstract)
        tracing = time.perf_counter() - start
        done, seconds = _machine_code(lowered)
    return Compiled(done.as_text() or "", done.memory_analysis(), tracing + seconds)


def _machine_code(lowered: Any) -> tuple[Any, float]:
    """The compiled program, and the seconds that it took."""
    options: dict[str, Any] = {"xla_gpu_autotune_level": 0}
    start = time.perf_counter()
    try:
        return lowered.compile(compiler_options=options), time.perf_counter() - start
    except jax.errors.JaxRuntimeError as error:
        if "output tile sizes" not in str(error):
            raise
    # Without a GPU to try them on, XLA finds no tiling of some small products for the kernels that
    # it writes itself; then cuBLAS multiplies.
    start = time.perf_counter()
    options["xla_gpu_enable_triton_gemm"] = False
    return lowered.compile(compiler_options=options), time.perf_counter() - start


@contextmanager
def no_cache() -> Iterator[None]:
    """Compile times are the compiler's, not those of a disk."""
    before = jax.config.values["jax_enable_compilation_cache"]
    jax.config.update("jax_enable_compilation_cache", False)
    # Whether there is a cache is looked up once, and remembered until this.
    compilation_cache.reset_cache()
    try:
        yield
    finally:
        jax.config.update("jax_enable_compilation_cache", before)
        compilation_cache.reset_cache()
