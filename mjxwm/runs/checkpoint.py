"""Checkpoints of a training state with orbax: atomic, the last good ones kept, restored bitwise."""

from pathlib import Path
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
from orbax.checkpoint import v1 as ocp

from mjxwm import ConfigError

T = TypeVar("T")


def save(folder: Path, iteration: int, state: Any, keep: int = 2) -> None:
    """Saves `state` as the checkpoint of `iteration`; a half-written one never counts as one."""
    with _checkpointer(folder, keep) as checkpointer:
        if checkpointer.latest is None or checkpointer.latest.step != iteration:
            checkpointer.save(iteration, _named(state))


def latest(folder: Path) -> int | None:
    """The iteration of the newest whole checkpoint, if there is any."""
    if not folder.is_dir():
        return None
    with _checkpointer(folder) as checkpointer:
        return checkpointer.latest.step if checkpointer.latest else None


def iterations(folder: Path) -> list[int]:
    """The iterations of all whole checkpoints, in order."""
    if not folder.is_dir():
        return []
    with _checkpointer(folder) as checkpointer:
        return sorted(checkpoint.step for checkpoint in checkpointer.checkpoints)


def remove(folder: Path, iteration: int) -> None:
    """Removes the checkpoint of an iteration."""
    with _checkpointer(folder) as checkpointer:
        checkpointer.delete(iteration)


def restore(folder: Path, abstract: T) -> T:
    """Reads the newest checkpoint.

    Args:
        folder: where they were saved.
        abstract: the state's shapes and dtypes, from `jax.eval_shape(init, key)`, and the sharding
            of each leaf where it has one; how it was when it was saved does not matter.

    Raises:
        FileNotFoundError: the folder holds no checkpoint.
        ConfigError: its arrays have other names, shapes or types than `abstract`.
    """
    step = latest(folder)
    if step is None:
        raise FileNotFoundError(f"{folder} holds no checkpoint")
    device = jax.sharding.SingleDeviceSharding(jax.devices()[0])

    def placed(x: jax.ShapeDtypeStruct) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding or device)

    leaves, structure = jax.tree_util.tree_flatten_with_path(abstract)
    with _checkpointer(folder) as checkpointer:
        saved = checkpointer.metadata(step).metadata
        expected_arrays = {_name_in(saved, name): leaf for name, leaf in _named(abstract).items()}
        _check(folder, saved, expected_arrays)
        loaded = checkpointer.load(step, jax.tree.map(placed, expected_arrays))
    filled = [
        loaded[_name_in(saved, jax.tree_util.keystr(path))]
        if leaf.size
        else _empty(leaf, leaf.sharding or device)
        for path, leaf in leaves
    ]
    return jax.tree.unflatten(structure, filled)


def _check(folder: Path, saved: dict[str, Any], expected_arrays: dict[str, Any]) -> None:
    def array(arrays: dict[str, Any], name: str) -> str:
        return f"{arrays[name].dtype}{list(arrays[name].shape)}" if name in arrays else "missing"

    keys = {
        name for name, x in expected_arrays.items() if jnp.issubdtype(x.dtype, jax.dtypes.prng_key)
    }
    for name in sorted(saved.keys() | expected_arrays.keys()):
        stored, expected = array(saved, name), array(expected_arrays, name)
        # What stands for a random key on disk has a type and shape of its own.
        if stored != expected and not (name in keys and name in saved):
            raise ConfigError(
                f"{folder} was saved by another version of mjxwm or with other settings: {name} is "
                f"{stored} there and {expected} here. The version that reads it is in the run's "
                "system.json"
            )


def _name_in(saved: dict[str, Any], name: str) -> str:
    """The name of a leaf in a checkpoint: parameters had ".value" after theirs in version 0.1."""
    return f"{name}.value" if f"{name}.value" in saved else name


def _empty(leaf: jax.ShapeDtypeStruct, sharding: jax.sharding.Sharding) -> jax.Array:
    return jax.device_put(jnp.zeros(leaf.shape, leaf.dtype), sharding)


def _named(state: Any) -> dict[str, Any]:
    # orbax refuses arrays without elements, such as the activations of a model without muscles.
    leaves = jax.tree_util.tree_flatten_with_path(state)[0]
    return {jax.tree_util.keystr(path): leaf for path, leaf in leaves if leaf.size}


def _checkpointer(folder: Path, keep: int | None = None) -> Any:
    policy = ocp.training.preservation_policies.LatestN(keep) if keep else None
    # orbax takes a pathlib.Path and its own policies, which its annotations do not say.
    return ocp.training.Checkpointer(
        folder.resolve(),  # pyright: ignore[reportArgumentType]
        preservation_policy=policy,  # pyright: ignore[reportArgumentType]
    )
