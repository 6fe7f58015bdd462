"""Memory that a run needs against memory that is free, checked before anything starts."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax

_SPARE = 0.9
"""Share of the free memory that a state may take: programs need some for themselves."""


def size(tree: Any) -> int:
    """Bytes of all arrays in a tree, or of the arrays that its `ShapeDtypeStruct`s describe."""
    return sum(_bytes(leaf) for leaf in jax.tree.leaves(tree))


def _bytes(leaf: Any) -> int:
    # Random keys have a type of their own, which knows its size, too.
    return math.prod(leaf.shape) * leaf.dtype.itemsize


def available(device: Any) -> int | None:
    """Bytes that are free on a device; None if the platform does not report them.

    A GPU's are what JAX may take of it. A CPU's are what the system has free, within the limit of
    the control group, as containers have one.
    """
    if device.platform != "cpu":
        stats = device.memory_stats() or {}
        limit = stats.get("bytes_limit")
        return None if limit is None else limit - stats.get("bytes_in_use", 0)
    return host()


def host() -> int | None:
    """Bytes that are free in the memory of this machine; None if it does not say."""
    bounds = [free for free in (_system(), _group()) if free is not None]
    return min(bounds, default=None)


def _system() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    values = [line.split()[1] for line in lines if line.startswith("MemAvailable:")]
    return 1024 * int(values[0]) if values else None


def _group() -> int | None:
    group = Path("/sys/fs/cgroup")
    try:
        limit, used = (
            (group / f"memory.{n}").read_text(encoding="utf-8").strip() for n in ("max", "current")
        )
        stat = dict(
            line.split()
            for line in (group / "memory.stat").read_text(encoding="utf-8").splitlines()
        )
    except OSError:
        return None
    # Files that are kept in memory count as used, but make room when it is needed.
    cached = int(stat.get("inactive_file", 0)) + int(stat.get("active_file", 0))
    return None if limit == "max" else int(limit) - int(used) + cached


def too_many(worlds: int, whole: int, half: Callable[[], int], among: Sequence[Any]) -> str:
    """The error message if a state does not fit on its devices; empty if it does.

    Args:
        worlds: number of worlds of the run.
        whole: bytes of its state.
        half: computes the bytes with half as many worlds; called only if it does not fit.
        among: the run's devices. CPU devices share their machine's memory, others have their own.
    """
    mine = [device for device in among if device.process_index == jax.process_index()]
    free = available(mine[0])  # of other processes' devices nothing can be asked
    if free is None:
        return ""
    apart = len(among) if mine[0].platform != "cpu" else len(among) // len(mine)
    free = int(_SPARE * free) * apart
    if whole <= free:
        return ""
    each = max(1e-9, 2 * (whole - half()) / max(worlds, 1))
    fits = int((free - (whole - each * worlds)) / each)
    largest = f"about {fits:,} worlds fit" if fits > 0 else "not even one world fits"
    return (
        f"worlds={worlds:,}: the state takes about {whole / 1e9:.1f} GB, but {free / 1e9:.1f} GB "
        f"can be had on {mine[0].device_kind}. {largest}; or lower `capacity`, if it is the "
        "replay that is large"
    )


_MANY_EPISODES = 10_000
"""With fewer episodes their memory is not checked, since that takes a trace of the reset."""


def too_many_episodes(episodes: int, worlds: Callable[[int], Any]) -> str:
    """Why an evaluation, with a world for each episode, does not fit; empty where it does.

    Args:
        episodes: number of episodes, each in a world of its own.
        worlds: number of worlds -> something whose `reset` makes them from a key.
    """
    if episodes < _MANY_EPISODES:
        return ""
    whole = size(jax.eval_shape(worlds(episodes).reset, jax.random.key(0)))
    free = available(jax.devices()[0])
    if free is None or whole <= free:
        return ""
    return (
        f"episodes={episodes:,}: their worlds take about {whole / 1e9:.1f} GB, but "
        f"{free / 1e9:.1f} GB can be had; evaluate fewer episodes"
    )
