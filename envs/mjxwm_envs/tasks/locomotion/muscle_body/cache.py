"""A disk cache of compiled models in MuJoCo's binary format, keyed by their inputs."""

import importlib.util
from collections.abc import Callable
from pathlib import Path

import mujoco
import numpy as np

from mjxwm_envs import assets
from mjxwm_envs.tasks import disk_cache

key = disk_cache.key


def folder() -> Path:
    """$XDG_CACHE_HOME/mjxwm/models or ~/.cache/mjxwm/models."""
    return disk_cache.folder("models")


def sources_of(module: str) -> list[str]:
    """The source texts that determine a model: all modules in `module`'s folder, and its MJCF."""
    files = sorted(Path(module).parent.glob("*.py"))
    return [
        assets.read("muscle_humanoid.xml"),
        *(file.read_text(encoding="utf-8") for file in files),
    ]


def files_of(package: str) -> list[str]:
    """Name, size and time of every file of an installed package, to notice edited files."""
    spec = importlib.util.find_spec(package)
    folders = spec.submodule_search_locations if spec else None
    return [
        f"{path}:{path.stat().st_size}:{path.stat().st_mtime_ns}"
        for folder in folders or ()
        for path in sorted(Path(folder).rglob("*"))
        if path.is_file() and path.suffix != ".pyc"
    ]


def load_or_make(name: str, make: Callable[[], mujoco.MjModel]) -> mujoco.MjModel:
    """The model stored under `name`; else the result of `make`, which is then stored."""
    return disk_cache.load_or_make(folder() / f"{name}.mjb", make, to_bytes, _from_bytes)


def to_bytes(model: mujoco.MjModel) -> bytes:
    """A model in MuJoCo's binary format."""
    content = np.empty(mujoco.mj_sizeModel(model), np.uint8)
    mujoco.mj_saveModel(model, None, content)
    return content.tobytes()


def _from_bytes(content: bytes) -> mujoco.MjModel:
    return mujoco.MjModel.from_binary_path("model.mjb", {"model.mjb": content})
