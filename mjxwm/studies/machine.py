"""What the processes of a study share: cores, and GPUs where there are some."""

import importlib.util
import os
import subprocess
from typing import NamedTuple

_CORES = 2
"""Cores of a process by default: what the presets for a CPU are made for."""


class Slot(NamedTuple):
    """The part of the machine that one process has."""

    cores: tuple[int, ...]
    """Numbers of its cores."""
    environ: dict[str, str]
    """Variables of its environment."""


def slots(jobs: int | None) -> list[Slot]:
    """A part of the machine for each of the processes that run at once.

    Each has cores of its own, and as many as each other, so that equal times are equal conditions.

    Args:
        jobs: how many; by default one for each GPU, or one for every two cores.
    """
    cores, gpus = _cores(), _gpus()
    jobs = jobs or len(gpus) or max(1, len(cores) // _CORES)
    each = max(1, len(cores) // jobs)
    parts = [tuple(cores[(i * each + k) % len(cores)] for k in range(each)) for i in range(jobs)]
    return [Slot(part, _environ(i, jobs, gpus)) for i, part in enumerate(parts)]


def describe(places: list[Slot]) -> str:
    """The parts, in words."""
    each = len(places[0].cores)
    cores = f"{each} core{'s' * (each > 1)}"
    gpu = " and a GPU" if "CUDA_VISIBLE_DEVICES" in places[0].environ else ""
    return f"{len(places)} at once on {cores}{gpu} each" if len(places) > 1 else f"on {cores}{gpu}"


def _cores() -> list[int]:
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def _gpus() -> list[str]:
    """Numbers of the GPUs that JAX would use; it is not loaded, as it would take their memory."""
    platforms = os.environ.get("JAX_PLATFORMS", "")
    plugin = any(importlib.util.find_spec(f"jax_cuda{version}_plugin") for version in (12, 13))
    if not plugin or (platforms and not {"cuda", "gpu"} & set(platforms.split(","))):
        return []
    if (chosen := os.environ.get("CUDA_VISIBLE_DEVICES")) is not None:
        return [number for number in chosen.split(",") if number]
    try:
        listed = subprocess.run(
            ["nvidia-smi", "-L"], capture_output=True, text=True, encoding="utf-8", check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return []
    return [str(i) for i in range(len(listed.stdout.splitlines()))]


def _environ(index: int, jobs: int, gpus: list[str]) -> dict[str, str]:
    if not gpus:
        return {}
    together = -(-jobs // len(gpus))
    environ = {"CUDA_VISIBLE_DEVICES": gpus[index % len(gpus)]}
    if together > 1:
        share = os.environ.get("XLA_PYTHON_CLIENT_MEM_FRACTION", f"{0.9 / together:.2f}")
        environ["XLA_PYTHON_CLIENT_MEM_FRACTION"] = share
    return environ
