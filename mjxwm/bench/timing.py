"""Calls timed in turns, so that what else the machine does falls on all of them alike."""

import importlib.util
import os
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any


def in_turns(
    calls: Mapping[str, Callable[[], Any]], samples: int, seconds: float
) -> dict[str, list[float]]:
    """Seconds per call, by name and turn.

    Args:
        calls: what is timed; each waits for its own result.
        samples: turns.
        seconds: what a turn of one of them takes at least.

    Raises:
        ValueError: no turns.
    """
    if samples < 1:
        raise ValueError(f"samples={samples} is out of range; it must be at least 1")
    for call in calls.values():
        call()  # the first is slower
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(samples):
        for name, call in calls.items():
            times[name].append(_per_call(call, seconds))
    return times


def _per_call(call: Callable[[], Any], seconds: float) -> float:
    begin, done = time.perf_counter(), 0
    while (passed := time.perf_counter() - begin) < seconds or not done:
        call()
        done += 1
    return passed / done


def ratio(slow: list[float], fast: list[float]) -> float:
    """Median over the turns of slow to fast."""
    return statistics.median(s / f for s, f in zip(slow, fast, strict=True))


def torch_peer() -> Any:
    """`mjxwm.bench.torch_peer` on all cores; or None without torch."""
    if importlib.util.find_spec("torch") is None:
        return None
    import torch

    from mjxwm.bench import torch_peer

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    torch.set_num_threads(cores or 1)
    return torch_peer
