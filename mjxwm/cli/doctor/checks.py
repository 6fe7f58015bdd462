"""What was found on this machine, and what to do about what is missing."""

import os
import platform
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import mjxwm_envs as envs
import numpy as np
from mjxwm_envs import engines, registry, rendering

from mjxwm.reports import video
from mjxwm.runs import presets, system

OK, WARNING, MISSING, BROKEN = "ok", "warning", "missing", "broken"
_PINS = {"mujoco": "3.17.0", "mujoco-mjx": "3.17.0", "warp-lang": "1.18.0"}
_LEAST = {"jax": (0, 10, 2), "flax": (0, 12, 8), "optax": (0, 2, 8), "numpy": (2, 0)}
_OPTIONAL = {
    "brax": "pip install 'mjxwm[baselines]', for the baselines PPO and SAC",
    "torch": "pip install 'mjxwm[torch]', to read checkpoints and data of other projects",
    "onnx": "pip install 'mjxwm[onnx]', to export policies as ONNX",
    "dm-control": "pip install 'mjxwm[suites]', for the bodies of dm_control's tasks",
    "gymnasium": "pip install 'mjxwm[suites]', for gymnasium's environments and as those",
    "metaworld": "pip install 'mjxwm[suites]', for Meta-World's tasks",
    "playground": "pip install 'mjxwm[playground]', for MuJoCo Playground's environments",
    "myosuite": "pip install 'mjxwm[muscles]', for tasks on muscle-driven bodies",
    "mjviser": "pip install 'mjxwm[viewer]', to look at policies in a browser",
}
_REINSTALL = "reinstall jax and jaxlib together"
_ENGINE_TASK = "cartpole-swingup"


class Finding(NamedTuple):
    """One thing that was looked at; plain values, ready for JSON."""

    group: str
    name: str
    status: str
    """ok, warning (works, but), missing (optional) or broken."""
    detail: str
    remedy: str = ""
    """What to do about it; empty where nothing is to be done."""
    seconds: float | None = None
    """How long the check took, where it ran something [s]."""


def diagnose() -> list[Finding]:
    """Looks at versions, devices, engines, rendering, optional packages, tasks and presets.

    Never raises: what fails is a finding.
    """
    findings = [_python(), *map(_package, [*_PINS, *_LEAST])]
    findings.append(_attempt("devices", "jax", _devices, _REINSTALL))
    findings += [_engine(name) for name in engines.NAMES]
    findings.append(_rendering())
    findings += [_optional(name, remedy) for name, remedy in _OPTIONAL.items()]
    findings.append(_attempt("names", "tasks", _tasks))
    findings.append(_attempt("names", "presets", _presets))
    return findings


def report(findings: list[Finding]) -> str:
    """The findings as text: one line each, and below it what to do."""
    lines, group = [], ""
    for finding in findings:
        if finding.group != group:
            group = finding.group
            lines.append(group)
        took = f" ({finding.seconds:.1f} s)" if finding.seconds is not None else ""
        lines.append(f"  {finding.status:8}{finding.name:18}{finding.detail}{took}")
        if finding.remedy:
            lines.append(f"  {'':26}-> {finding.remedy}")
    broken = sum(finding.status == BROKEN for finding in findings)
    lines.append(f"{broken} broken" if broken else "everything that is needed works")
    return "\n".join(lines)


def _attempt(
    group: str, name: str, check: Callable[[], tuple[str, str, str]], remedy: str = ""
) -> Finding:
    """A finding from `check`, which returns status, detail and remedy; timed.

    Args:
        group: of the finding.
        name: of the finding.
        check: what to try.
        remedy: what helps where the installation is at fault: a package or a library is missing or
            broken. Our own errors say themselves what helps.
    """
    start = time.perf_counter()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what matters of them is said in the finding
            status, detail, todo = check()
    except Exception as error:  # whatever is wrong here is what the user came to read
        text = str(error).strip().splitlines()
        first = text[0] if text else ""
        installed = not isinstance(error, ImportError | OSError | AttributeError)
        remedy = "" if installed else remedy
        return Finding(group, name, BROKEN, f"{type(error).__name__}: {first}", remedy)
    return Finding(group, name, status, detail, todo, time.perf_counter() - start)


def _python() -> Finding:
    version = platform.python_version()
    fits = (3, 11) <= sys.version_info[:2] < (3, 14)
    remedy = "" if fits else "make the environment with Python 3.11, 3.12 or 3.13"
    return Finding("versions", "python", OK if fits else BROKEN, version, remedy)


