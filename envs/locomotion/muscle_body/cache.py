"""Compiled models on disk, by what they were made from.

A file is a model in MuJoCo's binary format and then its SHA-256. It is only ever a saving of time:
where it cannot be read, is damaged or cannot be written, the model is composed and used as it is.
"""

import contextlib
import hashlib
import importlib.util
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import mujoco
import numpy as np

from envs import assets

_DIGEST = 32  # bytes


def folder() -> Path:
    """$XDG_CACHE_HOME/mjxwm/models, or the same below ~/.cache."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "mjxwm" / "models"


def key(*parts: str) -> str:
    """A short name for `parts`, different whenever one of them is."""
    digest = hashlib.sha256("\0".join(parts).encode())
    return digest.hexdigest()[:16]


def sources_of(module: str) -> list[str]:
    """The texts that a model is composed by: the modules beside `module`, and its scene."""
    files = sorted(Path(module).parent.glob("*.py"))
    return [assets.read("muscle_humanoid.xml"), *(file.read_text() for file in files)]


def files_of(package: str) -> list[str]:
    """Name, size and time of every file of an installed package, so that an edited one is seen."""
    found = importlib.util.find_spec(package)
    places = found.submodule_search_locations if found else None
    return [
        f"{path}:{path.stat().st_size}:{path.stat().st_mtime_ns}"
        for place in places or ()
        for path in sorted(Path(place).rglob("*"))
        if path.is_file() and path.suffix != ".pyc"
    ]


def load_or_make(name: str, make: Callable[[], mujoco.MjModel]) -> mujoco.MjModel:
    """The model stored under `name`, or else what `make` returns, stored if that is possible."""
    with contextlib.suppress(OSError, ValueError, RuntimeError):
        return _load(folder() / f"{name}.mjb")
    model = make()
    with contextlib.suppress(OSError, RuntimeError):
        _store(folder() / f"{name}.mjb", model)
    return model


def _load(path: Path) -> mujoco.MjModel:
    stored = path.read_bytes()
    content = stored[:-_DIGEST]
    if hashlib.sha256(content).digest() != stored[-_DIGEST:]:
        raise ValueError(f"{path} is damaged")
    return mujoco.MjModel.from_binary_path(path.name, {path.name: content})


def _store(path: Path, model: mujoco.MjModel) -> None:
    content = np.empty(mujoco.mj_sizeModel(model), np.uint8)
    mujoco.mj_saveModel(model, None, content)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Another process may be storing the same: each writes a file of its own, the last one stays.
    handle, own = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content.tobytes())
            file.write(hashlib.sha256(content.tobytes()).digest())
        os.chmod(own, 0o644)  # others may share the folder
        os.replace(own, path)
    except BaseException:
        Path(own).unlink(missing_ok=True)
        raise
