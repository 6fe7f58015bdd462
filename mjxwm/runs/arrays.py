"""Trees of arrays as `.npz` files: no pickle, and nothing is read that was not expected."""

import math
import os
import zipfile
from pathlib import Path
from typing import Any

import jax
import numpy as np

from mjxwm import ConfigError


def named(tree: Any) -> dict[str, Any]:
    """The leaves of a tree by their names, such as "actor.mean_net.layers.0.kernel"."""
    leaves = jax.tree_util.tree_flatten_with_path(tree)[0]
    return {_name(path): leaf for path, leaf in leaves}


def _name(path: Any) -> str:
    return jax.tree_util.keystr(path, simple=True, separator=".") or "array"


def write(path: Path, tree: Any) -> None:
    """Writes the leaves of a tree, which are of numbers or flags; returns once they are on disk."""
    with path.open("wb") as file:
        np.savez(file, **{name: np.asarray(x, order="C") for name, x in named(tree).items()})  # pyright: ignore[reportArgumentType]
        file.flush()
        os.fsync(file.fileno())


def read(path: Path, shapes: Any) -> Any:
    """Reads a tree.

    Args:
        path: the file.
        shapes: the tree that it must hold, of `jax.ShapeDtypeStruct`s.

    Raises:
        ConfigError: it is no such file, or its arrays have other names, shapes or types.
    """
    expected = named(shapes)
    try:
        with zipfile.ZipFile(path) as archive:
            members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
            for name in sorted(members.keys() ^ expected.keys()):
                where = "missing" if name in expected else "not of these networks"
                raise ConfigError(f"{path} does not fit its configuration: {name} is {where}")
            leaves = [_array(path, archive, members[n], n, x) for n, x in expected.items()]
    except ConfigError:
        raise
    except (zipfile.BadZipFile, ValueError, EOFError, OSError, RuntimeError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ConfigError(f"{path} is no file of arrays: {reason}") from error
    return jax.tree.unflatten(jax.tree.structure(shapes), leaves)


def _array(
    path: Path, archive: zipfile.ZipFile, info: zipfile.ZipInfo, name: str, expected: Any
) -> np.ndarray:
    """One array, of which nothing is read before its header says what is expected."""
    with archive.open(info) as file:
        version = np.lib.format.read_magic(file)
        if version != (1, 0):
            raise ConfigError(f"{path}: {name} is not in the format of numpy's version 1.0")
        shape, in_columns, dtype = np.lib.format.read_array_header_1_0(file)
        if (shape, dtype) != (expected.shape, expected.dtype) or in_columns:
            raise ConfigError(
                f"{path} does not fit its configuration: {name} is {dtype}{list(shape)} there, "
                f"expected {expected.dtype}{list(expected.shape)}"
            )
        size = math.prod(shape) * dtype.itemsize
        data = file.read(size + 1)
    if len(data) != size:
        raise ConfigError(f"{path}: {name} has not the {size} bytes of its shape")
    return np.frombuffer(data, dtype).reshape(shape)