def _package(name: str) -> Finding:
    version = system.version(name)
    if name in _PINS:
        fits, requirement = version == _PINS[name], f"=={_PINS[name]}"
    else:
        fits = version is not None and _numbers(version) >= _LEAST[name]
        requirement = ">=" + ".".join(map(str, _LEAST[name]))
    if fits:
        return Finding("versions", name, OK, str(version))
    return Finding(
        "versions",
        name,
        BROKEN,
        f"{version or 'not installed'}; {requirement} is needed",
        f"pip install '{name}{requirement}'",
    )


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:3] if part.isdigit())


def _devices() -> tuple[str, str, str]:
    platforms = os.environ.get("JAX_PLATFORMS", "")
    try:
        devices = jax.devices()
    except RuntimeError as error:  # of a platform that it has not, or that does not start
        first = str(error).splitlines()[0]
        remedy = f"unset JAX_PLATFORMS, which is {platforms!r}" if platforms else _REINSTALL
        return BROKEN, first, remedy
    described = ", ".join(f"{d.platform}: {d.device_kind}" for d in devices)
    if not engines.has_nvidia() and Path("/proc/driver/nvidia").is_dir():
        detail = f"{described}; there is an NVIDIA driver, but JAX does not use it"
        return WARNING, detail, _why_no_gpu(platforms)
    return OK, f"{described}; {os.cpu_count()} CPU cores; engine auto is {engines.default()}", ""


def _why_no_gpu(platforms: str) -> str:
    """What keeps JAX from a GPU whose driver is here."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if platforms and not {"cuda", "gpu"}.intersection(platforms.split(",")):
        return f"unset JAX_PLATFORMS, which is {platforms!r}"
    if visible is not None and visible.strip() in ("", "-1"):
        return f"unset CUDA_VISIBLE_DEVICES, which is {visible!r}"
    if any(system.version(f"jax-cuda{major}-plugin") for major in (12, 13)):
        return "JAX's CUDA plugin is installed, but does not start: it needs driver R580 or newer"
    return "pip install 'mjxwm[cuda]' (driver R580 or newer)"


def _engine(name: str) -> Finding:
    def step() -> tuple[str, str, str]:
        if name == "warp":
            engines.quiet_warp()  # else it lists every kernel that it loads
        env = envs.make_task(_ENGINE_TASK, name).for_worlds(2)
        states = jax.jit(jax.vmap(env.reset))(jax.random.split(jax.random.key(0), 2))
        states = jax.jit(jax.vmap(env.step))(states, jnp.ones((2, env.engine.model.nu)))
        if not np.isfinite(states.obs).all():
            return BROKEN, "a step gave values that are not finite", "reinstall mujoco and jax"
        with_gradients = ", with gradients" if env.engine.differentiable else ""
        if name == "warp" and not engines.has_nvidia():
            return WARNING, "works on this CPU, but slowly", "use it on an NVIDIA GPU"
        return OK, f"stepped {_ENGINE_TASK}{with_gradients}, compilation included", ""

    package = {"native": "mujoco", "mjx": "mujoco-mjx", "warp": "mujoco-mjx[warp]"}[name]
    return _attempt("engines", name, step, f"pip install '{package}=={_PINS['mujoco']}'")


def _rendering() -> Finding:
    def render() -> tuple[str, str, str]:
        backend = os.environ.get("MUJOCO_GL", "the default")
        model = envs.make_task(_ENGINE_TASK, "native").engine.model
        with tempfile.TemporaryDirectory() as folder:
            target = Path(folder) / "frame.mp4"
            try:
                video.video(
                    rendering.Scene(model), np.zeros((2, model.nq)), 1 / 30, target, size=(64, 48)
                )
            except video.RenderingUnavailableError as error:
                detail = f"{error.reason}; training works, videos do not"
                return MISSING, detail, error.remedy
        return OK, f"rendered a video with MUJOCO_GL={backend}", ""

    return _attempt("rendering", "video", render)


def _optional(name: str, remedy: str) -> Finding:
    version = system.version(name)
    if version is None:
        return Finding("optional", name, MISSING, "not installed", remedy)
    return Finding("optional", name, OK, version)


def _tasks() -> tuple[str, str, str]:
    suites = [f"{len(envs.names(suite))} of {suite}" for suite in registry.SUITES]
    return OK, f"{', '.join(suites)}; `mjxwm envs` lists them", ""


def _presets() -> tuple[str, str, str]:
    names = presets.preset_names()
    if not names:
        return BROKEN, f"none in {presets.presets_folder()}", "reinstall mjxwm"
    return OK, ", ".join(names), ""
