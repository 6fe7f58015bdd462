"""`mjxwm doctor --warm PRESET`: Warp's kernels of a preset, compiled before the first run."""

import os
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
from mjxwm_envs import engines
from mjxwm_envs.env import as_env

from mjxwm import ConfigError
from mjxwm.runs import build, presets
from mjxwm.runs.config import Config, check


def warm(preset: str, arch: int | None) -> dict[str, Any]:
    """Compiles what a GPU will load, on all cores, and says so; what was compiled before stays.

    Args:
        preset: name or file of a preset; its engine does not matter.
        arch: the GPU's architecture, such as 90 for an H100; None for that of the GPU here.

    Returns:
        Numbers of modules, seconds and the folder, ready for JSON.

    Raises:
        ConfigError: no such preset; its task cannot run on Warp; or no GPU here and none named.
    """
    import warp
    from mjxwm_envs.engines import warp_ahead

    arch = _arch(warp, arch)
    modules = _modules(presets.load_preset(Config, preset))
    print(f"compile  {len(modules)} modules of Warp's for sm_{arch}: ", end="", flush=True)
    start = time.monotonic()

    def compiled(module: warp_ahead.Variant) -> bool:
        return module.compile(arch)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        new = sum(pool.map(compiled, modules))
    seconds, folder = time.monotonic() - start, str(warp.config.kernel_cache_dir)
    print(f"{new} in {seconds:.0f} s, {len(modules) - new} were there; in {folder}", flush=True)
    return {"arch": arch, "modules": len(modules), "new": new, "seconds": seconds, "in": folder}


def _arch(warp: Any, arch: int | None) -> int:
    engines.quiet_warp()
    warp.init()
    if arch is None and not warp.is_cuda_available():
        raise ConfigError("--warm: no GPU here; name the one that it is for: --arch 90 for an H100")
    if arch is None:
        arch = int(warp.get_device("cuda:0").arch)
    if arch not in (supported := warp.get_cuda_supported_archs()):
        raise ConfigError(f"--arch {arch} is none that Warp compiles for: {supported}")
    return arch


def _modules(config: Config) -> list[Any]:
    from mjxwm_envs.engines import warp_ahead
    from mjxwm_envs.engines.warp_worlds import varying_fields

    check(config)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "engine='warp' without an NVIDIA GPU")
        env = as_env(build.make_env(config, "warp"))
    fields = jax.eval_shape(env.initial, jax.random.key(0)).fields
    varying = tuple(sorted(varying_fields().intersection(fields)))
    # Kernels are the same for any number of worlds, unless each has a body of its own.
    engine: Any = env.for_worlds(config.algo.worlds).engine if varying else env.engine
    return warp_ahead.variants(engine, varying)
